import { Fault } from '../base/errors.ts';
import { CRC_OFFSET, SEQNUM_OFFSET } from '../format/log-entry.ts';
import {
  ENTRY_BYTES,
  encodeLogHeader,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../format/log-header.ts';
import type { Problem } from '../format/replica.ts';
import type { Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { DeviceLock } from './device-lock.ts';
import { saveLog } from './log-backup.ts';
import { LogFollower } from './log-follower.ts';
import { RawLog } from './raw-log.ts';
import { Renewal } from './renewal.ts';
import { planRepair, type RepairPlan, type RepairWish } from './repair-plan.ts';

export interface RepairOutcome {
  readonly fsUuid: string;
  readonly plan: RepairPlan;
  /** What `check` finds afterwards. */
  readonly remaining: readonly Problem[];
}

/** The fields of the header that its crc covers, and the crc. */
const FIXED_BYTES = NEXT_SEQNUM_OFFSET;

/**
 * Repairs the log of the pool on a device as wished, under the writers' lock, after a copy of
 * superblock and log was saved to the new file `backup`. PRECONDITION when the wish cannot be had
 * or nothing is damaged, READ_ONLY where `systemUuid` is not the master's, EXISTS for a backup that
 * is there already, BUSY while another writer holds the lock: then nothing was written.
 */
export async function repairDevice(
  device: string,
  wish: RepairWish,
  backup: string,
  systemUuid: string,
): Promise<RepairOutcome> {
  using memory = Mapping.open(device, { writable: true });
  using lock = new DeviceLock(device);
  using _hold = await lock.acquire();
  return repairLog(memory, wish, systemUuid, (superblock) => saveLog(memory, superblock, backup));
}

/** The same on any memory; the caller holds the lock. `save` makes the copy before any store. */
export function repairLog(
  memory: SharedMemory,
  wish: RepairWish,
  systemUuid: string,
  save: (superblock: Superblock) => void,
): RepairOutcome {
  const log = new RawLog(memory);
  assertMaster(log.superblock, systemUuid);
  const plan = planRepair(log, wish);
  const renewal = new Renewal(memory, log.superblock);
  save(log.superblock);
  store(log, plan);
  renewal.finish(plan.entries);
  const { replica } = new LogFollower(memory);
  if (replica.damage !== undefined || replica.position !== plan.entries) {
    const found = replica.damage?.message ?? `it ends at ${replica.position}`;
    throw new Fault('CORRUPT', `repair: the log is not as it was written: ${found}; restore it`);
  }
  return { fsUuid: log.superblock.fsUuid, plan, remaining: replica.problems };
}

/** READ_ONLY on a host that is not the pool's master. */
export function assertMaster({ systemUuid: master }: Superblock, systemUuid: string): void {
  if (systemUuid === master) return;
  throw new Fault(
    'READ_ONLY',
    `repair: the pool's master is ${master}, this writer is ${systemUuid}; run it on the master, ` +
      'or with --system-uuid if this is the same',
  );
}

/**
 * Wherever the power is cut, readers find the old damage or the repaired log, and a second repair
 * finishes the first:
 *   1. stand-ins, the last one first. Readers stop at the first damaged entry, and do until its
 *      stand-in is whole in memory; one that is torn is damaged as well, and has the same extents.
 *      One that only gets another number has its crc changed first: by it, it is still whole.
 *   2. the two words. To a log that gets shorter, the lower next_index is the repair itself; then
 *      next_seqnum, which `recover` mends where it was left ahead. Else as every append does.
 *   3. the header's fixed fields. Nobody opens the log before they are right.
 */
function store(log: RawLog, plan: RepairPlan): void {
  const { memory } = log;
  for (const [index, image] of [...plan.images].sort(([a], [b]) => b - a)) {
    replaceEntry(memory, LOG_OFFSET + entryOffset(index), image);
  }
  const publish = (offset: number) => memory.publish(LOG_OFFSET + offset, BigInt(plan.entries));
  if (plan.entries < log.nextIndex) publish(NEXT_INDEX_OFFSET);
  if (plan.entries !== log.nextSeqnum) publish(NEXT_SEQNUM_OFFSET);
  if (plan.entries > log.nextIndex) publish(NEXT_INDEX_OFFSET);
  if (!plan.rewriteHeader) return;
  const { logLengthBytes } = log.superblock;
  const header = encodeLogHeader({
    logLengthBytes,
    lastIndex: log.capacity - 1,
    nextSeqnum: plan.entries,
    nextIndex: plan.entries,
  });
  memory.write(LOG_OFFSET, header.subarray(0, FIXED_BYTES));
}

function replaceEntry(memory: SharedMemory, offset: number, image: Uint8Array): void {
  const found = memory.read(offset, ENTRY_BYTES);
  const isSameButNumber = found
    .subarray(SEQNUM_OFFSET + 8, CRC_OFFSET)
    .every((byte, at) => byte === image[SEQNUM_OFFSET + 8 + at]);
  if (!isSameButNumber) {
    memory.write(offset, image);
    return;
  }
  const words = new DataView(image.buffer, image.byteOffset);
  for (const word of [CRC_OFFSET, SEQNUM_OFFSET]) {
    memory.publish(offset + word, words.getBigUint64(word, true));
  }
}
