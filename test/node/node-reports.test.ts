import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import type { VolumeContext } from '../../src/csi/volume-context.ts';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { EventRecorder } from '../../src/kubernetes/events.ts';
import type { FamfsNode } from '../../src/kubernetes/famfs-objects.ts';
import { decodeInodes } from '../../src/kubernetes/held-inodes.ts';
import { type KubeObject, PATHS } from '../../src/kubernetes/objects.ts';
import type { MounterStatus, PoolMount, PoolStatus } from '../../src/mounter/client.ts';
import { Fabrics } from '../../src/node/fabrics.ts';
import { NodeReports, type NodeReportsOptions } from '../../src/node/node-reports.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';

const UUID = 'aaaaaaaa-0000-4000-8000-000000000000';

const MOUNT: PoolMount = {
  mountPoint: '/pools/p',
  dataPath: 'buffered',
  generation: 'buffered',
  dataPathReason: 'no famfs in this kernel',
  fsUuid: UUID,
  logPosition: 7,
  logGeneration: 0,
};
const POOL: PoolStatus = {
  name: 'p',
  devices: [{ path: '/dev/p' }],
  mountPoint: '/pools/p',
  mount: MOUNT,
  serverRestarts: 2,
  usage: {
    ...{ openFiles: 3, cachedInodes: 5, heldInodes: [] },
    volumes: [{ id: 'v', openFiles: 3, cachedInodes: 4 }],
  },
};
const LOCATION: VolumeContext = {
  pool: 'p',
  fsUuid: UUID,
  path: 'v',
  logPosition: 1,
  logGeneration: 0,
  dataPath: 'dax',
};

type Event = KubeObject & { reason: string; involvedObject: object };

