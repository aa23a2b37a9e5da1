import { hash } from 'node:crypto';
import { Fault } from '../base/errors.ts';
import type { Extent, Fmap } from './extents.ts';
import { pathProblem } from './path-rules.ts';

/**
 * Inode numbers are a function of the log (architecture.md, idea 3): every server of a pool, and
 * each successor, gives the same:
 * - the root: 1;
 * - a file: where its first extent is, which no other file has;
 * - a directory: bit 52 and a hash of its path, the next free one after a collision.
 */
export const ROOT_INO = 1;
const FIRST_FILE_INO = 16;
const FIRST_DIRECTORY_INO = 2 ** 52;
const HASH_SPAN = 2 ** 51;
const INO_UNIT_BYTES = 4096;
/** 44 of the 50 bits are the offset's, 2^56 bytes a device; 6 are the device's. */
const UNITS_PER_DEVICE = 2 ** 44;
export const DEVICES_MAX = 64;
export const DEVICE_BYTES_MAX = UNITS_PER_DEVICE * INO_UNIT_BYTES;

/** The bits of a mode that an entry may set: those of chmod(2). */
const PERMISSIONS = 0o7777;

/** What a pool's files mostly have in common: neighbours in the log share one object. */
interface Access {
  readonly flags: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * A file. Half a million of them are ordinary, so this is kept small: 80 bytes, where an object
 * with all facts and its fmap takes 280 (docs/decisions/0017).
 */
export class FileNode {
  readonly ino: number;
  readonly name: string;
  readonly parent: DirectoryNode;
  /** Index of the log entry that made it. */
  readonly entryIndex: number;
  readonly sizeBytes: number;
  readonly #access: Access;
  /** Of a simple fmap of one extent only the length: where it is, `ino` says. */
  readonly #fmap: Fmap | number;

  constructor(
    name: string,
    parent: DirectoryNode,
    entryIndex: number,
    { sizeBytes, fmap }: { readonly sizeBytes: number; readonly fmap: Fmap },
    access: Access,
  ) {
    const first = fmap.type === 'simple' ? fmap.extents[0] : fmap.strips[0];
    if (first === undefined) throw new Fault('INTERNAL', 'a file has no extent');
    this.ino = fileIno(first);
    this.name = name;
    this.parent = parent;
    this.entryIndex = entryIndex;
    this.sizeBytes = sizeBytes;
    this.#access = access;
    this.#fmap = fmap.type === 'simple' && fmap.extents.length === 1 ? first.lengthBytes : fmap;
  }

  get kind(): 'file' {
    return 'file';
  }

  get flags(): number {
    return this.#access.flags;
  }

  get uid(): number {
    return this.#access.uid;
  }

  get gid(): number {
    return this.#access.gid;
  }

  get mode(): number {
    return this.#access.mode;
  }

  get fmap(): Fmap {
    const fmap = this.#fmap;
    if (typeof fmap !== 'number') return fmap;
    return { type: 'simple', extents: [{ ...extentStart(this.ino), lengthBytes: fmap }] };
  }

  get path(): string {
    return pathOf(this);
  }
}

type Owner = Omit<Access, 'flags'>;

interface FileFacts extends Access {
  readonly sizeBytes: number;
  readonly fmap: Fmap;
}

export class DirectoryNode {
  readonly ino: number;
  readonly name: string;
  readonly parent: DirectoryNode | undefined;
  /** Index of the log entry that made it; −1 for the root. */
  readonly entryIndex: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly #byName = new Map<string, Node>();
  /** By `ino`, from the first reading on; with children that are gone, until they are many. */
  #byIno: Node[] | undefined;

  constructor(
    ino: number,
    name: string,
    parent: DirectoryNode | undefined,
    entryIndex: number,
    owner: Owner,
  ) {
    this.ino = ino;
    this.name = name;
    this.parent = parent;
    this.entryIndex = entryIndex;
    this.uid = owner.uid;
    this.gid = owner.gid;
    this.mode = owner.mode & PERMISSIONS;
  }

  get kind(): 'directory' {
    return 'directory';
  }

  get path(): string {
    return pathOf(this);
  }

  get childCount(): number {
    return this.#byName.size;
  }

