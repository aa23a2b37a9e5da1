import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { ClusterEvents } from '../../src/controller/kubernetes-events.ts';
import { KubernetesReports } from '../../src/controller/kubernetes-reports.ts';
import { Quarantine } from '../../src/controller/quarantine.ts';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { EventRecorder } from '../../src/kubernetes/events.ts';
import type { FamfsNode, FamfsPool, NodePoolStatus } from '../../src/kubernetes/famfs-objects.ts';
import { Informer } from '../../src/kubernetes/informer.ts';
import { type KubeObject, PATHS, type PersistentVolume } from '../../src/kubernetes/objects.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';
import { eventually } from '../support/test-cluster.ts';
import { DRIVER } from './kubernetes-records.ts';
import { MemoryPool } from './memory-pool.ts';

type Event = KubeObject & { reason: string; message: string; involvedObject: object };

class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  readonly pools: MemoryPool[];
  readonly nodes: Informer<FamfsNode>;
  readonly recorder: EventRecorder;
  readonly events: ClusterEvents;
  readonly reports: KubernetesReports;
  readonly quarantine = new Quarantine(() => new Date('2026-11-24T12:00:00Z'));
  goneNodes: string[] = [];
  nowMs = 0;

  private constructor(server: FakeApiServer, poolNames: readonly string[]) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 2_000);
    const { client } = this;
    this.pools = poolNames.map((name) => MemoryPool.make(name, GiB));
    this.nodes = new Informer({ client, collection: PATHS.famfsNodes, log: silentLog });
    const names = { component: DRIVER, host: 'controller' };
    this.recorder = new EventRecorder({ client, ...names, log: silentLog });
    const { recorder, nodes, pools } = this;
    this.events = new ClusterEvents({ client, recorder, nodes, poolOf: () => poolNames[0] });
    const { events } = this;
    const quarantine = this.quarantine;
    const parts = { client, driverName: DRIVER, pools, nodes, events, quarantine };
    const options = { ...parts, goneNodes: () => this.goneNodes, log: silentLog };
    this.reports = new KubernetesReports({ ...options, now: () => this.nowMs });
  }

  static async make(...poolNames: string[]): Promise<Setting> {
    const setting = new Setting(await FakeApiServer.start(), poolNames);
    await setting.nodes.synced;
    return setting;
  }

  /** What the node plugin of that node has written; seen by the informer when this resolves. */
  async addNode(name: string, ...pools: NodePoolStatus[]): Promise<void> {
    if (this.server.store.find(PATHS.nodes, name) === undefined) {
      this.server.store.put(PATHS.nodes, { metadata: { name, labels: { zone: 'z' } } });
    }
    const node = { metadata: { name }, status: { pools } };
    const { metadata } = this.server.store.put<FamfsNode>(PATHS.famfsNodes, node);
    await eventually('the informer has it', () =>
      this.nodes.items().get(name)?.metadata.resourceVersion === metadata.resourceVersion
        ? true
        : undefined,
    );
  }

  pool(name: string): FamfsPool['status'] {
    return this.server.store.find<FamfsPool>(PATHS.famfsPools, name)?.status;
  }

  labels(node: string): Readonly<Record<string, string>> | undefined {
    return this.server.store.find(PATHS.nodes, node)?.metadata.labels;
  }

  writes(): number {
    return this.server.seen.filter(({ verb }) => verb === 'patch' || verb === 'create').length;
  }

  async said(namespace = 'default'): Promise<Event[]> {
    await this.recorder.flushed();
    return this.server.store.all<Event>(PATHS.events(namespace));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nodes[Symbol.asyncDispose]();
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

function state(name: string, change: Partial<NodePoolStatus> = {}): NodePoolStatus {
  return { name, dataPath: 'buffered', logPosition: 7, healthy: true, message: '', ...change };
}

async function makeAndDelete(pool: MemoryPool, name: string, sizeBytes: number): Promise<void> {
  await pool.append(({ space, position }) => ({
    entries: [
      {
        ...{ type: 'file', path: name, sizeBytes, flags: 2, uid: 0, gid: 0, mode: 0o644 },
        fmap: space.find({ strips: 0 }, sizeBytes),
      },
      { type: 'delete', path: name, targetIndex: position },
    ],
    result: undefined,
  }));
}

describe('the report of a pool', () => {
  test('is a FamfsPool object with its figures and its nodes', async () => {
    await using setting = await Setting.make('p');
    await setting.addNode('n2', state('p', { dataPath: 'dax' }), state('q'));
    await setting.addNode('n1', { name: 'p', healthy: false, message: 'not mounted' });
    await setting.reports.look();
    const { replica, fsUuid } = setting.pools[0] as MemoryPool;
    expect(setting.pool('p')).toEqual({
      fsUuid,
      capacityBytes: replica.space.freeBytes,
      usedBytes: 0,
      liveBytes: 0,
      quarantinedBytes: 0,
      freeBytes: replica.space.freeBytes,
      largestFreeBytes: replica.space.largestFreeBytes,
      files: 0,
      logEntries: 0,
      logCapacity: replica.capacity,
      capacity: '1014 MiB',
      used: '0 B',
      largestFree: '1014 MiB',
      logFill: '0%',
      ...{ logLive: 0, logDead: 0, logFree: replica.capacity, logGeneration: 0 },
      ...{ quarantined: '0 B', quarantine: [], quarantinedVolumes: 0, goneNodes: [] },
      health: 'Healthy',
      message: '',
      healthyNodes: '1/2',
      nodes: [
        { name: 'n1', healthy: false },
        { name: 'n2', dataPath: 'dax', logPosition: 7, healthy: true },
      ],
    });
  });

  test('says what is in quarantine, for whom it waits, and which nodes count as gone', async () => {
    await using setting = await Setting.make('p');
    const [pool] = setting.pools as [MemoryPool];
    const count = 60;
    for (let at = 0; at < count; at++) await makeAndDelete(pool, `v${at}`, (1 + at) * 4096);
    const nodes = Array.from({ length: 20 }, (_, at) => ({ node: `n${at}` }));
    setting.quarantine.heard(pool, nodes);
    setting.goneNodes = ['n21'];
    await setting.reports.look();
    const status = setting.pool('p');
    expect(status).toMatchObject({
      quarantinedVolumes: count,
      goneNodes: ['n21'],
      usedBytes: 120 * MiB,
    });
    // The largest that there is room for, and the first nodes.
    expect(status?.quarantine).toHaveLength(50);
    expect(status?.quarantine?.[0]?.waitsFor).toHaveLength(8);
    expect(status?.quarantine?.[0]).toMatchObject({
      ...{ bytes: 2 * MiB, files: 1, since: '2026-11-24T12:00:00.000Z' },
      waitsFor: expect.arrayContaining([{ node: 'n0', reason: 'has never said what it holds' }]),
    });
  });

  test('is not written again while nothing changes, nor at once when something does', async () => {
    await using setting = await Setting.make('p');
    for (let look = 0; look < 20; look++) {
      await setting.reports.look();
      await setting.addNode('n1', state('p', { logPosition: look }));
    }
    const written = setting.server.seen.filter(({ resource }) => resource.startsWith('famfspools'));
    // There is none, it is made, its status is written.
    expect(written.map(({ verb }) => verb)).toEqual(['patch', 'create', 'patch']);
    expect(setting.pool('p')?.nodes).toEqual([]);
    setting.nowMs += 5_000;
    await setting.reports.look();
    expect(setting.pool('p')?.nodes).toMatchObject([{ name: 'n1', logPosition: 19 }]);
  });

  test('waits for a server that fails, and comes with a later look', async () => {
    await using setting = await Setting.make('p');
    setting.server.fault = ({ resource }) => (resource.startsWith('famfspools') ? 500 : undefined);
    await setting.reports.look();
    expect(setting.pool('p')).toBeUndefined();
    setting.server.fault = () => undefined;
    setting.nowMs += 5_000;
    await setting.reports.look();
    expect(setting.pool('p')?.health).toBe('Healthy');
  });

  test('says in an event on the pool that its log is damaged, once', async () => {
    await using setting = await Setting.make('p');
    await setting.reports.look();
    const [pool] = setting.pools as [MemoryPool];
    pool.memory.write(2 * 1024 * 1024 + 32, new Uint8Array(64).fill(0xee));
    await setting.reports.look();
    await setting.reports.look();
    const [event, ...others] = await setting.said();
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      reason: 'PoolDamaged',
      involvedObject: { kind: 'FamfsPool', name: 'p', apiVersion: 'famfs.io/v1alpha1' },
    });
  });

  test('says in an event on the pool that a node has met a memory error', async () => {
    await using setting = await Setting.make('p');
    await setting.reports.look();
    await setting.addNode('n1', state('p', { healthy: false, memoryError: 'poison at 7' }));
    await setting.reports.look();
    expect(await setting.said()).toMatchObject([
      { reason: 'MemoryError', message: 'node n1: poison at 7', involvedObject: { name: 'p' } },
    ]);
  });
});

