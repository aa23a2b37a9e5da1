import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { openForReading } from '../../src/cli/tools/pools.ts';
import type { FamfsNode, FamfsPool } from '../../src/kubernetes/famfs-objects.ts';
import { encodeInodes } from '../../src/kubernetes/held-inodes.ts';
import { type LeaseObject, PATHS } from '../../src/kubernetes/objects.ts';
import { failure } from '../csi/harness.ts';
import { bounded } from '../support/bounded.ts';
import { POOL_NAME } from '../support/controller-process.ts';
import { type KubernetesController, KubernetesSetting } from '../support/kubernetes-controllers.ts';
import { eventually } from '../support/test-cluster.ts';

const LEASE = `famfs-csi-${POOL_NAME}`;
const CAPABILITY = { mount: {}, access_mode: { mode: 'SINGLE_NODE_WRITER' } } as const;
/** The longest a lease can take to change hands, and some. */
const LEASE_PATIENCE_MS = 40_000;

/** Two controllers and an API server, as one story: each test goes on from the one before. */
describe('two controllers under Kubernetes', () => {
  let setting: KubernetesSetting;
  let leader: KubernetesController;
  let standby: KubernetesController;

  beforeAll(async () => {
    setting = await KubernetesSetting.make(1 * GiB);
    for (const node of ['n1', 'n2']) setting.addNode(node);
    const [one, two] = [setting.controller(), setting.controller()];
    leader = await leads([one, two]);
    standby = leader === one ? two : one;
  }, 120_000);

  afterAll(async () => {
    await setting?.[Symbol.asyncDispose]();
  });

  function leads(candidates: readonly KubernetesController[]): Promise<KubernetesController> {
    return eventually(
      'one of the controllers leads',
      async () => {
        const leading = await Promise.all(
          candidates.map((one) => one.isLeading().catch(() => false)),
        );
        return candidates.find((_, at) => leading[at]);
      },
      LEASE_PATIENCE_MS,
    );
  }

  function create(controller: KubernetesController, name: string) {
    return controller.client.controller.createVolume({
      name,
      capacity_range: { required_bytes: 4 * MiB },
      volume_capabilities: [CAPABILITY],
      parameters: { dataPath: 'any' },
    });
  }

  function publish(controller: KubernetesController, volume: string, node: string) {
    return controller.client.controller.controllerPublishVolume({
      volume_id: volume,
      node_id: node,
      volume_capability: CAPABILITY,
      volume_context: { dataPath: 'any', pool: POOL_NAME },
    });
  }

  function poolStatus(): FamfsPool['status'] {
    return setting.server.store.find<FamfsPool>(PATHS.famfsPools, POOL_NAME)?.status;
  }

  function inosOf(volume: string): number[] {
    using pool = openForReading(setting.fabric.device);
    const files = [...pool.replica.namespace.files()];
    return files.filter(({ path }) => path.startsWith(`${volume}/`)).map(({ ino }) => ino);
  }

  /** What the plugin of a node writes that has followed the log to its end. */
  function says(name: string, held: readonly number[]): void {
    using pool = openForReading(setting.fabric.device);
    const { fsUuid, generation: logGeneration, replica } = pool;
    const place = { logGeneration, logPosition: replica.position };
    const said = { fsUuid, ...place, heldInodes: encodeInodes(held) };
    const pools = [{ name: POOL_NAME, healthy: true, message: '', ...said }];
    setting.server.store.put<FamfsNode>(PATHS.famfsNodes, {
      metadata: { name },
      status: { pools },
    });
  }

  test('let one lead; the other answers questions, and refuses what writes', async () => {
    const { volume } = await create(leader, 'v1');
    expect(volume?.volume_id).toBe('v1');
    expect(await standby.isLeading()).toBe(false);
    expect(await failure(create(standby, 'v2'))).toMatch(
      new RegExp(`^UNAVAILABLE: lease ${LEASE}: this controller does not hold it \\(\\S+ holds it`),
    );
    expect(await failure(standby.client.controller.deleteVolume({ volume_id: 'v1' }))).toMatch(
      /^UNAVAILABLE: /,
    );
    const { entries } = await standby.client.controller.listVolumes({});
    expect(entries.map((entry) => entry.volume?.volume_id)).toEqual(['v1']);
  }, 60_000);

  test('are ready or not by HTTP, and both alive', async () => {
    expect((await leader.get('/readyz')).status).toBe(200);
    const notReady = await standby.get('/readyz');
    expect([notReady.status, await notReady.text()]).toEqual([503, 'another controller leads\n']);
    for (const one of [leader, standby]) expect((await one.get('/healthz')).status).toBe(200);
    const metrics = await (await leader.get('/metrics')).text();
    expect(metrics).toMatch(/^famfs_leader 1$/m);
    expect(metrics).toContain(
      'csi_plugin_operations_seconds_count{driver_name="csi.famfs.io",' +
        'method_name="/csi.v1.Controller/CreateVolume",grpc_status_code="OK"} 1\n',
    );
    expect(await (await standby.get('/metrics')).text()).toMatch(/^famfs_leader 0$/m);
  });

  test('attach by what Kubernetes wants, and write down in it what was granted', async () => {
    setting.addPersistentVolume('v1');
    setting.addVolumeAttachment('va-1', 'v1', 'n1');
    setting.addVolumeAttachment('va-2', 'v1', 'n2');
    await publish(leader, 'v1', 'n1');
    await publish(leader, 'v1', 'n1');
    const annotations = setting.server.store.find(PATHS.volumeAttachments, 'va-1')?.metadata
      .annotations;
    expect(JSON.parse(annotations?.['csi.famfs.io/attachment'] ?? '')).toEqual({
      volumeId: 'v1',
      nodeId: 'n1',
      readonly: false,
      mode: 'SINGLE_NODE_WRITER',
    });
    expect(await failure(publish(leader, 'v1', 'n2'))).toMatch(/attached to n1/);
    expect(await failure(leader.client.controller.deleteVolume({ volume_id: 'v1' }))).toMatch(
      /^FAILED_PRECONDITION: volume v1: attached to n1/,
    );
    expect(await failure(publish(leader, 'v1', 'n3'))).toMatch(/^NOT_FOUND: node n3/);
  });

  test('show the pool to kubectl', async () => {
    const pool = await eventually('the FamfsPool object', () =>
      setting.server.store.find<FamfsPool>(PATHS.famfsPools, POOL_NAME)?.status?.files === 1
        ? setting.server.store.find<FamfsPool>(PATHS.famfsPools, POOL_NAME)
        : undefined,
    );
    expect(pool.status).toMatchObject({
      health: 'Healthy',
      message: '',
      files: 1,
      logEntries: 2,
      used: '4 MiB',
      nodes: [],
      healthyNodes: '0/0',
    });
  });

  test('change places when the leader is killed, and what it granted still holds', async () => {
    leader.signal('SIGKILL');
    await leader.ended;
    leader = await leads([standby]);
    standby = setting.controller();
    expect(await failure(publish(leader, 'v1', 'n2'))).toMatch(/attached to n1/);
    await leader.client.controller.controllerUnpublishVolume({ volume_id: 'v1', node_id: 'n1' });
    await publish(leader, 'v1', 'n2');
    await create(leader, 'v2');
    const lease = setting.server.store.find<LeaseObject>(PATHS.leases('famfs'), LEASE);
    expect(lease?.spec?.leaseTransitions).toBe(1);
  }, 90_000);

  test('leave a paused leader nothing to write with, and it ends', async () => {
    const paused = leader;
    paused.signal('SIGSTOP');
    leader = await leads([standby]);
    await create(leader, 'v3');
    paused.signal('SIGCONT');
    expect(await failure(create(paused, 'v4'))).toMatch(/^UNAVAILABLE: /);
    expect(await bounded('it ends', paused.ended)).toBe('exit code 2');
    expect(paused.log).toMatch(/famfs-csi: lease famfs-csi-p: .*ending/);
    const { entries } = await leader.client.controller.listVolumes({});
    const ids = entries.map((entry) => entry.volume?.volume_id);
    expect(ids.sort()).toEqual(['v1', 'v2', 'v3']);
  }, 90_000);

  test('show whom a deleted volume waits for, and keep its memory', async () => {
    await create(leader, 'big');
    const [ino] = inosOf('big');
    await leader.client.controller.deleteVolume({ volume_id: 'big' });
    says('n1', [ino ?? 0]);
    const { quarantine } = await eventually('the FamfsPool says who holds it', () => {
      const [first] = poolStatus()?.quarantine ?? [];
      return first?.waitsFor[0]?.reason === 'holds 1 deleted file' ? poolStatus() : undefined;
    });
    expect(quarantine).toEqual([
      {
        ...{ volume: 'big', bytes: 4 * MiB, files: 1, since: expect.stringMatching(/^2\d{3}-/) },
        waitsFor: [{ node: 'n1', reason: 'holds 1 deleted file' }],
      },
    ]);
    expect(poolStatus()).toMatchObject({ quarantined: '4 MiB', quarantinedBytes: 4 * MiB });
  }, 60_000);

  test('hand over when the leader is told to end', async () => {
    standby = setting.controller();
    expect(
      await eventually('the standby answers', () => standby.isLeading().then(() => true)),
    ).toBe(true);
    const before = leader;
    before.signal('SIGTERM');
    expect(await bounded('it ends', before.ended)).toBe('exit code 0');
    leader = await leads([standby]);
    await create(leader, 'v5');
  }, 90_000);

  test('go on with what waits, since when, and free it when its node is gone', async () => {
    const [before] = poolStatus()?.quarantine ?? [];
    // Written anew, by the leader of now.
    await create(leader, 'v6');
    const files = 5;
    await eventually('the FamfsPool has the new volume', () =>
      poolStatus()?.files === files ? true : undefined,
    );
    expect(before?.volume).toBe('big');
    expect(poolStatus()?.quarantine).toMatchObject([{ volume: 'big', since: before?.since }]);
    setting.server.store.delete(PATHS.nodes, 'n1');
    await eventually('its memory is free', () =>
      poolStatus()?.quarantinedBytes === 0 ? true : undefined,
    );
    expect(leader.log).toMatch(/log rewritten: 4 MiB can be used again/);
    expect(setting.fabric.check().problems).toEqual([]);
  }, 60_000);

  test('end rather than write while the API server is gone', async () => {
    setting.server.isGone = true;
    expect(await bounded('it ends', leader.ended)).toBe('exit code 2');
    setting.server.isGone = false;
    expect(setting.fabric.check().problems).toEqual([]);
  }, 60_000);
});
