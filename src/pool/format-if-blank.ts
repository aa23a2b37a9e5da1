import { isZero } from '../base/bytes.ts';
import { isFault } from '../base/errors.ts';
import {
  encodeLogHeader,
  LOG_HEADER_BYTES,
  LOG_OFFSET,
  logCapacity,
} from '../format/log-header.ts';
import { decodeSuperblock, SUPERBLOCK_BYTES, type Superblock } from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { DEFAULT_LOG_BYTES, type MkfsOptions, mkfs } from './mkfs.ts';

const MAGIC_BYTES = 8;
/** Of the log, behind its header: the places of its first entries. */
const LOG_LOOK_BYTES = 64 * 1024;
const CHUNK_BYTES = 256 * 1024;

/**
 * Formats memory that is blank, and finishes an mkfs of ours on blank memory that was cut short.
 * Undefined, and nothing written, where a famfs superblock is, be it damaged. EXISTS, and nothing
 * written, for anything else: nobody is here to say that it may go. The caller keeps other
 * formatters out.
 */
export function formatIfBlank(
  memory: SharedMemory,
  options: Omit<MkfsOptions, 'force'>,
): Superblock | undefined {
  const start = memory.read(0, SUPERBLOCK_BYTES);
  if (isFamfs(start)) return undefined;
  const { logLengthBytes = DEFAULT_LOG_BYTES } = options;
  return mkfs(memory, { ...options, force: isCutShort(memory, start, logLengthBytes) });
}

function isFamfs(start: Uint8Array): boolean {
  try {
    decodeSuperblock(start);
    return true;
  } catch (error) {
    if (!isFault(error)) throw error;
    return error.code !== 'NOT_FAMFS';
  }
}

/**
 * Whether all that is there is what an mkfs with this log length writes before the magic: the log's
 * header, in part or whole, then, once that is whole, the rest of a superblock.
 */
function isCutShort(memory: SharedMemory, start: Uint8Array, logLengthBytes: number): boolean {
  if (!isZero(start.subarray(0, MAGIC_BYTES))) return false;
  const lastIndex = logCapacity(logLengthBytes) - 1;
  const ours = encodeLogHeader({ logLengthBytes, lastIndex, nextSeqnum: 0, nextIndex: 0 });
  const header = memory.read(LOG_OFFSET, LOG_HEADER_BYTES);
  const isWhole = header.every((byte, at) => byte === ours[at]);
  const isPart = !isZero(header) && header.every((byte, at) => byte === 0 || byte === ours[at]);
  if (!isWhole && !(isPart && isZero(start))) return false;
  return (
    isBlank(memory, SUPERBLOCK_BYTES, LOG_OFFSET) &&
    isBlank(memory, LOG_OFFSET + LOG_HEADER_BYTES, LOG_OFFSET + LOG_LOOK_BYTES)
  );
}

function isBlank(memory: SharedMemory, from: number, to: number): boolean {
  for (let at = from; at < to; at += CHUNK_BYTES) {
    if (!isZero(memory.read(at, Math.min(CHUNK_BYTES, to - at)))) return false;
  }
  return true;
}
