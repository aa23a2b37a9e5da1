import { Fault, messageOf } from '../base/errors.ts';
import { resolve } from '../format/extents.ts';
import { FLAG_ALL_HOSTS_RO, PATH_MAX_BYTES } from '../format/log-entry.ts';
import {
  type DirectoryNode,
  type FileNode,
  Namespace,
  type Node,
  ROOT_INO,
} from '../format/namespace.ts';
import {
  EFBIG,
  EINVAL,
  EIO,
  EISDIR,
  ENODATA,
  ENODEV,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  type Errno,
} from '../fuse/errno.ts';
import type { FileMap } from '../fuse/fmap.ts';
import type { Attr, OpenReply, Operations, SetattrChange, Statfs } from '../fuse/operations.ts';
import type { Segment } from '../native/mapping.ts';
import { META_DIRECTORY } from '../pool/meta-memory.ts';
import { Pool, type PoolOptions } from '../pool/pool.ts';
import type { PoolMemory } from '../pool/pool-memory.ts';
import {
  ATTR_VALID_SECONDS,
  attrOf,
  BLOCK_BYTES,
  changes,
  ENTRY_VALID_SECONDS,
} from './attributes.ts';
import {
  type DataPath,
  dataPathOf,
  devicesOf,
  type Generation,
  type MappedFile,
} from './data-path.ts';
import { attributeNames, attributeValue } from './extended-attributes.ts';
import { META_OPEN_FLAGS, MetaFiles } from './meta-files.ts';
import {
  heldInodes,
  type ReferenceReport,
  type Resolve,
  reportReferences,
} from './reference-report.ts';
import { References } from './references.ts';
import { RemovedNodes } from './removed-nodes.ts';

const O_ACCMODE = 3;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/**
 * Cookies of `.` and `..`; a child's is its inode number, 16 or more, and the listing is in that
 * order: a listing goes on in a log that was rewritten, and with another server.
 */
const DOT_COOKIE = 1;
const DOTDOT_COOKIE = 2;

export interface FamfsOptions extends Omit<PoolOptions, 'onRemove'> {
  /** What the kernel of this mount turned out to be. Default `buffered`. */
  readonly generation?: Generation;
  /** On a dax path: superblock and log, mapped through the mount. Becomes the file system's. */
  readonly memory?: PoolMemory;
  /** Group of `.meta` and its files. Default 0. */
  readonly metaGid?: number;
  /** On a dax path: path of the daxdev of that index here; default: as the pool has it. */
  readonly daxdevPath?: (devindex: number) => string | undefined;
  /** What the kernel refers to, as counted so far; the caller's own. Default: nothing. */
  readonly references?: References;
  /** Told of each name that a DELETE took away while the kernel refers to what it named. */
  readonly onRemoved?: (parent: number, name: string) => void;
  /** Told when following the log fails; what is known is served on. */
  readonly onError: (message: string, error?: unknown) => void;
}

/** A file that cannot be served on this node, by its path in the pool. */
export interface Refusal {
  readonly path: string;
  readonly reason: string;
}

const REFUSALS_MAX = 5;

/**
 * famfs as a FUSE file system over one pool. On the buffered data path the server copies between
 * the kernel's page cache and shared memory; on a dax path it tells the kernel where each file is,
 * and no byte passes here.
 *
 * Invariants:
 * - Every answer is a function of the log: a successor that replays it answers alike, with no state
 *   handed over but what the log says.
 * - Sizes never change. Names come and go only through the log.
 * - A node that a DELETE took away is still found by its inode number for as long as the kernel
 *   refers to it; its memory is not handed out again.
 */
export class FamfsFileSystem implements Operations, Disposable {
  readonly entryValidSeconds = ENTRY_VALID_SECONDS;
  readonly attrValidSeconds = ATTR_VALID_SECONDS;
  readonly pool: Pool;
  readonly #removed: RemovedNodes;
  readonly dataPath: DataPath;
  readonly references: References;
  readonly #meta: MetaFiles | undefined;
  readonly #daxdevPath: (devindex: number) => string | undefined;
  readonly #onError: (message: string, error?: unknown) => void;

