import { formatSize } from '../base/numbers.ts';
import { type Accounting, accountOf } from '../format/accounting.ts';
import { type PoolCondition, poolCondition } from './pool-health.ts';
import type { VolumePool } from './volume-pool.ts';

/** A pool in figures, as its log says it; for metrics, the FamfsPool object and whoever looks. */
export interface PoolFacts extends Accounting {
  readonly name: string;
  readonly fsUuid: string;
  /** Files, and deleted ones whose memory is not free yet. */
  readonly usedBytes: number;
  readonly files: number;
  readonly logEntries: number;
  readonly logGeneration: number;
  readonly condition: PoolCondition;
}

/** Follows the log first; throws what that throws. */
export function poolFacts(pool: VolumePool): PoolFacts {
  pool.follow();
  const { name, fsUuid, replica, generation: logGeneration } = pool;
  return {
    name,
    fsUuid,
    ...accountOf(replica),
    usedBytes: replica.space.allocatedBytes,
    files: replica.namespace.fileCount,
    logEntries: replica.position,
    logGeneration,
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
    quarantined: formatSize(facts.quarantinedBytes),
    logFill: `${percent > 0 && percent < 1 ? '<1' : Math.floor(percent)}%`,
  };
}
