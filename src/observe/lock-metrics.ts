import type { Metric } from './metrics.ts';

/** Locks of volumes that are held now: one that stays is an operation that hangs. */
export function lockMetrics(held: () => readonly { ageMs: number }[]): Metric[] {
  return [
    {
      name: 'famfs_held_locks',
      help: 'Volumes that an operation is under way for.',
      type: 'gauge',
      read: () => [{ value: held().length }],
    },
    {
      name: 'famfs_held_lock_oldest_seconds',
      help: 'For how long the longest of these operations has been under way.',
      type: 'gauge',
      read: () => [{ value: Math.max(0, ...held().map(({ ageMs }) => ageMs)) / 1000 }],
    },
  ];
}
