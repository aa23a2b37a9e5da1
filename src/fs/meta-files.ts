import { LOG_OFFSET } from '../format/log-header.ts';
import { DirectoryNode, FileNode, type Node } from '../format/namespace.ts';
import { FOPEN } from '../fuse/abi-constants.ts';
import { META_DIRECTORY, META_LOG, META_SUPERBLOCK } from '../pool/meta-memory.ts';

/** Below every file's number, beside the root's; the two files get theirs from their place. */
const META_INO = 2;

/**
 * FOPEN bits of its files beside the data path's. NOFLUSH: their own server has them open for a
 * while, and one that was killed meanwhile would wait, closing them, for its own answer to FLUSH.
 */
export const META_OPEN_FLAGS = FOPEN.NOFLUSH;

/**
 * `.meta/.superblock` and `.meta/.log` of a pool on a dax path, as nodes that no log entry made:
 * for root on the node, found by name, listed in no directory, and outside every volume.
 */
export class MetaFiles {
  readonly directory: DirectoryNode;
  readonly superblock: FileNode;
  #log: FileNode | undefined;
  readonly #gid: number;

  /** `gid`: the group that may read and write the log, for a controller that is not root. */
  constructor(root: DirectoryNode, gid: number) {
    this.#gid = gid;
    this.directory = new DirectoryNode(META_INO, META_DIRECTORY, root, -1, {
      uid: 0,
      gid,
      mode: 0o750,
    });
    this.superblock = this.#file(0, META_SUPERBLOCK, 0o640, 0, LOG_OFFSET);
  }

  /** The log's file, once the superblock has told how long it is; its size never changes then. */
  showLog(logLengthBytes: number): void {
    this.#log ??= this.#file(1, META_LOG, 0o660, LOG_OFFSET, logLengthBytes);
  }

  get log(): FileNode | undefined {
    return this.#log;
  }

  byIno(ino: number): Node | undefined {
    if (ino === META_INO) return this.directory;
    if (ino === this.superblock.ino) return this.superblock;
    return ino === this.#log?.ino ? this.#log : undefined;
  }

  /** `order` stands for a log index, by which readdir goes. */
  #file(order: number, name: string, mode: number, offset: number, lengthBytes: number): FileNode {
    const fmap = { type: 'simple' as const, extents: [{ devindex: 0, offset, lengthBytes }] };
    const access = { flags: 0, uid: 0, gid: this.#gid, mode };
    const facts = { sizeBytes: lengthBytes, fmap };
    const node = new FileNode(name, this.directory, order, facts, access);
    this.directory.add(node);
    return node;
  }
}
