import { setU64 } from '../../src/base/numbers.ts';
import * as abi from '../../src/fuse/abi-structs.ts';

/** Who makes a system call: FUSE puts it into the header. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

export const NOBODY: Caller = { uid: 0, gid: 0, pid: 0 };

/** One message to the server, but for the number that the queue gives it. */
export interface Upcall {
  readonly opcode: number;
  readonly nodeid: number;
  readonly body: Uint8Array;
  readonly caller: Caller;
}

/** What came back: 0 or −errno, and what follows the header. */
export interface Answer {
  readonly error: number;
  readonly payload: Uint8Array;
}

export function encodeMessage(
  unique: bigint,
  { opcode, nodeid, body, caller }: Upcall,
): Uint8Array {
  const bytes = new Uint8Array(abi.IN_HEADER.size + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(abi.IN_HEADER.len, bytes.length, true);
  view.setUint32(abi.IN_HEADER.opcode, opcode, true);
  view.setBigUint64(abi.IN_HEADER.unique, unique, true);
  setU64(view, abi.IN_HEADER.nodeid, nodeid);
  view.setUint32(abi.IN_HEADER.uid, caller.uid, true);
  view.setUint32(abi.IN_HEADER.gid, caller.gid, true);
  view.setUint32(abi.IN_HEADER.pid, caller.pid, true);
  bytes.set(body, abi.IN_HEADER.size);
  return bytes;
}

type Field = readonly [offset: number, bytes: 2 | 4 | 8, value: number | bigint];

/** A struct of zeros with these fields. */
export function struct(sizeBytes: number, ...fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  for (const [offset, width, value] of fields) {
    if (width === 8) view.setBigUint64(offset, BigInt(value), true);
    else if (width === 4) view.setUint32(offset, Number(value), true);
    else view.setUint16(offset, Number(value), true);
  }
  return bytes;
}

/** Several parts of a body, one after the other; text is a name with its NUL. */
export function joined(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part));
  return new Uint8Array(Buffer.concat(bytes));
}

export const initIn = (flags2: number): Uint8Array =>
  struct(
    abi.INIT_IN.size,
    [abi.INIT_IN.major, 4, 7],
    [abi.INIT_IN.minor, 4, 46],
    [abi.INIT_IN.maxReadahead, 4, 0x20000],
    [abi.INIT_IN.flags, 4, 0x73fffffb],
    [abi.INIT_IN.flags2, 4, flags2],
  );

export const openIn = (flags: number): Uint8Array =>
  struct(abi.OPEN_IN.size, [abi.OPEN_IN.flags, 4, flags]);

export const flushIn = (fh: bigint, lockOwner: bigint): Uint8Array =>
  struct(abi.FLUSH_IN.size, [abi.FLUSH_IN.fh, 8, fh], [abi.FLUSH_IN.lockOwner, 8, lockOwner]);

export const releaseIn = (fh: bigint, flags: number): Uint8Array =>
  struct(abi.RELEASE_IN.size, [abi.RELEASE_IN.fh, 8, fh], [abi.RELEASE_IN.flags, 4, flags]);

export const fsyncIn = (fh: bigint, dataOnly: boolean): Uint8Array =>
  struct(
    abi.FSYNC_IN.size,
    [abi.FSYNC_IN.fh, 8, fh],
    [abi.FSYNC_IN.fsyncFlags, 4, dataOnly ? 1 : 0],
  );

/** Of READ, READDIR, READDIRPLUS and, before its data, WRITE: the structs are alike. */
export const ioIn = (io: {
  fh: bigint;
  offset: number;
  lengthBytes: number;
  ioFlags: number;
  lockOwner: bigint;
  flags: number;
}): Uint8Array =>
  struct(
    abi.READ_IN.size,
    [abi.READ_IN.fh, 8, io.fh],
    [abi.READ_IN.offset, 8, io.offset],
    [abi.READ_IN.lengthBytes, 4, io.lengthBytes],
    [abi.READ_IN.readFlags, 4, io.ioFlags],
    [abi.READ_IN.lockOwner, 8, io.lockOwner],
    [abi.READ_IN.flags, 4, io.flags],
  );

