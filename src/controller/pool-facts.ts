import { formatSize } from '../base/numbers.ts';
import { type PoolCondition, poolCondition } from './pool-health.ts';
import type { VolumePool } from './volume-pool.ts';

/** A pool in figures, as its log says it; for metrics, the FamfsPool object and whoever looks. */
export interface PoolFacts {
  readonly name: string;
  readonly fsUuid: string;
  readonly capacityBytes: number;
  /** Files, and deleted ones whose memory is not free yet. */
  readonly usedBytes: number;
  readonly quarantinedBytes: number;
  readonly largestFreeBytes: number;
  readonly files: number;
  readonly logEntries: number;
  readonly logCapacity: number;
  readonly condition: PoolCondition;
}

/** Follows the log first; throws what that throws. */
export function poolFacts(pool: VolumePool): PoolFacts {
  pool.follow();
  const { name, fsUuid, replica } = pool;
  const { space, namespace, position, capacity } = replica;
  const dead = replica.deadExtents();
  return {
    name,
    fsUuid,
    capacityBytes: space.allocatedBytes + space.freeBytes,
    usedBytes: space.allocatedBytes,
    quarantinedBytes: dead.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
    largestFreeBytes: space.largestAllocatable({ strips: 0 }),
    files: namespace.fileCount,
    logEntries: position,
    logCapacity: capacity,
    condition: poolCondition(pool),
  };
}

/** How full the log is, from 0 to 1. */
export function logFill({ logEntries, logCapacity }: PoolFacts): number {
  return logCapacity === 0 ? 1 : logEntries / logCapacity;
}

/** The same for people who read `kubectl get famfspools`. */
export function readable(facts: PoolFacts) {
  const percent = 100 * logFill(facts);
  return {
    capacity: formatSize(facts.capacityBytes),
    used: formatSize(facts.usedBytes),
    largestFree: formatSize(facts.largestFreeBytes),
    logFill: `${percent > 0 && percent < 1 ? '<1' : Math.floor(percent)}%`,
  };
}
