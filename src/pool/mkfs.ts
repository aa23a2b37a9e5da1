import { randomUUID } from 'node:crypto';
import { Fault, isFault } from '../base/errors.ts';
import { formatSize, isPowerOfTwo, MiB } from '../base/numbers.ts';
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
 * The superblock goes last, and the old one first, so a crash leaves either the old pool, or no
 * pool, or the new one.
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
  const image = encodeSuperblock(superblock);
  const lastIndex = logCapacity(logLengthBytes) - 1;
  memory.write(0, new Uint8Array(SUPERBLOCK_BYTES));
  memory.write(
    LOG_OFFSET,
    encodeLogHeader({ logLengthBytes, lastIndex, nextSeqnum: 0, nextIndex: 0 }),
  );
  memory.write(0, image);
  return superblock;
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
    throw new Fault(
      'INVALID',
      `device: has ${formatSize(deviceBytes)} (${deviceBytes} bytes), a pool with this log ` +
        `needs at least ${formatSize(neededBytes)} (${neededBytes} bytes); give a larger device`,
    );
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
  if (log.every((byte) => byte === 0)) return recognise(start);
  return recognise(start) ?? describeOrphanLog(log);
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