export const forgetIn = (nlookup: number): Uint8Array =>
  struct(abi.FORGET_IN.size, [abi.FORGET_IN.nlookup, 8, nlookup]);

export const setattrIn = (valid: number, sizeBytes: number, fh = 0n): Uint8Array =>
  struct(
    abi.SETATTR_IN.size,
    [abi.SETATTR_IN.valid, 4, valid],
    [abi.SETATTR_IN.fh, 8, fh],
    [abi.SETATTR_IN.sizeBytes, 8, sizeBytes],
  );

/** CREATE: fuse_create_in and the name. */
export const createIn = (flags: number, mode: number, umask: number, name: string): Uint8Array =>
  joined(struct(16, [0, 4, flags], [4, 4, mode], [8, 4, umask]), name);

/** Attributes, as far as the kernel here looks at them. */
export interface Attributes {
  readonly ino: number;
  readonly sizeBytes: number;
  readonly mode: number;
  /** How long they are valid. */
  readonly validMs: number;
}

function duration(view: DataView, seconds: number, nanoseconds: number): number {
  const whole = Number(view.getBigUint64(seconds, true));
  return whole * 1000 + view.getUint32(nanoseconds, true) / 1e6;
}

function attributesAt(view: DataView, at: number, validMs: number): Attributes {
  return {
    ino: Number(view.getBigUint64(at + abi.ATTR.ino, true)),
    sizeBytes: Number(view.getBigUint64(at + abi.ATTR.sizeBytes, true)),
    mode: view.getUint32(at + abi.ATTR.mode, true),
    validMs,
  };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** fuse_entry_out at `at` of a payload. */
export function readEntry(payload: Uint8Array, at = 0) {
  const view = viewOf(payload.subarray(at));
  const { ENTRY_OUT } = abi;
  return {
    nodeid: Number(view.getBigUint64(ENTRY_OUT.nodeid, true)),
    entryValidMs: duration(view, ENTRY_OUT.entryValid, ENTRY_OUT.entryValidNsec),
    attributes: attributesAt(
      view,
      ENTRY_OUT.attr,
      duration(view, ENTRY_OUT.attrValid, ENTRY_OUT.attrValidNsec),
    ),
  };
}

/** fuse_attr_out. */
export function readAttributes(payload: Uint8Array): Attributes {
  const view = viewOf(payload);
  const validMs = duration(view, abi.ATTR_OUT.attrValid, abi.ATTR_OUT.attrValidNsec);
  return attributesAt(view, abi.ATTR_OUT.attr, validMs);
}

/** fuse_open_out at `at` of a payload. */
export function readOpen(payload: Uint8Array, at = 0): { fh: bigint; openFlags: number } {
  const view = viewOf(payload.subarray(at));
  return {
    fh: view.getBigUint64(abi.OPEN_OUT.fh, true),
    openFlags: view.getUint32(abi.OPEN_OUT.openFlags, true),
  };
}

/** Entries of READDIRPLUS (`plus`) or READDIR. */
export function* readDirectory(payload: Uint8Array, plus: boolean) {
  const direntAt = plus ? abi.DIRENTPLUS.dirent : 0;
  for (let at = 0; at < payload.length; ) {
    const view = viewOf(payload.subarray(at + direntAt));
    const nameBytes = view.getUint32(abi.DIRENT.namelen, true);
    const nameAt = at + direntAt + abi.DIRENT.size;
    yield {
      name: Buffer.from(payload.subarray(nameAt, nameAt + nameBytes)).toString(),
      next: Number(view.getBigUint64(abi.DIRENT.off, true)),
      entry: plus ? readEntry(payload, at) : undefined,
    };
    at = (nameAt + nameBytes + 7) & ~7;
  }
}
