import { Fault } from '../base/errors.ts';
import {
  entryOffset,
  LOG_HEADER_BYTES,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../format/log-header.ts';
import { SUPERBLOCK_BYTES, type Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { DeviceLock } from './device-lock.ts';
import { backupBytes, LogBackup, saveLog } from './log-backup.ts';
import { RawLog } from './raw-log.ts';
import { Renewal } from './renewal.ts';
import { assertMaster } from './repair.ts';
import { type LostNode, missingFrom } from './repair-report.ts';

export interface RestoreOutcome {
  readonly fsUuid: string;
  /** How many entries the log had, and has now. */
  readonly entriesBefore: number;
  readonly entries: number;
  /** What was made since the copy, and what is there again. */
  readonly lost: readonly LostNode[];
  readonly returned: readonly LostNode[];
}

/**
 * Puts back the log that `saved` holds, under the writers' lock, after a copy of the one that is
 * there was saved to `backup`. INVALID when `saved` is no copy of this pool; else as repairDevice.
 */
export async function restoreDevice(
  device: string,
  saved: string,
  backup: string,
  systemUuid: string,
): Promise<RestoreOutcome> {
  using memory = Mapping.open(device, { writable: true });
  using lock = new DeviceLock(device);
  using _hold = await lock.acquire();
  using copy = new LogBackup(saved, memory.lengthBytes);
  return restoreLog(memory, copy, systemUuid, (superblock) => saveLog(memory, superblock, backup));
}

/** The same from any memory to any other; the caller holds the lock. */
export function restoreLog(
  memory: SharedMemory,
  copy: SharedMemory,
  systemUuid: string,
  save: (superblock: Superblock) => void,
): RestoreOutcome {
  const now = new RawLog(memory);
  assertMaster(now.superblock, systemUuid);
  if (!isSame(memory.read(0, SUPERBLOCK_BYTES), copy.read(0, SUPERBLOCK_BYTES))) {
    throw new Fault(
      'INVALID',
      `restore: the copy is of another pool than ${now.superblock.fsUuid}, or the superblock has ` +
        'changed since; nothing was written',
    );
  }
  copy.read(backupBytes(now.superblock) - 1, 1); // or it was cut short, and is none
  const then = new RawLog(copy);
  const entriesBefore = Math.min(now.nextIndex, now.capacity);
  const entries = Math.min(then.nextIndex, then.capacity);
  const [before, after] = [now.replay(entriesBefore), then.replay(entries)];
  const lost = missingFrom(after, before);
  const returned = missingFrom(before, after);
  const renewal = new Renewal(memory, now.superblock);
  save(now.superblock);
  store(now, then, commonPrefix(now, then, Math.min(entriesBefore, entries)), entries);
  renewal.finish(entries);
  return { fsUuid: now.superblock.fsUuid, entriesBefore, entries, lost, returned };
}

/**
 * Wherever the power is cut, readers find a log that is a prefix of both, or the copy:
 *   1. next_index, then next_seqnum, go back to the first entry that differs
 *   2. the copy's entries from there on, which nobody reads yet
 *   3. its next_seqnum, then next_index, as every append does; then the header's fixed fields
 */
function store(now: RawLog, then: RawLog, common: number, entries: number): void {
  const { memory } = now;
  const header = then.memory.read(LOG_OFFSET, LOG_HEADER_BYTES);
  const words = new DataView(header.buffer, header.byteOffset);
  if (common < now.nextIndex) {
    memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, BigInt(common));
    memory.publish(LOG_OFFSET + NEXT_SEQNUM_OFFSET, BigInt(common));
  }
  for (const { index, bytes } of then.slots(common, entries)) {
    memory.write(LOG_OFFSET + entryOffset(index), bytes);
  }
  for (const word of [NEXT_SEQNUM_OFFSET, NEXT_INDEX_OFFSET]) {
    memory.publish(LOG_OFFSET + word, words.getBigUint64(word, true));
  }
  memory.write(LOG_OFFSET, header.subarray(0, NEXT_SEQNUM_OFFSET));
}

function commonPrefix(now: RawLog, then: RawLog, limit: number): number {
  const others = then.slots(0, limit)[Symbol.iterator]();
  for (const { index, bytes } of now.slots(0, limit)) {
    const other = others.next();
    if (other.done || !isSame(bytes, other.value.bytes)) return index;
  }
  return limit;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