describe('the labels of a node', () => {
  const label = `${DRIVER}/data-path`;

  test('say its data path, follow it, and leave other labels alone', async () => {
    await using setting = await Setting.make('p');
    await setting.addNode('n1', state('p'));
    await setting.reports.look();
    expect(setting.labels('n1')).toEqual({ zone: 'z', [label]: 'buffered' });
    await setting.addNode('n1', state('p', { dataPath: 'dax' }));
    await setting.reports.look();
    expect(setting.labels('n1')).toEqual({ zone: 'z', [label]: 'dax' });
  });

  test('say it for each of several pools, and no more for one that is not mounted', async () => {
    await using setting = await Setting.make('p', 'q');
    await setting.addNode('n1', state('p'), state('q', { dataPath: 'dax' }));
    await setting.reports.look();
    const both = { [`${DRIVER}/p.data-path`]: 'buffered', [`${DRIVER}/q.data-path`]: 'dax' };
    expect(setting.labels('n1')).toEqual({ zone: 'z', ...both });
    await setting.addNode('n1', state('p'), { name: 'q', healthy: false, message: 'unmounted' });
    await setting.reports.look();
    expect(setting.labels('n1')).toEqual({ zone: 'z', [`${DRIVER}/p.data-path`]: 'buffered' });
  });

  test('of a time before go with the first look', async () => {
    await using setting = await Setting.make('p');
    const old = {
      [`${DRIVER}/gone.data-path`]: 'dax',
      [label]: 'buffered',
      'other/data-path': 'x',
    };
    setting.server.store.put(PATHS.nodes, { metadata: { name: 'n1', labels: old } });
    await setting.addNode('n1', state('p'));
    await setting.reports.look();
    expect(setting.labels('n1')).toEqual({ 'other/data-path': 'x', [label]: 'buffered' });
  });

  test('go when the driver has left the node', async () => {
    await using setting = await Setting.make('p');
    await setting.addNode('n1', state('p'));
    await setting.reports.look();
    setting.server.store.delete(PATHS.famfsNodes, 'n1');
    await eventually('the informer knows', () =>
      setting.nodes.items().size === 0 ? true : undefined,
    );
    await setting.reports.look();
    expect(setting.labels('n1')).toEqual({ zone: 'z' });
  });

  test('are asked for once, not with each look; a node that is gone is no trouble', async () => {
    await using setting = await Setting.make('p');
    await setting.addNode('n1', state('p'));
    await setting.addNode('n2', state('p'));
    setting.server.store.delete(PATHS.nodes, 'n2');
    for (let look = 0; look < 5; look++) await setting.reports.look();
    const asked = setting.server.seen.filter(({ resource }) => resource === 'nodes');
    expect(asked.map(({ verb, name }) => `${verb} ${name}`)).toEqual([
      'get n1',
      'patch n1',
      'get n2',
    ]);
  });
});

