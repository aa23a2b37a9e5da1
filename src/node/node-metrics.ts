import type { MounterStatus, PoolStatus } from '../mounter/client.ts';
import { lockMetrics } from '../observe/lock-metrics.ts';
import type { Metric, Sample } from '../observe/metrics.ts';

export interface NodeFigures {
  readonly status: () => Promise<MounterStatus>;
  readonly held: () => readonly { ageMs: number }[];
}

type Value = (pool: PoolStatus) => number | undefined;

/** What a node plugin exports: of itself, and of the mounter on its node. */
export function nodeMetrics({ status, held }: NodeFigures): Metric[] {
  const perPool = (type: Metric['type'], name: string, help: string, value: Value): Metric => ({
    name,
    help,
    type,
    labels: ['pool'],
    read: async () => (await status()).pools.flatMap((pool) => sampleOf(pool, value)),
  });
  return [
    {
      name: 'famfs_mounter_up',
      help: '1 where the mounter of this node answers.',
      type: 'gauge',
      read: async () => [{ value: await status().then(...UP) }],
    },
    perPool(
      'gauge',
      'famfs_node_pool_healthy',
      '1 where the pool is mounted and sound on this node.',
      ({ mount, problem }) => (mount !== undefined && problem === undefined ? 1 : 0),
    ),
    {
      name: 'famfs_node_data_path',
      help: 'Always 1; the labels say how pods of this node reach the memory.',
      type: 'gauge',
      labels: ['pool', 'data_path', 'generation'],
      read: async () => (await status()).pools.flatMap(dataPathOf),
    },
    perPool(
      'gauge',
      'famfs_node_log_position',
      'Entries of the log that this node has applied.',
      ({ mount }) => mount?.logPosition,
    ),
    perPool(
      'gauge',
      'famfs_node_replay_seconds',
      "Time that reading the whole log took when the pool's server began.",
      ({ replaySeconds }) => replaySeconds,
    ),
    perPool(
      'gauge',
      'famfs_node_open_files',
      'Files that processes of this node have open or mapped.',
      ({ usage }) => usage?.openFiles,
    ),
    perPool(
      'gauge',
      'famfs_node_cached_inodes',
      "Inodes that this node's kernel refers to.",
      ({ usage }) => usage?.cachedInodes,
    ),
    perPool(
      'counter',
      'famfs_node_server_restarts_total',
      'Servers of the pool that ended and were followed by another.',
      ({ serverRestarts }) => serverRestarts,
    ),
    {
      name: 'famfs_node_requests_total',
      help: "What this node's kernel has asked of the pool's server, since that server began.",
      type: 'counter',
      labels: ['pool', 'operation'],
      read: async () => (await status()).pools.flatMap(requestsOf),
    },
    ...lockMetrics(held),
  ];
}

const UP = [() => 1, () => 0] as const;

function sampleOf(pool: PoolStatus, value: Value): Sample[] {
  const found = value(pool);
  return found === undefined ? [] : [{ labels: { pool: pool.name }, value: found }];
}

function dataPathOf({ name, mount }: PoolStatus): Sample[] {
  if (mount === undefined) return [];
  const { dataPath, generation } = mount;
  return [{ labels: { pool: name, data_path: dataPath, generation }, value: 1 }];
}

function requestsOf({ name, requests = {} }: PoolStatus): Sample[] {
  return Object.entries(requests).map(([operation, value]) => ({
    labels: { pool: name, operation },
    value,
  }));
}
