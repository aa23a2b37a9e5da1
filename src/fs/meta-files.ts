import type { Extent } from '../format/extents.ts';
import { LOG_OFFSET } from '../format/log-header.ts';
import { DirectoryNode, FileNode, type Node } from '../format/namespace.ts';
import { FOPEN } from '../fuse/abi-constants.ts';
import { META_DIRECTORY, META_LOG, metaSuperblock } from '../pool/meta-memory.ts';

/** Below every file's number, beside the root's; the two files get theirs from their place. */
const META_INO = 2;

/**
 * FOPEN bits of its files beside the data path's. NOFLUSH: their own server has them open for a
 * while, and one that was killed meanwhile would wait, closing them, for its own answer to FLUSH.
 */
export const META_OPEN_FLAGS = FOPEN.NOFLUSH;

/**
 * `.meta/.superblock` and `.meta/.log` of a pool on a dax path, and `.superblock.1` … of its other
 * devices, as nodes that no log entry made: for root on the node, found by name, listed in no
 * directory, and outside every volume.
 */
export class MetaFiles {
  readonly directory: DirectoryNode;
  readonly superblock: FileNode;
  readonly #files = new Map<number, FileNode>();
  #log: FileNode | undefined;
  readonly #gid: number;

  /**
   * `gid`: the group that may read and write the log, for a controller that is not root;
   * `secondaries`: devindices of the other devices that the kernel has.
   */
  constructor(root: DirectoryNode, gid: number, secondaries: readonly number[] = []) {
    this.#gid = gid;
    this.directory = new DirectoryNode(META_INO, META_DIRECTORY, root, -1, {
      uid: 0,
      gid,
      mode: 0o750,
    });
    this.superblock = this.#superblockOf(0);
    for (const devindex of secondaries) this.#superblockOf(devindex);
  }

  /** The log's file, once the superblock has told how long it is; its size never changes then. */
  showLog(logLengthBytes: number): void {
    const place = { devindex: 0, offset: LOG_OFFSET, lengthBytes: logLengthBytes };
    this.#log ??= this.#file(1, META_LOG, 0o660, place);
  }

  get log(): FileNode | undefined {
    return this.#log;
  }

  byIno(ino: number): Node | undefined {
    return ino === META_INO ? this.directory : this.#files.get(ino);
  }

  #superblockOf(devindex: number): FileNode {
    const place = { devindex, offset: 0, lengthBytes: LOG_OFFSET };
    // The primary's has the control area behind it, which the log's writer writes.
    const mode = devindex === 0 ? 0o660 : 0o640;
    return this.#file(2 * devindex, metaSuperblock(devindex), mode, place);
  }

  /** `order` stands for a log index, by which readdir goes. */
  #file(order: number, name: string, mode: number, place: Extent): FileNode {
    const fmap = { type: 'simple' as const, extents: [place] };
    const access = { flags: 0, uid: 0, gid: this.#gid, mode };
    const facts = { sizeBytes: place.lengthBytes, fmap };
    const node = new FileNode(name, this.directory, order, facts, access);
    this.directory.add(node);
    this.#files.set(node.ino, node);
    return node;
  }
}
