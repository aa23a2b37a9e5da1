import type { Attributes } from './messages.ts';
import type { RuleBook, Taken } from './rules.ts';
import { everyExtent, type WireMap } from './wire-map.ts';

export const ROOT_INO = 1;
const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;

/** What a kernel does with an inode whose size changed under its map. */
export type Poison = 'fresh' | 'known' | undefined;

/** One inode in the kernel's cache, from the first reference that the server gave to FORGET. */
export class Inode {
  readonly ino: number;
  readonly mode: number;
  sizeBytes: number;
  attributesUntilMs: number;
  /** References by LOOKUP, CREATE and READDIRPLUS, which FORGET gives back all at once. */
  nlookup = 0;
  /** From the first GET_FMAP that succeeded until eviction. */
  map: WireMap | undefined;
  poison: Poison;
  /** Push: its map named a device that was not registered. */
  isBad = false;
  /** Open files, mapped ones among them. */
  files = 0;
  /** System calls that hold it for a moment. */
  pins = 0;
  readonly children = new Map<string, Dentry>();
  readonly names = new Set<Dentry>();
  /** Buffered: the page cache, by page. */
  readonly pages = new Map<number, Uint8Array>();
  readonly dirty = new Set<number>();
  /** Of i_rwsem, the lock of a directory or of a file that is changed. */
  readers = 0;
  isWriteLocked = false;

  constructor(attributes: Attributes, nowMs: number) {
    this.ino = attributes.ino;
    this.mode = attributes.mode;
    this.sizeBytes = attributes.sizeBytes;
    this.attributesUntilMs = nowMs + attributes.validMs;
  }

  get isDirectory(): boolean {
    return (this.mode & TYPE_MASK) === DIRECTORY;
  }
}

/** A name in the kernel's cache. */
export interface Dentry {
  readonly parent: Inode;
  readonly name: string;
  readonly inode: Inode;
  validUntilMs: number;
}

/** The inode and name caches of one mount: who is referred to, and when FORGET is due. */
export class InodeCache {
  readonly root: Inode;
  readonly #inodes = new Map<number, Inode>();
  readonly #rules: RuleBook;
  readonly #forget: (ino: number, nlookup: number) => void;

  constructor(rules: RuleBook, forget: (ino: number, nlookup: number) => void) {
    this.#rules = rules;
    this.#forget = forget;
    const attributes = { ino: ROOT_INO, mode: DIRECTORY | 0o755, sizeBytes: 0, validMs: 0 };
    this.root = new Inode(attributes, 0);
    this.#inodes.set(ROOT_INO, this.root);
  }

  byIno(ino: number): Inode | undefined {
    return this.#inodes.get(ino);
  }

  all(): Iterable<Inode> {
    return this.#inodes.values();
  }

  /** The inode that the server named, with one more reference to it. */
  refer(attributes: Attributes, nowMs: number, via: string): Inode {
    let inode = this.#inodes.get(attributes.ino);
    if (inode === undefined) {
      inode = new Inode(attributes, nowMs);
      this.#inodes.set(inode.ino, inode);
    }
    inode.nlookup++;
    this.told(inode, attributes, nowMs, via);
    return inode;
  }

  /** The server told attributes of an inode. */
  told(inode: Inode, attributes: Attributes, nowMs: number, via: string): void {
    const { sizeBytes, validMs } = attributes;
    const breach = this.#rules.apply('size', {
      ino: inode.ino,
      via,
      sizeBytes,
      mapBytes: inode.map?.fileSize,
    });
    if (breach !== undefined) inode.poison ??= 'fresh';
    inode.sizeBytes = sizeBytes;
    inode.attributesUntilMs = nowMs + validMs;
  }

  link(parent: Inode, name: string, inode: Inode, validUntilMs: number): void {
    const there = parent.children.get(name);
    if (there?.inode === inode) {
      there.validUntilMs = validUntilMs;
      return;
    }
    if (there !== undefined) this.unlink(there);
    const dentry = { parent, name, inode, validUntilMs };
    parent.children.set(name, dentry);
    inode.names.add(dentry);
  }

  /** Takes a name away, and all below it that nobody uses. */
  unlink(dentry: Dentry): void {
    this.shrink(dentry.inode);
    dentry.parent.children.delete(dentry.name);
    dentry.inode.names.delete(dentry);
    this.settle(dentry.inode);
  }

  /** Evicts the inode if nothing holds it any more: FORGET. */
  settle(inode: Inode): void {
    const isHeld = inode.files + inode.pins + inode.names.size + inode.children.size > 0;
    if (isHeld || inode === this.root || !this.#inodes.has(inode.ino)) return;
    this.#inodes.delete(inode.ino);
    this.#forget(inode.ino, inode.nlookup);
  }

  /** As under memory pressure: every name below `inode` goes that nobody uses. */
  shrink(inode: Inode = this.root): void {
    for (const dentry of [...inode.children.values()]) {
      this.shrink(dentry.inode);
      const { files, pins, children } = dentry.inode;
      if (files + pins + children.size === 0) this.unlink(dentry);
    }
  }

  /** What all inodes but `except` have of devices. */
  taken(except: Inode, deviceOf: (devindex: number) => unknown): Taken[] {
    const all: Taken[] = [];
    for (const { ino, map } of this.#inodes.values()) {
      if (ino === except.ino || map === undefined) continue;
      for (const { devindex, offset, length } of everyExtent(map)) {
        all.push({ ino, device: deviceOf(devindex) ?? devindex, offset, length });
      }
    }
    return all;
  }
}
