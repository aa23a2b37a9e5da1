import type { Segment } from '../native/mapping.ts';
import type { Errno } from './errno.ts';
import type { FileMap } from './fmap.ts';

/**
 * One inode's attributes. `ino` is the FUSE node id and the inode number at once, an integer in
 * [1, 2^53); the root's is 1. `mode` has the file type's bits. The one time stands for all three.
 */
export interface Attr {
  readonly ino: number;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly timeSeconds: number;
}

/** `handle` comes back at release; `openFlags` are FOPEN_ bits (abi-constants.ts). */
export interface OpenReply {
  readonly handle: number;
  readonly openFlags: number;
}

/** What SETATTR asks to change; `times` tells that it asks for a time, whichever. */
export interface SetattrChange {
  readonly sizeBytes?: number | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly times: boolean;
}

/** statfs(2) of the mount: counts of blocks of `blockBytes`, and of inodes. */
export interface Statfs {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly blocksAvailable: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameBytesMax: number;
}

/** Takes one directory entry; false: no room, and this entry was not taken. */
export type EmitEntry = (name: string, attr: Attr, nextCookie: number) => boolean;

/**
 * A file system as the Responder calls it: synchronous, one call at a time, errors as values. A
 * call that throws is answered with `errnoOf(error)` and reported, and the session goes on.
 *
 * An `ino` is whatever the kernel sent, below 2^53: answer ENOENT to one that is unknown. Offsets
 * and lengths are bytes, integers in [0, 2^53).
 *
 * Lookup counts: `lookup` itself counts nothing. For each reference that the kernel gets (LOOKUP
 * that succeeded, each READDIRPLUS entry but `.` and `..`) the Responder calls `lookedUp(ino)`
 * once, and `forget(ino, count)` takes references back. A successor has not seen the references
 * that its predecessor gave, so `forget` may name more than were counted.
 */
export interface Operations {
  /** How long the kernel may trust a name, and attributes; read once, fractions of 1 ns. */
  readonly entryValidSeconds: number;
  readonly attrValidSeconds: number;

  lookup(parent: number, name: string): Attr | Errno;
  lookedUp(ino: number): void;
  forget(ino: number, count: number): void;

  getattr(ino: number): Attr | Errno;
  setattr(ino: number, change: SetattrChange): Attr | Errno;
  access(ino: number, mask: number, caller: { uid: number; gid: number }): Errno | 0;

  /** `flags` are those of open(2), without O_CREAT, O_EXCL, O_NOCTTY and O_TRUNC. */
  open(ino: number, flags: number): OpenReply | Errno;
  release(ino: number, handle: number): void;
  /** The bytes from `offset`: fewer than asked for mean the end of the file. */
  read(ino: number, offset: number, lengthBytes: number): readonly Segment[] | Errno;
  /** `bytes` is a view of the request, valid during the call. Returns how many were written. */
  write(ino: number, offset: number, bytes: Uint8Array): number | Errno;
  flush(ino: number): Errno | 0;
  fsync(ino: number): Errno | 0;
  /** SEEK_DATA (3) and SEEK_HOLE (4); the kernel does the others itself. */
  lseek(ino: number, offset: number, whence: number): number | Errno;

  opendir(ino: number): OpenReply | Errno;
  releasedir(ino: number, handle: number): void;
  /**
   * Emits the entries after `cookie` (0: from the start), `.` and `..` among them, until `emit`
   * says false. `nextCookie` is where to go on after that entry: never 0, kept by the kernel.
   */
  readdir(ino: number, cookie: number, emit: EmitEntry): Errno | 0;

  statfs(): Statfs;
  getxattr(ino: number, name: string): Uint8Array | Errno;
  listxattr(ino: number): readonly string[] | Errno;

  /** GET_FMAP, once an inode's life: the map that loads and stores then go by, with no upcall. */
  getFmap(ino: number): FileMap | Errno;
  /** GET_DAXDEV: path of the daxdev of that index, for the kernels that ask. */
  getDaxdev(devindex: number): string | Errno;
}
