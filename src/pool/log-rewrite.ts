import { constants, crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { Fault } from '../base/errors.ts';
import { roundUp } from '../base/numbers.ts';
import type { DeviceRange, Image } from '../format/control-area.ts';
import { IMAGE_RANGES_MAX } from '../format/control-area.ts';
import { encodeLogEntry, type NewEntry } from '../format/log-entry.ts';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../format/log-header.ts';
import type { SharedMemory } from '../native/shared-memory.ts';

/** How much is copied at once. */
const PIECE_BYTES = 120 * ENTRY_BYTES;
const LINE_BYTES = 64;

/** The bytes of a new log's entries, with the stamp of its generation. */
export function encodeImage(entries: readonly NewEntry[], generation: number): Uint8Array {
  return Buffer.concat(entries.map((entry, index) => encodeLogEntry(index, entry, generation)));
}

/**
 * An image of these entries in memory that is nobody's, and what is to be written there: deflated,
 * a log takes a twentieth of its room. Undefined where the room does not suffice.
 */
export function planImage(
  entries: Uint8Array,
  roomFor: (lengthBytes: number) => readonly DeviceRange[],
): { readonly image: Image; readonly bytes: Uint8Array } | undefined {
  const bytes = deflateRawSync(entries, { level: constants.Z_BEST_SPEED });
  const ranges: DeviceRange[] = [];
  let left = roundUp(bytes.length, LINE_BYTES);
  for (const { offset, lengthBytes } of roomFor(left).slice(0, IMAGE_RANGES_MAX)) {
    if (left === 0) break;
    ranges.push({ offset, lengthBytes: Math.min(left, lengthBytes) });
    left -= Math.min(left, lengthBytes);
  }
  if (left > 0) return undefined;
  const facts = { entries: entries.length / ENTRY_BYTES, crc: crc32(entries) };
  return { image: { ...facts, lengthBytes: bytes.length, ranges }, bytes };
}

export function writeImage(memory: SharedMemory, image: Image, bytes: Uint8Array): void {
  let done = 0;
  for (const { offset, lengthBytes } of image.ranges) {
    const end = Math.min(bytes.length, done + lengthBytes);
    for (let at = done; at < end; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, Math.min(end, at + PIECE_BYTES));
      memory.write(offset + at - done, piece);
    }
    done = end;
  }
}

/**
 * Writes the log anew from the image, of which it is a function: to be done again, by whoever
 * comes, wherever it was cut short. Other readers than ours see the empty log, then all of it.
 * CORRUPT, and nothing written, where the image is not what its writer made.
 */
export function rewriteLog(memory: SharedMemory, image: Image): number {
  const bytes = readImage(memory, image);
  memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, 0n);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    memory.write(LOG_OFFSET + entryOffset(0) + at, bytes.subarray(at, at + PIECE_BYTES));
  }
  return bytes.length / ENTRY_BYTES;
}

/** Reveals a log of so many entries to everybody, the reference's readers too. */
export function revealLog(memory: SharedMemory, entries: number): void {
  memory.publish(LOG_OFFSET + NEXT_SEQNUM_OFFSET, BigInt(entries));
  memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, BigInt(entries));
}

function readImage(memory: SharedMemory, image: Image): Uint8Array {
  const parts: Uint8Array[] = [];
  let left = image.lengthBytes;
  for (const { offset, lengthBytes } of image.ranges) {
    const partBytes = Math.min(left, lengthBytes);
    if (offset + partBytes > memory.lengthBytes) break;
    parts.push(memory.read(offset, partBytes).slice());
    left -= partBytes;
  }
  const entries = inflated(Buffer.concat(parts), image.entries * ENTRY_BYTES);
  if (entries !== undefined && crc32(entries) === image.crc) return entries;
  throw new Fault(
    'CORRUPT',
    `log: it was being rewritten, and the image to do it from (${image.entries} entries at ` +
      `${image.ranges.map(({ offset }) => offset).join(', ')}) is damaged; nothing was written`,
  );
}

/** Undefined for what does not inflate to that length. */
function inflated(bytes: Uint8Array, lengthBytes: number): Uint8Array | undefined {
  try {
    const found = inflateRawSync(bytes, { maxOutputLength: Math.max(1, lengthBytes) });
    return found.length === lengthBytes ? found : undefined;
  } catch {
    return undefined;
  }
}