  child(name: string): Node | undefined {
    return this.#byName.get(name);
  }

  /** All children in log order, which is that in which a Map's names came. */
  children(): Iterable<Node> {
    return this.#byName.values();
  }

  /**
   * Children whose inode number is at least `first`, in the order of these: for a listing that goes
   * on later. Log indices are others once the log was rewritten; inode numbers stay.
   */
  *childrenFrom(first: number): Iterable<Node> {
    this.#byIno ??= [...this.#byName.values()].sort((a, b) => a.ino - b.ino);
    const order = this.#byIno;
    for (let at = firstFrom(order, first); at < order.length; at++) {
      const child = order[at];
      if (child !== undefined && this.#byName.get(child.name) === child) yield child;
    }
  }

  /** For the Namespace: it has checked that the name is free. */
  add(node: Node): void {
    this.#byName.set(node.name, node);
    const order = this.#byIno;
    order?.splice(firstFrom(order, node.ino), 0, node);
  }

  remove(node: Node): void {
    this.#byName.delete(node.name);
    const gone = (this.#byIno?.length ?? 0) - this.#byName.size;
    // Made anew by the next reading.
    if (gone > this.#byName.size + 16) this.#byIno = undefined;
  }
}

/** Where in the order of inode numbers those begin that are at least `ino`. */
function firstFrom(order: readonly Node[], ino: number): number {
  let low = 0;
  for (let high = order.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((order[middle]?.ino ?? 0) < ino) low = middle + 1;
    else high = middle;
  }
  return low;
}

export type Node = FileNode | DirectoryNode;

/** Files and directories that live, by path and by inode number. All lookups are O(1) a name. */
export class Namespace {
  readonly root: DirectoryNode;
  /** By inode number. Apart, since directories are few, and each lookup begins at one. */
  readonly #files = new Map<number, FileNode>();
  readonly #directories = new Map<number, DirectoryNode>();
  /** The parent of the last new path: the next one most often has the same. */
  #lastParent: { readonly path: string; readonly directory: DirectoryNode };
  #lastAccess: Access = { flags: 0, uid: 0, gid: 0, mode: 0 };

  constructor() {
    this.root = new DirectoryNode(ROOT_INO, '', undefined, -1, { uid: 0, gid: 0, mode: 0o755 });
    this.#directories.set(ROOT_INO, this.root);
    this.#lastParent = { path: '', directory: this.root };
  }

  get fileCount(): number {
    return this.#files.size;
  }

  /** Without the root. */
  get directoryCount(): number {
    return this.#directories.size - 1;
  }

  byIno(ino: number): Node | undefined {
    const isDirectory = ino >= FIRST_DIRECTORY_INO || ino === ROOT_INO;
    return isDirectory ? this.#directories.get(ino) : this.#files.get(ino);
  }

  /** The node at a path relative to the root; `''` is the root. */
  lookup(path: string): Node | undefined {
    if (path === '') return this.root;
    let directory = this.root;
    for (let start = 0; ; ) {
      const slash = path.indexOf('/', start);
      if (slash < 0) return directory.child(path.slice(start));
      const next = directory.child(path.slice(start, slash));
      if (next?.kind !== 'directory') return undefined;
      directory = next;
      start = slash + 1;
    }
  }

  /** All files and directories but the root, in no particular order. */
  *nodes(): Iterable<Node> {
    yield* this.#files.values();
    for (const directory of this.#directories.values()) {
      if (directory !== this.root) yield directory;
    }
  }

  /** All files, in no particular order. */
  files(): Iterable<FileNode> {
    return this.#files.values();
  }

  /**
   * Where a new node with this path would go. Otherwise the reason why it may not be: INVALID for
   * a path that no log may hold, NOT_FOUND for a missing parent, EXISTS for a name that is taken.
   */
  place(path: string): { parent: DirectoryNode; name: string } | Fault {
    const problem = pathProblem(path);
    if (problem !== undefined) return new Fault('INVALID', `path ${quote(path)}: ${problem}`);
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const parent = slash < 0 ? this.root : this.#parent(path, slash);
    if (parent?.kind !== 'directory') {
      const what = parent === undefined ? 'is missing' : 'is a file';
      return new Fault('NOT_FOUND', `path ${quote(path)}: its parent directory ${what}`);
    }
    const taken = parent.child(name);
    if (taken !== undefined) {
      const which = `a ${taken.kind} from log entry ${taken.entryIndex}`;
      return new Fault('EXISTS', `path ${quote(path)}: exists already, ${which}`);
    }
    return { parent, name };
  }

  /** The path itself, if a new node may have it; throws what `place` found. */
  checkNewPath(path: string): string {
    const place = this.place(path);
    if (place instanceof Fault) throw place;
    return path;
  }

  addFile(parent: DirectoryNode, name: string, entryIndex: number, file: FileFacts): FileNode {
    const node = new FileNode(name, parent, entryIndex, file, this.#accessOf(file));
    parent.add(node);
    this.#files.set(node.ino, node);
    return node;
  }

  addDirectory(
    parent: DirectoryNode,
    name: string,
    entryIndex: number,
    owner: Owner,
  ): DirectoryNode {
    const path = parent === this.root ? name : `${parent.path}/${name}`;
    const node = new DirectoryNode(this.#directoryIno(path), name, parent, entryIndex, owner);
    parent.add(node);
    this.#directories.set(node.ino, node);
    return node;
  }

  /** The caller has checked that it lives and, if a directory, is empty. */
  remove(node: Node): void {
    node.parent?.remove(node);
    if (node.kind === 'file') {
      this.#files.delete(node.ino);
      return;
    }
    this.#directories.delete(node.ino);
    this.#lastParent = { path: '', directory: this.root };
  }

  /** The node at the first `length` characters of the path. */
  #parent(path: string, length: number): Node | undefined {
    const last = this.#lastParent;
    if (last.path.length === length && path.startsWith(last.path)) return last.directory;
    const parent = path.slice(0, length);
    const node = this.lookup(parent);
    if (node?.kind === 'directory') this.#lastParent = { path: parent, directory: node };
    return node;
  }

  #accessOf({ flags, uid, gid, mode: bits }: Access): Access {
    const last = this.#lastAccess;
    const mode = bits & PERMISSIONS;
    const isSame =
      last.flags === flags && last.uid === uid && last.gid === gid && last.mode === mode;
    if (!isSame) this.#lastAccess = { flags, uid, gid, mode };
    return this.#lastAccess;
  }

  #directoryIno(path: string): number {
    let ino = directoryIno(path);
    while (this.#directories.has(ino)) {
      ino = FIRST_DIRECTORY_INO + ((ino + 1 - FIRST_DIRECTORY_INO) % HASH_SPAN);
    }
    return ino;
  }
}

/** The number of a directory at that path, unless another path's hash is the same. */
export function directoryIno(path: string): number {
  return path === '' ? ROOT_INO : FIRST_DIRECTORY_INO + pathHash(path);
}

/** 51 bits of the path's SHA-256. */
function pathHash(path: string): number {
  const digest = hash('sha256', path, 'buffer');
  return (digest.readUIntBE(0, 6) * 8 + ((digest[6] ?? 0) >> 5)) % HASH_SPAN;
}

/** Whether the number is a file's, of any pool: one that stands for a place in its memory. */
export function isFileIno(ino: number): boolean {
  return ino >= FIRST_FILE_INO && ino < FIRST_DIRECTORY_INO;
}

function fileIno({ devindex, offset }: Extent): number {
  return FIRST_FILE_INO + devindex * UNITS_PER_DEVICE + offset / INO_UNIT_BYTES;
}

/** The inverse of `fileIno`. */
function extentStart(ino: number): { devindex: number; offset: number } {
  const units = ino - FIRST_FILE_INO;
  const devindex = Math.floor(units / UNITS_PER_DEVICE);
  return { devindex, offset: (units - devindex * UNITS_PER_DEVICE) * INO_UNIT_BYTES };
}

function pathOf(node: Node): string {
  const names: string[] = [];
  for (let at: Node | undefined = node; at?.parent !== undefined; at = at.parent) {
    names.push(at.name);
  }
  return names.reverse().join('/');
}

/** For messages: quoted, with control characters made visible. */
function quote(path: string): string {
  return JSON.stringify(path);
}
