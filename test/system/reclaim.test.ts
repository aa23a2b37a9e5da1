import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { rejection } from '../support/caught.ts';
import { famfsJson } from '../support/command-line.ts';
import { type Peer, startPeer } from '../support/mapping-peer.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually, TestCluster, type TestVolume } from '../support/test-cluster.ts';

/** Of the 54 MiB that a fabric of 64 MiB has for files; two of them do not fit. */
const SIZE = 32 * MiB;
const RECLAIM_PATIENCE_MS = 60_000;

let cluster: TestCluster;

interface Info {
  readonly freeBytes: number;
  readonly quarantinedBytes: number;
}

const info = () => famfsJson(['info', cluster.local.fabric]) as Info;

/** What Kubernetes does for a node that it has given up: the node itself knows nothing of it. */
async function detachByForce({ id: volume_id }: TestVolume): Promise<void> {
  const node_id = cluster.nodes[0]?.local.name ?? '';
  await cluster.controller.controller.controllerUnpublishVolume({ volume_id, node_id });
}

function remove({ id }: TestVolume) {
  return cluster.controller.controller.deleteVolume({ volume_id: id });
}

/** As one story, on two nodes with real mounts: each test goes on from the one before. */
describeWith([fuse], 'the memory of a volume that was deleted by force', () => {
  let volume: TestVolume;
  let peer: Peer;

  beforeAll(async () => {
    cluster = await TestCluster.start(2, 64 * MiB, { reclaims: true });
    volume = await cluster.createVolume('old', SIZE);
    const target = await cluster.publish(volume, 0);
    peer = await startPeer(join(target, 'data'));
    await peer.ask('map');
    await peer.ask('store-word 4096 0badf00d');
  }, 60_000);

  afterAll(async () => {
    await peer?.stop();
    await cluster?.stop();
  });

  test('is not given back while it is attached: it cannot be deleted', async () => {
    const { message } = await rejection(remove(volume));
    expect(message).toMatch(/FAILED_PRECONDITION: volume old: attached to node-a/);
  });

  test('stays intact for who has it mapped, while others make and fill volumes', async () => {
    await detachByForce(volume);
    await remove(volume);
    await expect(rejection(cluster.createVolume('new', SIZE))).resolves.toMatchObject({
      message: expect.stringMatching(/RESOURCE_EXHAUSTED|OUT_OF_RANGE/),
    });
    const small = await cluster.createVolume('small', 16 * MiB);
    const target = await cluster.publish(small, 1);
    writeFileSync(join(target, 'data'), Buffer.alloc(16 * MiB, 0xff), { flag: 'r+' });
    // The first answer of each node behind the DELETE, and some more looks of the controller.
    await eventually(
      'the full pool names the node that it waits for',
      async () => {
        const { message } = await rejection(cluster.createVolume('new', SIZE));
        return /32 MiB more are in quarantine: .*wait for node \S*node-a\S* \(holds 1 /.test(
          message,
        )
          ? true
          : undefined;
      },
      RECLAIM_PATIENCE_MS,
    );
    expect(await peer.ask('await-word 4096 0badf00d')).toBe('saw 0badf00d');
    expect(info()).toMatchObject({ quarantinedBytes: SIZE });
  }, 90_000);

  test('is shown by the command with the mounter that keeps it', () => {
    const sockets = cluster.nodes.map(({ local }) => local.mounterSocket);
    const options = sockets.flatMap((socket) => ['--mounter', socket]);
    expect(famfsJson(['quarantine', cluster.local.fabric, ...options])).toMatchObject({
      bytes: SIZE,
      volumes: [
        {
          ...{ volume: 'old', files: 1 },
          waitsFor: [{ node: sockets[0], reason: 'holds 1 deleted file', bytes: SIZE }],
        },
      ],
    });
  });

  test('stays over the death of the server, which its successor tells alike', async () => {
    const { serverPid, serverRestarts } = await cluster.poolStatus(0);
    process.kill(Number(serverPid), 'SIGKILL');
    await eventually('a successor serves', async () => {
      const status = await cluster.poolStatus(0);
      return status.mount && status.serverRestarts > serverRestarts ? true : undefined;
    });
    const { usage } = await cluster.poolStatus(0);
    expect(usage?.heldInodes).toHaveLength(1);
    expect(info()).toMatchObject({ quarantinedBytes: SIZE });
  });

  test('is used again once the process has ended', async () => {
    expect(await peer.ask('await-word 4096 0badf00d')).toBe('saw 0badf00d');
    await peer.stop();
    const made = await eventually(
      'a volume of that size is made',
      () => cluster.createVolume('new', SIZE),
      RECLAIM_PATIENCE_MS,
      { everyMs: 200 },
    );
    const target = await cluster.publish(made, 1);
    expect(statSync(join(target, 'data')).size).toBe(SIZE);
    // Of the old one, 0badf00d was at 4096.
    expect(readFileSync(join(target, 'data')).every((byte) => byte === 0)).toBe(true);
    expect(famfsJson(['check', cluster.local.fabric])).toMatchObject({ problems: [] });
    expect(info()).toMatchObject({ quarantinedBytes: 0 });
  }, 90_000);
});
