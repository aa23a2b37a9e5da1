import { crc32 } from 'node:zlib';
import { Fault } from '../base/errors.ts';
import { layout } from '../base/layout.ts';
import { getU64, MiB, setU64 } from '../base/numbers.ts';

/**
 * The log's header, at LOG_OFFSET of the primary device; format.md, "Log header". Little-endian.
 *
 * | field | written by | a torn write gives |
 * |---|---|---|
 * | magic, logLength, lastIndex, crc | mkfs, once | CORRUPT: the crc covers bytes [0, 24) |
 * | nextSeqnum, nextIndex | each append, one aligned 8-byte store each | the old or the new word |
 */
const F = layout('log_header', 48, {
  magic: [0, 8],
  logLength: [8, 8],
  lastIndex: [16, 8],
  crc: [24, 8],
  nextSeqnum: [32, 8],
  nextIndex: [40, 8],
});

export const LOG_OFFSET = 2 * MiB;
export const LOG_LENGTH_MIN = 8 * MiB;
export const LOG_HEADER_BYTES = F.size;
export const ENTRY_BYTES = 544;
/** Offsets in the header of the two words that an append publishes. */
export const NEXT_SEQNUM_OFFSET = F.nextSeqnum;
export const NEXT_INDEX_OFFSET = F.nextIndex;

const MAGIC = 0xbadcafef00dn;

export interface LogHeader {
  readonly logLengthBytes: number;
  /** The index of the last entry that fits. */
  readonly lastIndex: number;
  readonly nextSeqnum: number;
  /** The index that the next entry gets: every entry below it is complete. */
  readonly nextIndex: number;
}

/** How many entries a log of this length holds. */
export function logCapacity(logLengthBytes: number): number {
  return Math.floor((logLengthBytes - LOG_HEADER_BYTES) / ENTRY_BYTES);
}

/** Offset of an entry from the start of the log. */
export function entryOffset(index: number): number {
  return LOG_HEADER_BYTES + index * ENTRY_BYTES;
}

export function encodeLogHeader(header: LogHeader): Uint8Array {
  const bytes = new Uint8Array(F.size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(F.magic, MAGIC, true);
  setU64(view, F.logLength, header.logLengthBytes);
  setU64(view, F.lastIndex, header.lastIndex);
  setU64(view, F.crc, crc32(bytes.subarray(0, F.crc)));
  setU64(view, F.nextSeqnum, header.nextSeqnum);
  setU64(view, F.nextIndex, header.nextIndex);
  return bytes;
}

/**
 * CORRUPT: too few bytes, a wrong magic or crc, a last_index that the length denies, a next_index
 * beyond it.
 */
export function decodeLogHeader(bytes: Uint8Array): LogHeader {
  if (bytes.length < F.size) throw corrupt(`found ${bytes.length} bytes, expected ${F.size}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getBigUint64(F.magic, true);
  if (magic !== MAGIC) {
    throw corrupt(`magic is 0x${magic.toString(16)}, expected 0x${MAGIC.toString(16)}`);
  }
  const crc = view.getBigUint64(F.crc, true);
  const computed = BigInt(crc32(bytes.subarray(0, F.crc)));
  if (crc !== computed) {
    throw corrupt(`crc is 0x${crc.toString(16)}, its bytes give 0x${computed.toString(16)}`);
  }
  const header = {
    logLengthBytes: getU64(view, F.logLength, 'log header length'),
    lastIndex: getU64(view, F.lastIndex, 'log header last_index'),
    nextSeqnum: getU64(view, F.nextSeqnum, 'log header next_seqnum'),
    nextIndex: getU64(view, F.nextIndex, 'log header next_index'),
  };
  const capacity = logCapacity(header.logLengthBytes);
  if (header.lastIndex !== capacity - 1) {
    throw corrupt(`last_index is ${header.lastIndex}, its length gives ${capacity - 1}`);
  }
  if (header.nextIndex > capacity) {
    throw corrupt(`next_index is ${header.nextIndex}, the log holds ${capacity} entries`);
  }
  return header;
}

function corrupt(what: string): Fault {
  return new Fault('CORRUPT', `log header: ${what}`);
}