describe('an event on a claim', () => {
  const CLAIM = {
    'csi.storage.k8s.io/pvc/namespace': 'team',
    'csi.storage.k8s.io/pvc/name': 'data',
  };

  test('says that the pool is full, once for many retries', async () => {
    await using setting = await Setting.make('p');
    const claims = PATHS.claims('team');
    const { metadata } = setting.server.store.put<KubeObject>(claims, {
      metadata: { name: 'data', namespace: 'team' },
    });
    for (const left of [5, 4, 3]) setting.events.poolFull(`${left} bytes are left`, CLAIM);
    expect(await setting.said('team')).toMatchObject([
      {
        reason: 'PoolFull',
        message: '5 bytes are left',
        involvedObject: {
          kind: 'PersistentVolumeClaim',
          name: 'data',
          namespace: 'team',
          uid: metadata.uid,
        },
      },
    ]);
  });

  test('is none where the provisioner does not name the claim', async () => {
    await using setting = await Setting.make('p');
    setting.events.poolFull('full', {});
    await setting.recorder.flushed();
    expect(setting.writes()).toBe(0);
  });

  test('says that its volume went to a node without the dax path that it asks for', async () => {
    await using setting = await Setting.make('p');
    await setting.addNode('n1', state('p'));
    await setting.addNode('n2', state('p', { dataPath: 'dax' }));
    const claimRef = { namespace: 'team', name: 'data', uid: 'u9' };
    const csi = { driver: DRIVER, volumeHandle: 'v' };
    setting.server.store.put<PersistentVolume>(PATHS.persistentVolumes, {
      metadata: { name: 'v' },
      spec: { claimRef, csi },
    });
    setting.events.attachedForDax('v', 'n2');
    setting.events.attachedForDax('v', 'n1');
    const [event, ...others] = await setting.said('team');
    expect(others).toEqual([]);
    expect(event).toMatchObject({ reason: 'NodeWithoutDaxPath', involvedObject: claimRef });
    expect(event?.message).toContain('node n1 has pool p buffered only');
  });
});