  /**
   * Opens the pool, by its device or over `memory`. BUSY while its log cannot be read: who knows
   * nothing yet would say of each file that a pod has open that there is none.
   */
  constructor(options: FamfsOptions) {
    this.#onError = options.onError;
    this.references = options.references ?? new References();
    this.#removed = new RemovedNodes(this.references, options.onRemoved ?? (() => {}));
    this.#daxdevPath = options.daxdevPath ?? ((devindex) => this.pool.pathOf(devindex));
    this.dataPath = dataPathOf(options.generation ?? 'buffered');
    const poolOptions = { ...options, onRemove: (node: Node) => this.#removed.add(node) };
    this.pool = options.memory ? Pool.over(poolOptions, options.memory) : Pool.open(poolOptions);
    this.#assertReadable();
    this.#removed.opened(this.pool.replica.namespace);
    if (this.dataPath.devices !== 'none') {
      const others = (options.secondaries ?? []).map((_, at) => at + 1);
      const secondaries = others.filter((devindex) => this.pool.pathOf(devindex) !== undefined);
      // Of a root of its own: that of a log which was rewritten since would keep all below it.
      this.#meta = new MetaFiles(new Namespace().root, options.metaGid ?? 0, secondaries);
      this.#meta.showLog(this.pool.superblock.logLengthBytes);
    }
  }

  lookup(parent: number, name: string): Attr | Errno {
    const directory = this.#node(parent);
    if (directory === undefined) return ENOENT;
    if (directory.kind !== 'directory') return ENOTDIR;
    const known = directory.child(name) ?? this.#metaDirectory(directory, name);
    if (known !== undefined) return attrOf(known);
    // The name may have been appended since: the tail is one cache line away.
    this.follow();
    // By number again: a log that was rewritten is another namespace.
    const now = this.#node(parent);
    const added = now?.kind === 'directory' ? now.child(name) : undefined;
    return added === undefined ? ENOENT : attrOf(added);
  }

  getattr(ino: number): Attr | Errno {
    const node = this.#node(ino);
    return node === undefined ? ENOENT : attrOf(node);
  }

  /** Times are accepted and not kept, since the log has none; the rest is fixed by the log. */
  setattr(ino: number, change: SetattrChange): Attr | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    const attr = attrOf(node);
    return changes(attr, change) ? EPERM : attr;
  }

