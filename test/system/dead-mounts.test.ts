import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { readMountInfo } from '../../src/native/mounts.ts';
import { caught } from '../support/caught.ts';
import { type Peer, startPeer } from '../support/mapping-peer.ts';
import { eventually, TestCluster, type TestVolume } from '../support/test-cluster.ts';

const SIZE = 2 * MiB;

let cluster: TestCluster;
let volume: TestVolume;
let target: string;
/** Has the volume's file mapped through the pool's first mount, with no mount of its own. */
let peer: Peer;
let ino: number;

beforeAll(async () => {
  cluster = await TestCluster.start(1, 256 * MiB);
  volume = await cluster.createVolume('old', SIZE);
  target = await cluster.publish(volume, 0);
  peer = await startPeer(join(node().local.mountRoot, POOL, volume.id, 'data'));
  await peer.ask('map');
  ino = statSync(join(target, 'data')).ino;
});

afterAll(async () => {
  await peer?.stop();
  await cluster?.stop();
});

/** Whether this node says of the volume's file that it must be taken for used. */
async function isHeld(): Promise<boolean | undefined> {
  const { pools } = await node().mounter.status();
  return pools[0]?.usage?.heldInodes?.includes(ino);
}

function node() {
  const [first] = cluster.nodes;
  if (!first) throw new Error('no node');
  return first;
}

const mountsOf = ({ id }: TestVolume) => readMountInfo().filter(({ root }) => root === `/${id}`);

/** Kills keeper and server in one go, so that nobody holds the descriptor, and starts a mounter. */
async function mountAnew(): Promise<void> {
  const { keeperPid, pools } = await node().mounter.status();
  const dead = pools[0]?.serverPid ?? 0;
  process.kill(keeperPid, 'SIGKILL');
  process.kill(dead, 'SIGKILL');
  await eventually('both end', () =>
    existsSync(`/proc/${keeperPid}`) || isAlive(dead) ? undefined : true,
  );
  cluster.local.startMounter(node().local);
  await eventually('the pool is mounted anew', () => node().mounter.poolMount(POOL, 0));
}

/** A server without keeper is init's to reap, which may take it a while. */
function isAlive(pid: number): boolean {
  return (
    existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  );
}

const secondTarget = () => join(node().local.kubeletDir, 'pods', 'second');

async function publishSecond(): Promise<void> {
  await node().csi.node.nodePublishVolume({
    volume_id: volume.id,
    volume_context: volume.context,
    volume_capability: {
      mount: { fs_type: '' },
      access_mode: { mode: 'MULTI_NODE_SINGLE_WRITER' },
    },
    staging_target_path: cluster.stagingPath(volume, 0),
    target_path: secondTarget(),
    readonly: false,
  });
}

describe('after keeper and server died at once', () => {
  test('a pod’s mount is dead, which its volume’s condition says', async () => {
    await mountAnew();
    expect(caught(() => readFileSync(join(target, 'data'))).code).toBe('ENOTCONN');
    const stats = await node().csi.node.nodeGetVolumeStats({
      volume_id: volume.id,
      volume_path: target,
    });
    expect(stats.volume_condition).toEqual({
      abnormal: true,
      message: 'its mount has died; end the pods that use it',
    });
  });

  test('what was used through the dead mount is taken for used', async () => {
    await eventually('it is', async () => (await isHeld()) || undefined);
  });

  test('a new volume is published as ever', async () => {
    const fresh = await cluster.createVolume('new', SIZE);
    expect(statSync(join(await cluster.publish(fresh, 0), 'data')).size).toBe(SIZE);
    await cluster.unpublish(fresh, 0);
    expect(mountsOf(fresh)).toEqual([]);
  });

  test('a new pod of the old volume gets it, though the staging mount had died', async () => {
    await publishSecond();
    expect(statSync(join(secondTarget(), 'data')).size).toBe(SIZE);
    expect(caught(() => readFileSync(join(target, 'data'))).code).toBe('ENOTCONN');
    expect(mountsOf(volume)).toHaveLength(3);
  });

  test('the dead mount is replaced when its pod is published again', async () => {
    expect(await cluster.publish(volume, 0)).toBe(target);
    expect(statSync(join(target, 'data')).size).toBe(SIZE);
    expect(mountsOf(volume)).toHaveLength(3);
  });

  test('what is dead is unpublished and unstaged, and nothing is left', async () => {
    await mountAnew();
    expect(caught(() => readFileSync(join(target, 'data'))).code).toBe('ENOTCONN');
    await node().csi.node.nodeUnpublishVolume({
      volume_id: volume.id,
      target_path: secondTarget(),
    });
    await cluster.unpublish(volume, 0);
    expect(mountsOf(volume)).toEqual([]);
    expect([target, secondTarget()].filter((path) => existsSync(path))).toEqual([]);
  });

  test('a file is held until the last process is gone that has it mapped', async () => {
    expect(await isHeld()).toBe(true);
    await peer.stop();
    await eventually('nothing holds it', async () =>
      (await isHeld()) === false ? true : undefined,
    );
  });
});
