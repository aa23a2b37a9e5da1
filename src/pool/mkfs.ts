import { randomUUID } from 'node:crypto';
import { isZero } from '../base/bytes.ts';
import { Fault, isFault } from '../base/errors.ts';
import { formatSize, isPowerOfTwo, MiB, roundDown } from '../base/numbers.ts';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../format/control-area.ts';
import {
  decodeLogHeader,
  encodeLogHeader,
  LOG_HEADER_BYTES,
  LOG_OFFSET,
  logCapacity,
} from '../format/log-header.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  FLAG_PRIMARY,
  OMF_MAJOR,
  OMF_MINOR,
  SUPERBLOCK_BYTES,
  type Superblock,
} from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { recognise, SIGNATURE_BYTES } from './signatures.ts';

export const DEFAULT_LOG_BYTES = 8 * MiB;
const MAX_LOG_BYTES = 1024 * MiB;
const ALLOC_UNIT_BYTES = 2 * MiB;
const MAGIC_BYTES = 8;

export interface MkfsOptions {
  /** The device's name as the superblock records it: at most 63 bytes, for people. */
  readonly deviceName: string;
  /** The master: the one identity that may append. */
  readonly systemUuid: string;
  /** A power of two from 8 MiB to 1 GiB. */
  readonly logLengthBytes?: number;
  readonly fsUuid?: string;
  readonly deviceUuid?: string;
  /** Format over whatever is there. All files of an earlier famfs are lost. */
  readonly force?: boolean;
}

/**
 * Makes an empty famfs pool on the memory. EXISTS, and nothing written, where the memory holds a
 * superblock, even a damaged one, or anything else, unless forced; INVALID for a bad log length or
 * a memory too small for it.
 *
 * Whoever finds the magic in memory trusts the rest, so a pool goes and comes with that one word:
 *   1. publish no magic: the old pool, if there was one, is gone before any other byte of it; then
 *      its control area, since a new pool may get the old one's uuid
 *   2. write the log's header, then the superblock without its magic; `write` flushes and fences
 *   3. publish the magic
 * A crash before 1 leaves the old pool, one before 3 none, and later the new one; never a mix of
 * them, in the names for people neither. Followers of the old pool notice by the superblock, which
 * is gone before the log changes (LogFollower.assertSamePool).
 */
export function mkfs(memory: SharedMemory, options: MkfsOptions): Superblock {
  const logLengthBytes = options.logLengthBytes ?? DEFAULT_LOG_BYTES;
  checkGeometry(memory.lengthBytes, logLengthBytes);
  if (!options.force) refuseOccupied(memory);
  const superblock: Superblock = {
    logOffset: LOG_OFFSET,
    logLengthBytes,
    allocUnitBytes: ALLOC_UNIT_BYTES,
    omfMajor: OMF_MAJOR,
    omfMinor: OMF_MINOR,
    fsUuid: options.fsUuid ?? randomUUID(),
    deviceUuid: options.deviceUuid ?? randomUUID(),
    systemUuid: options.systemUuid,
    flags: FLAG_PRIMARY,
    deviceSizeBytes: memory.lengthBytes,
    deviceName: options.deviceName,
  };
  const lastIndex = logCapacity(logLengthBytes) - 1;
  const header = { logLengthBytes, lastIndex, nextSeqnum: 0, nextIndex: 0 };
  format(memory, superblock, encodeLogHeader(header));
  return superblock;
}

/**
 * Makes the memory a secondary device of a pool, in the same order; where a log would be there is
 * none. Faults as `mkfs`. A device that this was cut short on is blank for the next try.
 */
export function formatSecondary(memory: SharedMemory, superblock: Superblock, force = false): void {
  const neededBytes = 2 * ALLOC_UNIT_BYTES;
  if (memory.lengthBytes < neededBytes) {
    throw tooSmall(memory.lengthBytes, 'a device of a pool', neededBytes);
  }
  if (!force) refuseOccupied(memory);
  format(memory, superblock, new Uint8Array(LOG_HEADER_BYTES));
}

