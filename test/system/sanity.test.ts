import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import type { CsiClient } from '../../src/csi/client.ts';
import { failure } from '../csi/harness.ts';
import {
  BUILD_MS,
  buildCsiSanity,
  csiSanity,
  runCsiSanity,
  type SanityRun,
} from '../support/csi-sanity.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { MAIN, TestCluster } from '../support/test-cluster.ts';
import { SANITY_PENDING, SANITY_SKIPS } from './sanity-skips.ts';

/** csi-test v5.5 has 96 specs: one pending in itself, the rest run or skip themselves. */
const SPECS = 96;
const RAN = 51;

describeWith([fuse, csiSanity], 'csi-sanity on the real processes', () => {
  let cluster: TestCluster;
  let run: SanityRun;
  let node: CsiClient;

  beforeAll(async () => {
    const binary = await buildCsiSanity();
    cluster = await TestCluster.start(1, 4 * GiB);
    node = cluster.nodes[0]?.csi as CsiClient;
    run = await runCsiSanity(binary, cluster.local, { pool: POOL, dataPath: 'any' }, 4 * MiB);
    const count = (state: string) => run.specs.filter((spec) => spec.state === state).length;
    process.stderr.write(
      `csi-sanity: ${run.specs.length} specs: ${count('passed')} passed, ` +
        `${count('failed')} failed, ${count('skipped')} skipped themselves, ` +
        `${count('pending')} pending in csi-sanity itself\n`,
    );
  }, BUILD_MS + 180_000);

  afterAll(() => cluster?.stop());

  const named = (state: string) =>
    run.specs
      .filter((spec) => spec.state === state)
      .map(({ name, message }) => (message === '' ? name : `${name}: ${message}`))
      .sort();

  test('passes every spec that runs', () => {
    if (run.exitCode !== 0) process.stderr.write(run.output);
    expect(run.specs).toHaveLength(SPECS);
    const bad = run.specs.filter(({ state }) => !['passed', 'skipped', 'pending'].includes(state));
    expect(bad).toEqual([]);
    expect(named('passed').length).toBeGreaterThanOrEqual(RAN);
    expect(run.exitCode).toBe(0);
  });

  test('lets only those specs skip themselves whose capability is not advertised', () => {
    const expected = SANITY_SKIPS.flatMap(({ reason, container, specs }) =>
      specs.map((name) => `${container} › ${name}: ${reason}`),
    );
    expect(named('skipped')).toEqual(expected.sort());
    expect(named('pending')).toEqual([SANITY_PENDING]);
  });

  test('advertises none of those capabilities, and does none of what they stand for', async () => {
    const { controller, identity } = cluster.controller;
    const advertised = [
      ...(await identity.getPluginCapabilities({})).capabilities.map((one) => one.service?.type),
      ...(await controller.controllerGetCapabilities({})).capabilities.map((one) => one.rpc?.type),
      ...(await node.node.nodeGetCapabilities({})).capabilities.map((one) => one.rpc?.type),
    ].map(String);
    expect(advertised).toEqual(expect.arrayContaining(['CREATE_DELETE_VOLUME', 'GET_CAPACITY']));
    const lacking = SANITY_SKIPS.map(({ capability }) => capability ?? '');
    expect(advertised.filter((one) => lacking.includes(one))).toEqual([]);
    expect(Number((await node.node.nodeGetInfo({})).max_volumes_per_node)).toBe(0);
    for (const call of [
      () => controller.controllerModifyVolume({}),
      () => controller.createSnapshot({}),
      () => controller.deleteSnapshot({}),
      () => controller.listSnapshots({}),
      () => controller.getSnapshot({}),
      () => controller.controllerExpandVolume({}),
      () => node.node.nodeExpandVolume({}),
    ]) {
      expect(await failure(call())).toMatch(/^UNIMPLEMENTED: /);
    }
  });

  test('was asked ten times to stage and to publish by the idempotency spec', () => {
    const log = readFileSync(join(cluster.local.logs, 'node-a.log'), 'utf8').trim().split('\n');
    const lines = log.map((line) => JSON.parse(line));
    for (const method of ['NodeStageVolume', 'NodePublishVolume']) {
      const counts = new Map<string, number>();
      for (const line of lines.filter((one) => one.method === method && one.code === 'OK')) {
        const { volume_id: id } = line.request;
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      expect({ method, times: Math.max(...counts.values()) }).toEqual({ method, times: 10 });
    }
  });

  test('gets the same answer ten times to every other call in the life of a volume', async () => {
    const { controller } = cluster.controller;
    const ten = async <T>(call: () => Promise<T>): Promise<T> => {
      const first = await call();
      for (let times = 2; times <= 10; times++) expect(await call()).toEqual(first);
      return first;
    };
    const volume = await ten(() => cluster.createVolume('ten', 4 * MiB));
    const target = await ten(() => cluster.publish(volume, 0));
    const id = { volume_id: volume.id };
    await ten(() => node.node.nodeGetVolumeStats({ ...id, volume_path: target }));
    await ten(() => controller.controllerGetVolume(id));
    await ten(() => node.node.nodeUnpublishVolume({ ...id, target_path: target }));
    const staging_target_path = cluster.stagingPath(volume, 0);
    await ten(() => node.node.nodeUnstageVolume({ ...id, staging_target_path }));
    await ten(() => controller.controllerUnpublishVolume({ ...id, node_id: 'node-a' }));
    await ten(() => controller.deleteVolume(id));
    expect(await failure(controller.controllerGetVolume(id))).toMatch(/^NOT_FOUND: /);
  });

  test('leaves no volume, no mount and no directory, and a clean log', async () => {
    expect((await cluster.controller.controller.listVolumes({})).entries).toEqual([]);
    const poolMount = join(cluster.local.nodes[0]?.mountRoot ?? '', POOL);
    expect(cluster.local.mounts()).toEqual([poolMount]);
    for (const name of ['sanity-mount', 'sanity-staging']) {
      expect(existsSync(join(cluster.local.directory, name))).toBe(false);
    }
    const check = spawnSync(process.execPath, [MAIN, 'check', '--json', cluster.local.fabric]);
    expect(JSON.parse(String(check.stdout))).toMatchObject({
      usable: true,
      files: 0,
      directories: 0,
      problems: [],
    });
    expect(check.status).toBe(0);
  });
});
