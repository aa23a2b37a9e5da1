import { PATH_MAX_BYTES } from '../format/log-entry.ts';
import { DirectoryNode, type Node, ROOT_INO } from '../format/namespace.ts';
import { OPCODE } from '../fuse/abi-constants.ts';
import { IN_HEADER } from '../fuse/abi-structs.ts';
import {
  EINVAL,
  EISDIR,
  ENODATA,
  ENODEV,
  ENOENT,
  ENOTDIR,
  EPERM,
  EROFS,
  type Errno,
} from '../fuse/errno.ts';
import type { FileMap } from '../fuse/fmap.ts';
import type { Attr, OpenReply, Operations, SetattrChange, Statfs } from '../fuse/operations.ts';
import { TABLE } from '../fuse/table.ts';
import { META_DIRECTORY } from '../pool/meta-memory.ts';
import {
  ATTR_VALID_SECONDS,
  attrOf,
  BLOCK_BYTES,
  changes,
  ENTRY_VALID_SECONDS,
} from './attributes.ts';
import { dataPathOf, type Generation } from './data-path.ts';
import { META_OPEN_FLAGS, MetaFiles } from './meta-files.ts';
import { References } from './references.ts';

/** As the log's own root: no entry makes it. */
const ROOT = { uid: 0, gid: 0, mode: 0o755 };
/** Of the root, whose attributes are in no log. */
const ROOT_OPCODES: ReadonlySet<number> = new Set([
  OPCODE.GETATTR,
  OPCODE.STATX,
  OPCODE.SETATTR,
  OPCODE.FSYNCDIR,
]);

/**
 * What a mount on a dax path shows before its log can be read: the root, and the pool's own files,
 * through which the log is read. It answers as `FamfsFileSystem` will, and only what `serves` says;
 * everything else waits for the log.
 */
export class BootFileSystem implements Operations {
  readonly entryValidSeconds = ENTRY_VALID_SECONDS;
  readonly attrValidSeconds = ATTR_VALID_SECONDS;
  generation: Generation;
  readonly #root = new DirectoryNode(ROOT_INO, '', undefined, -1, ROOT);
  readonly #meta: MetaFiles;
  readonly #devices: readonly string[];
  readonly #references: References;

  constructor(options: {
    generation: Generation;
    metaGid: number;
    /** Paths of the pool's daxdevs on this host, by devindex. */
    devices: readonly string[];
    /** Goes on counting in the file system that follows. */
    references?: References;
  }) {
    this.#references = options.references ?? new References();
    this.generation = options.generation;
    this.#devices = options.devices;
    const secondaries = options.devices.slice(1).map((_, at) => at + 1);
    this.#meta = new MetaFiles(this.#root, options.metaGid, secondaries);
  }

  /** The superblock has told how long the log is: it can be opened from now on. */
  showLog(logLengthBytes: number): void {
    this.#meta.showLog(logLengthBytes);
  }

  /**
   * Whether a message, header and body, can be answered without the log. All that makes a process
   * hold the root's lock for itself alone must be: `.meta` could not be looked up meanwhile, and
   * the log, which that process would wait for, could not be read.
   */
  serves(message: Uint8Array): boolean {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    if (message.length < IN_HEADER.size) return true;
    const opcode = view.getUint32(IN_HEADER.opcode, true);
    const ino = Number(view.getBigUint64(IN_HEADER.nodeid, true));
    const record = TABLE.get(opcode);
    if (record === undefined || record.always !== undefined) return true;
    if (opcode === OPCODE.GET_DAXDEV) return true;
    if (this.#meta.byIno(ino) !== undefined) return true;
    if (ino !== ROOT_INO) return false;
    if (ROOT_OPCODES.has(opcode)) return true;
    const name = Buffer.from(message.subarray(IN_HEADER.size)).toString('latin1');
    return opcode === OPCODE.LOOKUP && name === `${META_DIRECTORY}\0`;
  }

  lookup(parent: number, name: string): Attr | Errno {
    const directory = this.#node(parent);
    if (directory === undefined) return ENOENT;
    if (directory.kind !== 'directory') return ENOTDIR;
    if (directory === this.#root && name === META_DIRECTORY) return attrOf(this.#meta.directory);
    const child = directory.child(name);
    return child === undefined ? ENOENT : attrOf(child);
  }

  getattr(ino: number): Attr | Errno {
    const node = this.#node(ino);
    return node === undefined ? ENOENT : attrOf(node);
  }

  setattr(ino: number, change: SetattrChange): Attr | Errno {
    const attr = this.getattr(ino);
    return typeof attr === 'number' || !changes(attr, change) ? attr : EPERM;
  }

  access(ino: number): Errno | 0 {
    return this.#node(ino) === undefined ? ENOENT : 0;
  }

  open(ino: number): OpenReply | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    this.#references.opened(ino);
    return { handle: 0, openFlags: dataPathOf(this.generation).openFlags | META_OPEN_FLAGS };
  }

  getFmap(ino: number): FileMap | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    const map = dataPathOf(this.generation).fileMap(node);
    // What tells push2 from push: see `bootThroughMount`.
    return this.generation === 'push2' && node === this.#meta.superblock ? inOneStrip(map) : map;
  }

  getDaxdev(devindex: number): string | Errno {
    return this.#devices[devindex] ?? ENODEV;
  }

  /** No data passes the server on a dax path. */
  read(): Errno {
    return EINVAL;
  }

  write(): Errno {
    return EROFS;
  }

  flush(): 0 {
    return 0;
  }

  fsync(): 0 {
    return 0;
  }

  lseek(): Errno {
    return EINVAL;
  }

  opendir(ino: number): OpenReply | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    return node.kind === 'directory' ? { handle: 0, openFlags: 0 } : ENOTDIR;
  }

  readdir(): 0 {
    return 0;
  }

  statfs(): Statfs {
    const none = { blocks: 0, blocksFree: 0, blocksAvailable: 0, files: 0, filesFree: 0 };
    return { blockBytes: BLOCK_BYTES, nameBytesMax: PATH_MAX_BYTES, ...none };
  }

  getxattr(): Errno {
    return ENODATA;
  }

  listxattr(): readonly string[] {
    return [];
  }

  lookedUp(ino: number): void {
    this.#references.lookedUp(ino);
  }

  forget(ino: number, count: number): void {
    this.#references.forgotten(ino, count);
  }

  release(ino: number): void {
    this.#references.released(ino);
  }

  releasedir(): void {}

  #node(ino: number): Node | undefined {
    return ino === ROOT_INO ? this.#root : this.#meta.byIno(ino);
  }
}

/** The same places, said as an interleaved file of one chunk. */
function inOneStrip(map: FileMap): FileMap {
  if (map.type === 'interleaved') return map;
  const { sizeBytes, extents } = map;
  return { type: 'interleaved', sizeBytes, chunkBytes: sizeBytes, strips: extents };
}
