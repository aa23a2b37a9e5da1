import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { startLoad } from '../support/load.ts';
import { startPeer } from '../support/mapping-peer.ts';
import { eventually, TestCluster, type TestVolume } from '../support/test-cluster.ts';

const SIZE = 32 * MiB;

let cluster: TestCluster;
let volume: TestVolume;
let file: string;

beforeAll(async () => {
  cluster = await TestCluster.start(1, 256 * MiB);
  volume = await cluster.createVolume('vol', SIZE);
  file = join(await cluster.publish(volume, 0), 'data');
});

afterAll(() => cluster?.stop());

function kill(pid: number | undefined): void {
  if (pid === undefined) throw new Error('no process to kill');
  process.kill(pid, 'SIGKILL');
}

describe('after a SIGKILL', () => {
  test('of the server child, again and again, a load of reads and stats has no error', async () => {
    const load = startLoad(file, SIZE);
    try {
      for (let death = 1; death <= 5; death++) {
        const before = load.rounds();
        await eventually('the load runs', () => (load.rounds() > before ? true : undefined));
        const { serverPid } = await cluster.poolStatus(0);
        kill(serverPid);
        await eventually('a successor serves', async () => {
          const now = await cluster.poolStatus(0);
          return now.serverRestarts >= death && now.mount && now.serverPid !== serverPid
            ? true
            : undefined;
        });
      }
      const before = load.rounds();
      await eventually('the load goes on', () => (load.rounds() > before ? true : undefined));
    } finally {
      expect(await load.finish()).toMatch(/^fine after \d+$/);
    }
  });

  test('of the server child, a mapping that a pod holds keeps its bytes and its file', async () => {
    const peer = await startPeer(file);
    try {
      await peer.ask('map');
      await peer.ask('store-word 65536 0badf00d');
      const { serverPid, serverRestarts } = await cluster.poolStatus(0);
      kill(serverPid);
      expect(await peer.ask('await-word 65536 0badf00d')).toBe('saw 0badf00d');
      // A page that was never touched needs the successor.
      expect(await peer.ask('await-word 16777216 00000000')).toBe('saw 00000000');
      await eventually('a successor serves', async () =>
        (await cluster.poolStatus(0)).serverRestarts > serverRestarts ? true : undefined,
      );
    } finally {
      await peer.stop();
    }
  });

  test('of the node plugin, mounts stay and the next one carries on', async () => {
    const [node] = cluster.nodes;
    if (!node) throw new Error('no node');
    const load = startLoad(file, SIZE);
    await cluster.local.processes.kill(node.local.name);
    cluster.local.startNode(node.local);
    await eventually('the next plugin answers', () => node.csi.identity.probe({}));
    // What kubelet does then: everything once more, with the same answers.
    expect(join(await cluster.publish(volume, 0), 'data')).toBe(file);
    const usage = await node.csi.node.nodeGetVolumeStats({
      volume_id: volume.id,
      volume_path: join(file, '..'),
    });
    expect(usage.usage[0]?.total).toBe(String(SIZE));
    expect(await load.finish()).toMatch(/^fine after \d+$/);
  });

  test('of the controller, the next one knows volumes and attachments', async () => {
    const load = startLoad(file, SIZE);
    await cluster.local.processes.kill('controller');
    cluster.local.startController();
    const listed = await eventually('the next controller answers', () =>
      cluster.controller.controller.listVolumes({}),
    );
    const found = listed.entries.find(({ volume: one }) => one?.volume_id === volume.id);
    expect(found?.status?.published_node_ids).toEqual(['node-a']);
    await expect(
      cluster.controller.controller.deleteVolume({ volume_id: volume.id }),
    ).rejects.toThrow(/FAILED_PRECONDITION.*node-a/);
    expect(await cluster.createVolume('vol', SIZE)).toMatchObject({ id: volume.id });
    expect(await load.finish()).toMatch(/^fine after \d+$/);
  });

  test('of the keeper, the server serves on, and the next keeper takes it over', async () => {
    const [node] = cluster.nodes;
    if (!node) throw new Error('no node');
    const load = startLoad(file, SIZE);
    await cluster.local.processes.kill(`${node.local.name}-mounter`);
    const orphaned = load.rounds();
    await eventually('the load goes on', () => (load.rounds() > orphaned ? true : undefined));
    cluster.local.startMounter(node.local);
    const adopted = await eventually('the next keeper serves', () =>
      node.mounter.poolMount(POOL, 0),
    );
    expect(adopted.mountPoint).toBe(join(node.local.mountRoot, POOL));
    const before = load.rounds();
    await eventually('the load goes on', () => (load.rounds() > before ? true : undefined));
    expect(await load.finish()).toMatch(/^fine after \d+$/);
    // It is a keeper like any other: the server that it started has a successor, too.
    kill((await cluster.poolStatus(0)).serverPid);
    await eventually('a successor serves', async () =>
      (await cluster.poolStatus(0)).serverRestarts > 0 ? true : undefined,
    );
  });
});
