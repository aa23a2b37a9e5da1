import { setU64 } from '../base/numbers.ts';
import { NOTIFY } from './abi-constants.ts';
import { INVAL_ENTRY_OUT, INVAL_INODE_OUT, OUT_HEADER } from './abi-structs.ts';

/**
 * Messages that the server sends unasked: a reply's header with `unique` 0 and the notification's
 * code in place of the error. The kernel acts on one during the write that sends it, so an
 * invalidation waits there for locks that a process may hold while it waits for our answer, and no
 * signal ends that wait: send it from another process than the one that answers (NameDropper).
 * `resend` takes no such lock.
 */

/** Asks for every request again that was read from the device and not answered. Linux ≥ 6.9. */
export function resend(): Uint8Array {
  return notification(NOTIFY.RESEND, 0).bytes;
}

/**
 * Drops a name from the kernel's cache, and forgets the inode if nothing else refers to it. The
 * write fails with ENOENT if the name was not cached.
 */
export function invalidateEntry(parent: number, name: string): Uint8Array {
  const nameBytes = Buffer.byteLength(name);
  const { bytes, view } = notification(
    NOTIFY.INVAL_ENTRY,
    INVAL_ENTRY_OUT.size + nameBytes + 1, // the NUL, which namelen does not count
  );
  setU64(view, OUT_HEADER.size + INVAL_ENTRY_OUT.parent, parent);
  view.setUint32(OUT_HEADER.size + INVAL_ENTRY_OUT.namelen, nameBytes, true);
  Buffer.from(bytes.buffer).write(name, OUT_HEADER.size + INVAL_ENTRY_OUT.size, 'utf8');
  return bytes;
}

/**
 * Drops an inode's cached attributes and its pages from `offset` on: `lengthBytes` of them, or all
 * that follow if that is 0. A negative `offset` leaves the pages alone.
 */
export function invalidateInode(ino: number, offset: number, lengthBytes: number): Uint8Array {
  const { bytes, view } = notification(NOTIFY.INVAL_INODE, INVAL_INODE_OUT.size);
  setU64(view, OUT_HEADER.size + INVAL_INODE_OUT.ino, ino);
  view.setBigInt64(OUT_HEADER.size + INVAL_INODE_OUT.off, BigInt(offset), true);
  view.setBigInt64(OUT_HEADER.size + INVAL_INODE_OUT.len, BigInt(lengthBytes), true);
  return bytes;
}

function notification(code: number, payloadBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(OUT_HEADER.size + payloadBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(OUT_HEADER.len, bytes.length, true);
  view.setInt32(OUT_HEADER.error, code, true);
  return { bytes, view };
}
