import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { KeyedLock } from '../../src/base/keyed-lock.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { controllerMetrics } from '../../src/controller/controller-metrics.ts';
import { CountedPool } from '../../src/controller/counted-pool.ts';
import { ALWAYS } from '../../src/controller/leadership.ts';
import { EVENT_REASONS } from '../../src/kubernetes/events.ts';
import type { MounterStatus, PoolStatus } from '../../src/mounter/client.ts';
import { nodeMetrics } from '../../src/node/node-metrics.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { MemoryPool } from '../controller/memory-pool.ts';
import { Markdown } from '../support/markdown.ts';

function controller(pool: CountedPool, locks = new KeyedLock(1000)): Metrics {
  const metrics = new Metrics('csi.famfs.io');
  const replaySeconds = new Map([['p', 0.25]]);
  const parts = { locks, leadership: ALWAYS, overrides: () => 2 };
  metrics.add(controllerMetrics({ pools: [pool], replaySeconds, ...parts }));
  return metrics;
}

function node(status: () => Promise<MounterStatus>): Metrics {
  const metrics = new Metrics('csi.famfs.io');
  metrics.add(nodeMetrics({ status, held: () => [{ ageMs: 1500 }, { ageMs: 20 }] }));
  return metrics;
}

const POOL: PoolStatus = {
  name: 'p',
  devices: [{ path: '/dev/p' }],
  mountPoint: '/pools/p',
  mount: {
    mountPoint: '/pools/p',
    dataPath: 'dax',
    generation: 'push2',
    dataPathReason: '',
    fsUuid: 'aaaaaaaa-0000-4000-8000-000000000000',
    logPosition: 7,
    logGeneration: 0,
  },
  serverRestarts: 2,
  replaySeconds: 0.5,
  requests: { LOOKUP: 9 },
  usage: { openFiles: 3, cachedInodes: 5, volumes: [] },
};

/** `name{labels} value` lines without the comments. */
async function samples(metrics: Metrics): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

function section(title: string): string[][] {
  const text = readFileSync(join(__dirname, '..', '..', 'docs', 'metrics.md'), 'utf8');
  return new Markdown(text).section(title).table();
}