  open(ino: number, flags: number): OpenReply | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    if ((flags & O_ACCMODE) !== 0 && node.flags === FLAG_ALL_HOSTS_RO) return EROFS;
    this.references.opened(ino);
    const own = this.#meta?.byIno(ino) === undefined ? 0 : META_OPEN_FLAGS;
    return { handle: 0, openFlags: this.dataPath.openFlags | own };
  }

  read(ino: number, offset: number, lengthBytes: number): readonly Segment[] | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    const wanted = Math.min(lengthBytes, node.sizeBytes - offset);
    return wanted <= 0 ? [] : this.#segments(node, offset, wanted);
  }

  write(ino: number, offset: number, bytes: Uint8Array): number | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    if (node.flags === FLAG_ALL_HOSTS_RO) return EROFS;
    const room = Math.min(bytes.length, node.sizeBytes - offset);
    if (room <= 0) return bytes.length === 0 ? 0 : EFBIG;
    const segments = this.#segments(node, offset, room);
    if (typeof segments === 'number') return segments;
    let done = 0;
    for (const { memory, offset: at, lengthBytes } of segments) {
      memory.copyIn(at, bytes.subarray(done, done + lengthBytes));
      done += lengthBytes;
    }
    return done;
  }

  /** Every write is in memory before it is answered: nothing is left to flush. */
  flush(): 0 {
    return 0;
  }

  fsync(): 0 {
    return 0;
  }

  release(ino: number): void {
    this.references.released(ino);
  }

  opendir(ino: number): OpenReply | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind !== 'directory') return ENOTDIR;
    this.follow();
    return { handle: 0, openFlags: 0 };
  }

  releasedir(): void {}

  readdir(
    ino: number,
    cookie: number,
    emit: (name: string, attr: Attr, nextCookie: number) => boolean,
  ): Errno | 0 {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind !== 'directory') return ENOTDIR;
    if (cookie < DOT_COOKIE && !emit('.', attrOf(node), DOT_COOKIE)) return 0;
    const parent = node.parent ?? node;
    if (cookie < DOTDOT_COOKIE && !emit('..', attrOf(parent), DOTDOT_COOKIE)) return 0;
    for (const child of node.childrenFrom(cookie + 1)) {
      if (!emit(child.name, attrOf(child), child.ino)) break;
    }
    return 0;
  }

  statfs(): Statfs {
    const { space, namespace, capacity, position } = this.pool.replica;
    const total = space.allocatedBytes + space.freeBytes;
    const free = Math.floor(space.freeBytes / BLOCK_BYTES);
    return {
      blockBytes: BLOCK_BYTES,
      blocks: Math.floor(total / BLOCK_BYTES),
      blocksFree: free,
      blocksAvailable: free,
      files: namespace.fileCount + namespace.directoryCount,
      filesFree: capacity - position,
      nameBytesMax: PATH_MAX_BYTES,
    };
  }

  /** The mount asks the kernel to check permissions by mode, so there is nothing left to refuse. */
  access(ino: number): Errno | 0 {
    return this.#node(ino) === undefined ? ENOENT : 0;
  }

  lseek(ino: number, offset: number, whence: number): number | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    if (offset >= node.sizeBytes) return ENXIO;
    if (whence === SEEK_DATA) return offset;
    return whence === SEEK_HOLE ? node.sizeBytes : EINVAL;
  }

  getxattr(ino: number, name: string): Uint8Array | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (this.#meta?.byIno(ino) !== undefined) return ENODATA;
    return attributeValue(node, name) ?? ENODATA;
  }

  listxattr(ino: number): readonly string[] | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    return this.#meta?.byIno(ino) === undefined ? attributeNames(node) : [];
  }

  getFmap(ino: number): FileMap | Errno {
    const node = this.#node(ino);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    if (this.dataPath.devices === 'none') return ENOSYS;
    const refusal = this.refusal(node);
    if (refusal === undefined) return this.dataPath.fileMap(node);
    const { generation } = this.dataPath;
    this.#onError(`file ${node.path}: ${refusal}; this kernel (${generation}) cannot map it`);
    return EOPNOTSUPP;
  }

  getDaxdev(devindex: number): string | Errno {
    return this.#daxdevPath(devindex) ?? ENODEV;
  }

  lookedUp(ino: number): void {
    this.references.lookedUp(ino);
  }

  forget(ino: number, count: number): void {
    this.references.forgotten(ino, count);
  }

  /** Why this kernel cannot map the file, or this node has not its memory; undefined: it can. */
  refusal(file: MappedFile): string | undefined {
    const refusal = this.dataPath.refusal(file);
    if (refusal !== undefined) return refusal;
    const hasDevice =
      this.dataPath.devices === 'none'
        ? (devindex: number) => this.pool.memoryOf(devindex) !== undefined
        : (devindex: number) => this.#daxdevPath(devindex) !== undefined;
    const missing = [...devicesOf(file)].find((devindex) => !hasDevice(devindex));
    if (missing === undefined) return undefined;
    const reason = this.pool.deviceProblems.get(missing);
    return (
      `is on device ${missing} of the pool, which this node's mounter does not have` +
      (reason === undefined ? '' : `: ${reason}`)
    );
  }

  /** Files at a path and below it that have a `refusal`; the first few. */
  refusalsBelow(path: string): Refusal[] {
    const found: Refusal[] = [];
    const start = this.pool.replica.namespace.lookup(path);
    for (const node of start === undefined ? [] : withDescendants(start)) {
      const reason = node.kind === 'file' ? this.refusal(node) : undefined;
      if (reason !== undefined) found.push({ path: node.path, reason });
      if (found.length === REFUSALS_MAX) break;
    }
    return found;
  }

  /** Applies what was appended to the log; a failure is reported and what is known stays served. */
  follow(): void {
    try {
      this.pool.follow();
    } catch (error) {
      this.#onError(`pool ${this.pool.name}: following the log failed: ${messageOf(error)}`, error);
    }
  }

  /** What the kernel of this node refers to, of a path or of the whole pool. */
  referenceReport(path?: string): ReferenceReport {
    return reportReferences(this.references, this.#resolve, path);
  }

  /** Deleted files that the kernel of this node refers to; undefined: too many to list. */
  heldInodes(): readonly number[] | undefined {
    return heldInodes(this.references, this.#resolve);
  }

  readonly #resolve: Resolve = (ino) => {
    if (ino === ROOT_INO || this.#meta?.byIno(ino) !== undefined) return 'own';
    const live = this.pool.replica.namespace.byIno(ino);
    const node = live ?? this.#removed.get(ino);
    return node && { node, isLive: live !== undefined };
  };

  [Symbol.dispose](): void {
    this.pool[Symbol.dispose]();
  }

  #assertReadable(): void {
    const { pool } = this;
    if (pool.isSettled) return;
    pool[Symbol.dispose]();
    const text = 'its log is being taken over or rewritten, and cannot be read before that is done';
    throw new Fault('BUSY', `pool ${pool.name}: ${text}; the next writer there does it`);
  }

  #node(ino: number): Node | undefined {
    const { namespace } = this.pool.replica;
    return namespace.byIno(ino) ?? this.#meta?.byIno(ino) ?? this.#removed.get(ino);
  }

  #metaDirectory(directory: DirectoryNode, name: string): DirectoryNode | undefined {
    const isMeta = directory.ino === ROOT_INO && name === META_DIRECTORY;
    return isMeta ? this.#meta?.directory : undefined;
  }

  #segments(node: FileNode, offset: number, lengthBytes: number): Segment[] | Errno {
    const segments: Segment[] = [];
    for (const range of resolve(node.fmap, offset, lengthBytes)) {
      const memory = this.pool.memoryOf(range.devindex);
      if (memory === undefined) return EIO;
      segments.push({ memory, offset: range.offset, lengthBytes: range.lengthBytes });
    }
    return segments;
  }
}

function* withDescendants(node: Node): Iterable<Node> {
  yield node;
  if (node.kind === 'directory') for (const child of node.children()) yield* withDescendants(child);
}