class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  readonly recorder: EventRecorder;
  readonly fabrics: Fabrics;
  readonly reports: NodeReports;
  readonly #options: NodeReportsOptions;
  status: MounterStatus | Fault = { keeperPid: 1, pools: [POOL] };
  nowMs = 0;

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 2_000);
    const { client } = this;
    const names = { component: 'csi.famfs.io', host: 'n1' };
    this.recorder = new EventRecorder({ client, ...names, log: silentLog });
    const status = async () => {
      if (this.status instanceof Fault) throw this.status;
      return this.status;
    };
    this.fabrics = new Fabrics({ driverName: 'csi.famfs.io', status, patienceMs: 0 });
    const { recorder, fabrics } = this;
    this.#options = { client, nodeName: 'n1', status, fabrics, recorder, log: silentLog };
    this.reports = this.restarted();
  }

  static async make(): Promise<Setting> {
    const setting = new Setting(await FakeApiServer.start());
    setting.server.store.put(PATHS.nodes, { metadata: { name: 'n1', uid: 'u1' } });
    return setting;
  }

  /** Of a node plugin that starts now. */
  restarted(): NodeReports {
    return new NodeReports({ ...this.#options, now: () => this.nowMs });
  }

  node(): FamfsNode | undefined {
    return this.server.store.find<FamfsNode>(PATHS.famfsNodes, 'n1');
  }

  async later(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.reports.look();
  }

  async said(): Promise<Event[]> {
    await this.recorder.flushed();
    return this.server.store.all<Event>(PATHS.events('default'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

describe("a node's FamfsNode object", () => {
  test('says what the mounter has, and goes with its Node', async () => {
    await using setting = await Setting.make();
    await setting.reports.look();
    const node = setting.node();
    expect(node?.metadata.ownerReferences).toEqual([
      { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'u1' },
    ]);
    expect(node?.status).toEqual({
      observedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      summary: {
        pools: 'p',
        dataPath: 'buffered',
        generation: 'buffered',
        logPosition: '7',
        healthy: 'true',
        openFiles: '3',
        message: '',
      },
      pools: [
        {
          name: 'p',
          fsUuid: UUID,
          dataPath: 'buffered',
          generation: 'buffered',
          logPosition: 7,
          logGeneration: 0,
          heldInodes: '',
          healthy: true,
          message: '',
          serverRestarts: 2,
          openFiles: 3,
          volumes: [{ id: 'v', openFiles: 3, cachedInodes: 4 }],
        },
      ],
    });
  });

  test('is written on a change, at least once a minute, and not in between', async () => {
    await using setting = await Setting.make();
    await setting.reports.look();
    const writes = () => setting.server.seen.filter(({ verb }) => verb === 'patch').length;
    const first = writes();
    for (let look = 0; look < 10; look++) await setting.later(5_000);
    expect(writes()).toBe(first);
    const pools = [{ ...POOL, mount: { ...MOUNT, logPosition: 8 } }];
    setting.status = { keeperPid: 1, pools };
    await setting.later(5_000);
    expect(writes()).toBe(first + 1);
    expect(setting.node()?.status?.pools?.[0]?.logPosition).toBe(8);
    for (let look = 0; look < 12; look++) await setting.later(5_000);
    expect(writes()).toBe(first + 2);
  });

  test('says that a pool is not healthy, and why, also when the mounter is gone', async () => {
    await using setting = await Setting.make();
    await setting.reports.look();
    setting.status = { keeperPid: 1, pools: [{ ...POOL, problem: 'its log is damaged' }] };
    await setting.later(5_000);
    expect(setting.node()?.status?.pools).toMatchObject([
      { healthy: false, message: 'its log is damaged' },
    ]);
    expect(setting.node()?.status?.summary?.message).toBe('its log is damaged');
    setting.status = new Fault('UNAVAILABLE', 'mounter: is it running?');
    await setting.later(5_000);
    expect(setting.node()?.status?.pools).toMatchObject([
      { name: 'p', dataPath: 'buffered', healthy: false, message: 'mounter: is it running?' },
    ]);
  });

  test('has a line for kubectl of several pools, mounted or not', async () => {
    await using setting = await Setting.make();
    const { mount: _, usage: __, ...unmounted } = { ...POOL, name: 'q', problem: 'no device' };
    setting.status = { keeperPid: 1, pools: [POOL, unmounted] };
    await setting.reports.look();
    expect(setting.node()?.status?.summary).toEqual({
      pools: 'p,q',
      dataPath: 'buffered,-',
      generation: 'buffered,-',
      logPosition: '7,-',
      healthy: 'true,false',
      openFiles: '3,-',
      message: 'no device',
    });
  });

  test('is made anew for a Node of the same name that is another one', async () => {
    await using setting = await Setting.make();
    await setting.reports.look();
    // What the garbage collector does when the owner goes.
    setting.server.store.delete(PATHS.famfsNodes, 'n1');
    setting.server.store.delete(PATHS.nodes, 'n1');
    setting.server.store.put(PATHS.nodes, { metadata: { name: 'n1', uid: 'u2' } });
    await setting.later(60_000);
    expect(setting.node()?.metadata.ownerReferences).toMatchObject([{ uid: 'u2' }]);
  });

  test('is all that a node writes, besides events', async () => {
    await using setting = await Setting.make();
    await setting.reports.look();
    await setting.later(60_000);
    const asked = setting.server.seen.map(({ verb, resource, name }) =>
      [verb, resource, name].join(' ').trim(),
    );
    expect(asked).toEqual([
      'get famfsnodes n1',
      'patch famfsnodes/status n1',
      'get nodes n1',
      'create famfsnodes',
      'patch famfsnodes/status n1',
      'patch famfsnodes/status n1',
    ]);
  });
});

describe('what the controller goes by in a FamfsNode', () => {
  const GONE = new Fault('UNAVAILABLE', 'mounter: is it running?');
  const held = (setting: Setting) => setting.node()?.status?.pools?.[0];
  const withHeld = (...heldInodes: number[]) => ({
    keeperPid: 1,
    pools: [{ ...POOL, usage: { openFiles: 1, cachedInodes: 1, volumes: [], heldInodes } }],
  });

  test('has the deleted files that the kernel refers to, at a place in the log', async () => {
    await using setting = await Setting.make();
    setting.status = withHeld(1040, 528);
    await setting.reports.look();
    expect(held(setting)).toMatchObject({ logPosition: 7, logGeneration: 0, heldInodes: 'eo.e8' });
    expect(decodeInodes(held(setting)?.heldInodes ?? '')).toEqual([528, 1040]);
  });

  test('does not say that nothing is held when there is too much to list', async () => {
    await using setting = await Setting.make();
    const usage = { openFiles: 1, cachedInodes: 5000, volumes: [] };
    setting.status = { keeperPid: 1, pools: [{ ...POOL, usage }] };
    await setting.reports.look();
    expect(held(setting)).not.toHaveProperty('heldInodes');
  });

  test('is not written before the mounter has answered once', async () => {
    await using setting = await Setting.make();
    setting.status = GONE;
    await setting.reports.look();
    await setting.later(60_000);
    expect(setting.node()).toBeUndefined();
  });

  test('stays while the pool is not mounted or the mounter does not answer', async () => {
    await using setting = await Setting.make();
    setting.status = withHeld(528);
    await setting.reports.look();
    const { mount: _, usage: __, ...unmounted } = POOL;
    const said = { fsUuid: UUID, logPosition: 7, logGeneration: 0, heldInodes: 'eo' };
    for (const status of [
      GONE,
      { keeperPid: 2, pools: [unmounted] },
      { keeperPid: 3, pools: [] },
    ]) {
      setting.status = status;
      await setting.later(60_000);
      expect(held(setting)).toMatchObject({ ...said, healthy: false });
    }
  });

  test('stays when the node plugin starts anew while the pool is not mounted', async () => {
    await using setting = await Setting.make();
    setting.status = withHeld(528);
    await setting.reports.look();
    const { mount: _, usage: __, ...unmounted } = POOL;
    setting.status = { keeperPid: 1, pools: [unmounted] };
    await setting.restarted().look();
    expect(held(setting)).toMatchObject({ logPosition: 7, heldInodes: 'eo', healthy: false });
  });

  test('is not overwritten by a plugin that cannot read what the one before wrote', async () => {
    await using setting = await Setting.make();
    setting.status = withHeld(528);
    await setting.reports.look();
    setting.status = { keeperPid: 1, pools: [] };
    setting.server.fault = ({ verb, resource }) =>
      verb === 'get' && resource === 'famfsnodes' ? 503 : undefined;
    await setting.restarted().look();
    expect(held(setting)).toMatchObject({ heldInodes: 'eo' });
  });
});

describe('a node that is to give out a volume', () => {
  test('waits until its object says that it has the pool', async () => {
    await using setting = await Setting.make();
    await setting.reports.registered('p');
    expect(setting.node()?.status?.pools).toMatchObject([{ name: 'p', fsUuid: UUID }]);
    const before = setting.server.seen.length;
    await setting.reports.registered('p');
    const asked = setting.server.seen.slice(before).map(({ verb }) => verb);
    expect(asked).toEqual(['get']);
  });

  test('does so though the object was written a moment ago, without the pool', async () => {
    await using setting = await Setting.make();
    const { mount: _, usage: __, ...unmounted } = POOL;
    setting.status = { keeperPid: 1, pools: [unmounted] };
    await setting.reports.look();
    setting.status = { keeperPid: 1, pools: [POOL] };
    await setting.reports.registered('p');
    expect(setting.node()?.status?.pools).toMatchObject([{ name: 'p', fsUuid: UUID }]);
  });

  test('writes the object anew when it was deleted meanwhile', async () => {
    await using setting = await Setting.make();
    await setting.reports.look();
    setting.server.store.delete(PATHS.famfsNodes, 'n1');
    await setting.reports.registered('p');
    expect(setting.node()?.status?.pools).toMatchObject([{ name: 'p', fsUuid: UUID }]);
  });

  test('refuses while that cannot be written', async () => {
    await using setting = await Setting.make();
    setting.server.fault = ({ verb }) => (verb === 'patch' ? 503 : undefined);
    await expect(setting.reports.registered('p', AbortSignal.abort())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/does not know yet that node n1 has it .*; retry/),
    });
  });

  test('leaves a pool that its mounter does not have for the mounter to refuse', async () => {
    await using setting = await Setting.make();
    await setting.reports.registered('other');
    await expect(setting.reports.registered('other')).resolves.toBeUndefined();
  });
});

describe("an event on a node's Node", () => {
  test('says that memory has failed, once', async () => {
    await using setting = await Setting.make();
    setting.status = { keeperPid: 1, pools: [{ ...POOL, problem: 'x', memoryError: 'poison' }] };
    await setting.reports.look();
    await setting.later(5_000);
    expect(await setting.said()).toMatchObject([
      { reason: 'MemoryError', involvedObject: { kind: 'Node', name: 'n1', uid: 'u1' } },
    ]);
  });

  test('says that a pool came too late for the scheduler', async () => {
    await using setting = await Setting.make();
    setting.status = { keeperPid: 1, pools: [{ ...POOL, mount: undefined }] } as MounterStatus;
    await setting.fabrics.topology();
    await setting.reports.look();
    expect(await setting.said()).toEqual([]);
    setting.status = { keeperPid: 1, pools: [POOL] };
    await setting.later(5_000);
    expect(await setting.said()).toMatchObject([{ reason: 'PoolMountedLate' }]);
  });

  test('says that the node has not the dax path that a volume asks for', async () => {
    await using setting = await Setting.make();
    const refusal = new Fault('PRECONDITION', 'volume v: asks for dataPath dax');
    await setting.reports.stageFailed(LOCATION, refusal);
    expect(await setting.said()).toMatchObject([{ reason: 'NodeWithoutDaxPath' }]);
  });

  test.each([
    ['another failure', LOCATION, new Fault('NOT_FOUND', 'volume v'), MOUNT],
    ['a volume that takes any', { ...LOCATION, dataPath: 'any' as const }, undefined, MOUNT],
    ['a node that has the dax path', LOCATION, undefined, { ...MOUNT, dataPath: 'dax' as const }],
  ])('is not said for %s', async (_, location, error, mount) => {
    await using setting = await Setting.make();
    setting.status = { keeperPid: 1, pools: [{ ...POOL, mount }] };
    const refusal = error ?? new Fault('PRECONDITION', 'volume v: no');
    await setting.reports.stageFailed(location, refusal);
    expect(await setting.said()).toEqual([]);
  });
});
