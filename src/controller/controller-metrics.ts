import type { KeyedLock } from '../base/keyed-lock.ts';
import { lockMetrics } from '../observe/lock-metrics.ts';
import type { Metric, Sample } from '../observe/metrics.ts';
import type { CountedPool } from './counted-pool.ts';
import type { Leadership } from './leadership.ts';
import { logFill, type PoolFacts, poolFacts } from './pool-facts.ts';

export interface ControllerFigures {
  readonly pools: readonly CountedPool[];
  /** How long it took to read a pool's log at the start. */
  readonly replaySeconds: ReadonlyMap<string, number>;
  readonly locks: KeyedLock;
  readonly leadership: Leadership;
  /** How often a node counted as gone since an operator said so. */
  readonly overrides: () => number;
}

/** What a controller exports; one sample a pool, and none of a pool that cannot be read. */
export function controllerMetrics(figures: ControllerFigures): Metric[] {
  const { pools, replaySeconds, locks, leadership, overrides } = figures;
  const gauge = (name: string, help: string, value: (facts: PoolFacts) => number): Metric => ({
    name,
    help,
    type: 'gauge',
    labels: ['pool'],
    read: () => pools.flatMap((pool) => sampleOf(pool, value)),
  });
  return [
    ...spaceMetrics(gauge),
    gauge('famfs_log_fill_ratio', 'Entries taken of those that the log holds.', logFill),
    gauge(
      'famfs_log_generation',
      'Number of the log; grows when it is rewritten.',
      (facts) => facts.logGeneration,
    ),
    {
      name: 'famfs_pool_healthy',
      help: '1 where the log is sound, 0 where it is damaged or cannot be read.',
      type: 'gauge',
      labels: ['pool'],
      read: () => pools.map((pool) => ({ labels: { pool: pool.name }, value: healthOf(pool) })),
    },
    {
      name: 'famfs_log_appended_entries_total',
      help: 'Entries that this process has appended.',
      type: 'counter',
      labels: ['pool'],
      read: () =>
        pools.map(({ name, appendedEntries }) => ({
          labels: { pool: name },
          value: appendedEntries,
        })),
    },
    {
      name: 'famfs_replay_seconds',
      help: 'Time that reading the whole log took when this process opened the pool.',
      type: 'gauge',
      labels: ['pool'],
      read: () => [...replaySeconds].map(([pool, value]) => ({ labels: { pool }, value })),
    },
    {
      name: 'famfs_quarantine_overrides_total',
      help: 'How often a node counted as gone since an operator said so.',
      type: 'counter',
      read: () => [{ value: overrides() }],
    },
    {
      name: 'famfs_leader',
      help: '1 on the controller that may write.',
      type: 'gauge',
      read: () => [{ value: leadership.isLeading ? 1 : 0 }],
    },
    ...lockMetrics(() => locks.held()),
  ];
}

type Gauge = (name: string, help: string, value: (facts: PoolFacts) => number) => Metric;

function spaceMetrics(gauge: Gauge): Metric[] {
  return [
    gauge('famfs_pool_capacity_bytes', 'Memory for files.', (facts) => facts.capacityBytes),
    gauge(
      'famfs_pool_used_bytes',
      'Memory of files, deleted ones in quarantine among them.',
      (facts) => facts.usedBytes,
    ),
    gauge('famfs_pool_live_bytes', 'Memory of files.', (facts) => facts.liveBytes),
    gauge(
      'famfs_pool_quarantined_bytes',
      'Memory of deleted files that may still be mapped.',
      (facts) => facts.quarantinedBytes,
    ),
    gauge('famfs_pool_free_bytes', 'Memory that is free.', (facts) => facts.freeBytes),
    gauge(
      'famfs_pool_largest_free_bytes',
      'The largest volume that can be made now.',
      (facts) => facts.largestFreeBytes,
    ),
    gauge('famfs_pool_files', 'Files in the pool.', (facts) => facts.files),
    gauge('famfs_log_entries', 'Entries of the log that are taken.', (facts) => facts.logEntries),
    gauge('famfs_log_live_entries', 'Entries of what there is.', (facts) => facts.logLive),
    gauge('famfs_log_dead_entries', 'Entries of what there is not.', (facts) => facts.logDead),
    gauge('famfs_log_capacity_entries', 'Entries the log holds.', (facts) => facts.logCapacity),
  ];
}

function sampleOf(pool: CountedPool, value: (facts: PoolFacts) => number): Sample[] {
  try {
    return [{ labels: { pool: pool.name }, value: value(poolFacts(pool)) }];
  } catch {
    return [];
  }
}

function healthOf(pool: CountedPool): number {
  try {
    return poolFacts(pool).condition.abnormal ? 0 : 1;
  } catch {
    return 0;
  }
}
