import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { ioIn, joined, viewOf } from './messages.ts';
import type { OpenFile } from './open-file.ts';
import { payloadOf } from './paths.ts';
import type { Program } from './task.ts';

const PAGE_BYTES = 4096;
/** What a kernel reads ahead: the recorded ones read that much at the first touch. */
const WINDOW_BYTES = 128 * 1024;
/** fuse_read_in.read_flags and fuse_write_in.write_flags. */
const LOCKOWNER = 2;
const FROM_CACHE = 1;

/** An ordinary FUSE file: bytes by message, through the page cache or past it. */
export function* readDirect(file: OpenFile, offset: number, length: number): Program<Uint8Array> {
  const { inode, fh, flags, caller, lockOwner } = file;
  const io = { fh, offset, lengthBytes: length, ioFlags: LOCKOWNER, lockOwner, flags };
  const answer = yield { opcode: OPCODE.READ, nodeid: inode.ino, body: ioIn(io), caller };
  return payloadOf(answer);
}

export function* writeDirect(
  file: OpenFile,
  offset: number,
  bytes: Uint8Array,
  fromCache = false,
): Program<number> {
  const { inode, fh, flags, caller } = file;
  let done = 0;
  while (done < bytes.length) {
    const part = bytes.subarray(done, done + file.kernel.maxWriteBytes);
    const body = ioIn({
      fh,
      offset: offset + done,
      lengthBytes: part.length,
      ioFlags: fromCache ? FROM_CACHE : LOCKOWNER,
      lockOwner: fromCache ? 0n : file.lockOwner,
      flags,
    });
    const { WRITE: opcode } = OPCODE;
    const answer = yield { opcode, nodeid: inode.ino, body: joined(body, part), caller };
    const written = viewOf(payloadOf(answer, 8)).getUint32(0, true);
    done += written;
    if (written < part.length) break;
  }
  return done;
}

/** Has the pages of a range in the cache; by windows of what is read ahead. */
export function* fill(file: OpenFile, offset: number, length: number): Program<void> {
  const { inode, fh, flags, caller } = file;
  const end = Math.ceil(inode.sizeBytes / PAGE_BYTES) * PAGE_BYTES;
  for (let at = offset - (offset % PAGE_BYTES); at < offset + length; at += PAGE_BYTES) {
    if (inode.pages.has(at / PAGE_BYTES)) continue;
    const start = at - (at % WINDOW_BYTES);
    const lengthBytes = Math.min(WINDOW_BYTES, end - start);
    const io = { fh, offset: start, lengthBytes, ioFlags: 0, lockOwner: 0n, flags };
    const answer = yield { opcode: OPCODE.READ, nodeid: inode.ino, body: ioIn(io), caller };
    const bytes = payloadOf(answer);
    for (let page = 0; page < lengthBytes / PAGE_BYTES; page++) {
      const content = new Uint8Array(PAGE_BYTES);
      content.set(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
      const number = start / PAGE_BYTES + page;
      if (!inode.pages.has(number)) inode.pages.set(number, content);
    }
  }
}

/** Cached bytes of a range that `fill` has brought. */
export function cached(file: OpenFile, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) {
    const page = file.inode.pages.get(Math.floor((offset + at) / PAGE_BYTES));
    bytes[at] = page?.[(offset + at) % PAGE_BYTES] ?? 0;
  }
  return bytes;
}

export function setCached(file: OpenFile, offset: number, bytes: Uint8Array): void {
  for (const [at, byte] of bytes.entries()) {
    const page = file.inode.pages.get(Math.floor((offset + at) / PAGE_BYTES));
    if (page !== undefined) page[(offset + at) % PAGE_BYTES] = byte;
  }
}

/** What was stored through mappings, page by page. */
export function* writeBack(file: OpenFile): Program<void> {
  const { inode } = file;
  for (const page of [...inode.dirty].sort((a, b) => a - b)) {
    inode.dirty.delete(page);
    const length = Math.min(PAGE_BYTES, inode.sizeBytes - page * PAGE_BYTES);
    const bytes = inode.pages.get(page)?.subarray(0, length) ?? new Uint8Array();
    yield* writeDirect(file, page * PAGE_BYTES, bytes, true);
  }
}

export function markDirty(file: OpenFile, offset: number, length: number): void {
  const last = Math.floor((offset + length - 1) / PAGE_BYTES);
  for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) {
    file.inode.dirty.add(page);
  }
}