function format(memory: SharedMemory, superblock: Superblock, logHeader: Uint8Array): void {
  const image = encodeSuperblock(superblock);
  flushWriters(memory);
  memory.publish(0, 0n);
  clearControlArea(memory);
  memory.write(LOG_OFFSET, logHeader);
  memory.write(MAGIC_BYTES, image.subarray(MAGIC_BYTES));
  memory.publish(0, new DataView(image.buffer).getBigUint64(0, true));
}

function tooSmall(deviceBytes: number, what: string, neededBytes: number): Fault {
  return new Fault(
    'INVALID',
    `device: has ${formatSize(deviceBytes)} (${deviceBytes} bytes), ${what} ` +
      `needs at least ${formatSize(neededBytes)} (${neededBytes} bytes); give a larger device`,
  );
}

/** How much behind the superblock formatting may touch: an old log, or the new one. */
export function logSpaceBytes(deviceBytes: number): number {
  return Math.min(MAX_LOG_BYTES, roundDown(deviceBytes - LOG_OFFSET, ALLOC_UNIT_BYTES));
}

/**
 * What a writer of an old pool left in this host's cache when it was killed must not be evicted
 * over the new one, whose data may stand where the old log was (LogWriter.flush).
 */
function flushWriters(memory: SharedMemory): void {
  memory.flush(0, Math.min(memory.lengthBytes, LOG_OFFSET + MAX_LOG_BYTES));
}

function clearControlArea(memory: SharedMemory): void {
  if (isZero(memory.read(CONTROL_OFFSET, CONTROL_BYTES))) return;
  memory.write(CONTROL_OFFSET, new Uint8Array(CONTROL_BYTES));
}

function checkGeometry(deviceBytes: number, logLengthBytes: number): void {
  const isLength = isPowerOfTwo(logLengthBytes);
  if (!isLength || logLengthBytes < DEFAULT_LOG_BYTES || logLengthBytes > MAX_LOG_BYTES) {
    throw new Fault(
      'INVALID',
      `log size: found ${logLengthBytes}, expected a power of two from ` +
        `${formatSize(DEFAULT_LOG_BYTES)} to ${formatSize(MAX_LOG_BYTES)}`,
    );
  }
  const neededBytes = LOG_OFFSET + logLengthBytes + ALLOC_UNIT_BYTES;
  if (deviceBytes < neededBytes) {
    throw tooSmall(deviceBytes, 'a pool with this log', neededBytes);
  }
}

function refuseOccupied(memory: SharedMemory): void {
  const found = describeContent(memory);
  if (found === undefined) return;
  throw new Fault(
    'EXISTS',
    `device: holds ${found}; nothing was written; give another device, or --force to lose it`,
  );
}

function describeContent(memory: SharedMemory): string | undefined {
  const start = memory.read(0, SIGNATURE_BYTES);
  try {
    const { fsUuid } = decodeSuperblock(start.subarray(0, SUPERBLOCK_BYTES));
    return `a famfs superblock (pool ${fsUuid})`;
  } catch (error) {
    if (!isFault(error)) throw error;
    if (error.code !== 'NOT_FAMFS') return `a famfs superblock (${error.message})`;
  }
  const log = memory.read(LOG_OFFSET, LOG_HEADER_BYTES);
  // An mkfs that was cut short leaves the rest of a superblock, of the old one or of its own.
  if (isZero(start.subarray(0, MAGIC_BYTES))) start.fill(0, 0, SUPERBLOCK_BYTES);
  return recognise(start) ?? (isZero(log) ? undefined : describeOrphanLog(log));
}

/** What an mkfs leaves that was cut short: its log header, or the one that was there before. */
function describeOrphanLog(bytes: Uint8Array): string {
  try {
    const { nextIndex } = decodeLogHeader(bytes);
    return nextIndex === 0
      ? 'the empty log of an mkfs that was cut short (no superblock, no files)'
      : `a log of ${nextIndex} entries without a superblock: an mkfs over a famfs pool was cut ` +
          'short, or the superblock is lost; nothing leads to the old files but this log';
  } catch (error) {
    if (!isFault(error)) throw error;
    return 'data where a log goes';
  }
}