/** Name, type and labels, as the text format and as the document have them. */
async function described(metrics: Metrics): Promise<string[]> {
  const text = await metrics.text();
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => {
    const [, labels = ''] = new RegExp(`^${name}(?:_bucket)?\\{([^}]*)\\}`, 'm').exec(text) ?? [];
    const names = [...labels.matchAll(/(\w+)="/g)].map((match) => match[1]);
    return [name, type, ...names.filter((label) => label !== 'le')].join(' ');
  });
}

function documented(...titles: string[]): string[] {
  return titles.flatMap(section).map(([name = '', type = '', labels = '']) => {
    const names = [...labels.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
    return [name.replaceAll('`', ''), type, ...names].join(' ');
  });
}

describe('metrics', () => {
  test('of a controller are its pools in figures', async () => {
    const pool = new CountedPool(MemoryPool.make('p', GiB));
    await pool.append(({ space }) => ({
      entries: [
        {
          type: 'file',
          path: 'f',
          sizeBytes: 4 * MiB,
          flags: 2,
          uid: 0,
          gid: 0,
          mode: 0o644,
          fmap: space.find({ strips: 0 }, 4 * MiB),
        },
      ],
      result: undefined,
    }));
    const { space, capacity } = pool.replica;
    const lines = await samples(controller(pool));
    expect(lines).toEqual(
      expect.arrayContaining([
        'famfs_leader 1',
        `famfs_pool_capacity_bytes{pool="p"} ${space.freeBytes + 4 * MiB}`,
        `famfs_pool_used_bytes{pool="p"} ${4 * MiB}`,
        `famfs_pool_largest_free_bytes{pool="p"} ${space.largestFreeBytes}`,
        `famfs_pool_live_bytes{pool="p"} ${4 * MiB}`,
        `famfs_pool_free_bytes{pool="p"} ${space.freeBytes}`,
        'famfs_pool_quarantined_bytes{pool="p"} 0',
        'famfs_quarantine_overrides_total 2',
        'famfs_pool_files{pool="p"} 1',
        'famfs_pool_healthy{pool="p"} 1',
        'famfs_log_entries{pool="p"} 1',
        'famfs_log_live_entries{pool="p"} 1',
        'famfs_log_dead_entries{pool="p"} 0',
        'famfs_log_generation{pool="p"} 0',
        `famfs_log_capacity_entries{pool="p"} ${capacity}`,
        `famfs_log_fill_ratio{pool="p"} ${1 / capacity}`,
        'famfs_log_appended_entries_total{pool="p"} 1',
        'famfs_replay_seconds{pool="p"} 0.25',
        'famfs_held_locks 0',
      ]),
    );
  });

  test('of a pool that cannot be read are left out, besides that it is not healthy', async () => {
    const pool = new CountedPool(MemoryPool.make('p', GiB));
    const unreadable = Object.create(pool, {
      follow: {
        value: () => {
          throw new Error('poison');
        },
      },
      name: { value: 'p' },
      appendedEntries: { value: 0 },
    }) as CountedPool;
    const lines = await samples(controller(unreadable));
    expect(lines).toContain('famfs_pool_healthy{pool="p"} 0');
    expect(lines.filter((line) => line.startsWith('famfs_pool_'))).toHaveLength(1);
  });

  test('tell of a lock that is held', async () => {
    const locks = new KeyedLock(1000);
    const metrics = controller(new CountedPool(MemoryPool.make('p', GiB)), locks);
    let release = () => {};
    const held = locks.run(
      'v',
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    await new Promise(setImmediate);
    expect(await samples(metrics)).toContain('famfs_held_locks 1');
    release();
    await held;
    expect(await samples(metrics)).toContain('famfs_held_locks 0');
  });

  test("of a node are its mounter's", async () => {
    const lines = await samples(node(async () => ({ keeperPid: 1, pools: [POOL] })));
    expect(lines).toEqual([
      'famfs_mounter_up 1',
      'famfs_node_pool_healthy{pool="p"} 1',
      'famfs_node_data_path{pool="p",data_path="dax",generation="push2"} 1',
      'famfs_node_log_position{pool="p"} 7',
      'famfs_node_replay_seconds{pool="p"} 0.5',
      'famfs_node_open_files{pool="p"} 3',
      'famfs_node_cached_inodes{pool="p"} 5',
      'famfs_node_server_restarts_total{pool="p"} 2',
      'famfs_node_requests_total{pool="p",operation="LOOKUP"} 9',
      'famfs_held_locks 2',
      'famfs_held_lock_oldest_seconds 1.5',
    ]);
  });

  test('of a node whose mounter is gone say that, and not what was', async () => {
    let isGone = false;
    const metrics = node(async () => {
      if (isGone) throw new Error('gone');
      return { keeperPid: 1, pools: [POOL] };
    });
    await metrics.text();
    isGone = true;
    expect((await samples(metrics)).filter((line) => !line.startsWith('famfs_held'))).toEqual([
      'famfs_mounter_up 0',
    ]);
  });

  test('count CSI calls under the names that other drivers have', async () => {
    const metrics = new Metrics('csi.famfs.io');
    metrics.called('/csi.v1.Node/NodeStageVolume', 'FAILED_PRECONDITION', 0.3);
    metrics.called('/csi.v1.Node/NodeStageVolume', 'CANCELLED', 0.3);
    metrics.called('/csi.v1.Node/NodeStageVolume', 'OK', 0.3);
    const lines = await samples(metrics);
    const labels = (code: string, le: string) =>
      `csi_plugin_operations_seconds_bucket{le="${le}",driver_name="csi.famfs.io",` +
      `method_name="/csi.v1.Node/NodeStageVolume",grpc_status_code="${code}"}`;
    for (const code of ['FailedPrecondition', 'Canceled', 'OK']) {
      expect(lines).toContain(`${labels(code, '0.25')} 0`);
      expect(lines).toContain(`${labels(code, '0.5')} 1`);
    }
    expect(lines.filter((line) => line.includes('grpc_status_code="OK"'))).toHaveLength(16);
  });
});

describe('docs/metrics.md', () => {
  test('lists every metric of a controller with its type and labels', async () => {
    const metrics = controller(new CountedPool(MemoryPool.make('p', GiB)));
    metrics.called('/m', 'OK', 1);
    expect(documented('Of both', 'Of the controller').sort()).toEqual(
      (await described(metrics)).sort(),
    );
  });

  test('lists every metric of a node plugin with its type and labels', async () => {
    const metrics = node(async () => ({ keeperPid: 1, pools: [POOL] }));
    metrics.called('/m', 'OK', 1);
    expect(documented('Of both', 'Of the node plugin').sort()).toEqual(
      (await described(metrics)).sort(),
    );
  });

  test('lists every reason of an event', () => {
    const reasons = section('Events').map(([reason = '']) => reason.replaceAll('`', ''));
    expect(reasons.sort()).toEqual([...EVENT_REASONS].sort());
  });
});
