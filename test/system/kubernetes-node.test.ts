import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { connectCsi } from '../../src/csi/client.ts';
import { fabricKey } from '../../src/csi/topology.ts';
import type { FamfsNode } from '../../src/kubernetes/famfs-objects.ts';
import { PATHS } from '../../src/kubernetes/objects.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { kubeConfig } from '../support/kubernetes-controllers.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually, MAIN, TestCluster } from '../support/test-cluster.ts';

describeWith([fuse], 'a node plugin under Kubernetes, on a mounter that mounts', () => {
  let server: FakeApiServer;
  let cluster: TestCluster;
  let plugin: ChildProcess;
  let log: string;
  let socket: string;

  beforeAll(async () => {
    server = await FakeApiServer.start();
    server.store.put(PATHS.nodes, { metadata: { name: 'n1', uid: 'u1' } });
    cluster = await TestCluster.start(1, 1 * GiB);
    const { directory, nodes } = cluster.local;
    const config = join(directory, 'kubeconfig');
    writeFileSync(config, kubeConfig(server.url));
    socket = join(directory, 'n1.sock');
    log = join(directory, 'n1.log');
    writeFileSync(log, '');
    const logFile = await open(log, 'a');
    const command = ['node', '--endpoint', socket, '--node-id', 'n1', '--kubernetes'];
    const options = ['--mounter', nodes[0]?.mounterSocket ?? '', '--http', '127.0.0.1:0'];
    plugin = spawn(process.execPath, [MAIN, ...command, ...options], {
      stdio: ['ignore', 'ignore', logFile.fd],
      env: { ...process.env, KUBECONFIG: config },
    });
    await logFile.close();
  }, 60_000);

  afterAll(async () => {
    if (plugin?.exitCode === null && plugin.kill('SIGKILL')) await once(plugin, 'exit');
    await cluster?.stop();
    await server?.[Symbol.asyncDispose]();
  });

  const pool = () =>
    server.store
      .find<FamfsNode>(PATHS.famfsNodes, 'n1')
      ?.status?.pools?.find(({ name }) => name === POOL);

  async function metrics(): Promise<string> {
    const [, port] = /"port":(\d+),"msg":"http listens"/.exec(readFileSync(log, 'utf8')) ?? [];
    return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  }

  test('tells kubelet the fabric that it is on', async () => {
    using csi = connectCsi(socket, { waitForReady: true });
    const { fsUuid = '' } = (await cluster.poolStatus(0)).mount ?? {};
    expect(await csi.node.nodeGetInfo({})).toMatchObject({
      node_id: 'n1',
      accessible_topology: { segments: { [fabricKey('csi.famfs.io', fsUuid)]: 'true' } },
    });
  });

  test('writes down what it has of the pool, and which files are open', async () => {
    const found = await eventually('the FamfsNode object', () => pool());
    expect(found).toMatchObject({ dataPath: 'buffered', healthy: true, message: '', openFiles: 0 });
    const volume = await cluster.createVolume('v', 4 * MiB);
    const target = await cluster.publish(volume, 0);
    const file = await open(join(target, 'data'), 'r+');
    try {
      const use = await eventually('the open file', () =>
        pool()?.volumes?.find(({ id, openFiles }) => id === volume.id && openFiles === 1),
      );
      // The volume's directory, and its file.
      expect(use.cachedInodes).toBe(2);
      expect(pool()?.logPosition).toBe(2);
      const text = await metrics();
      expect(text).toContain(`famfs_node_open_files{pool="${POOL}"} 1\n`);
      expect(text).toContain(`famfs_node_log_position{pool="${POOL}"} 2\n`);
      expect(text).toContain('famfs_mounter_up 1\n');
    } finally {
      await file.close();
    }
    await eventually('it is closed', () => (pool()?.openFiles === 0 ? true : undefined));
    await cluster.unpublish(volume, 0);
  }, 60_000);

  test('ends on SIGTERM without a mount less', async () => {
    const before = cluster.local.mounts();
    expect(before.length).toBeGreaterThan(0);
    plugin.kill('SIGTERM');
    const [code] = await once(plugin, 'exit');
    expect(code).toBe(0);
    expect(cluster.local.mounts()).toEqual(before);
  });
});
