import { closeSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { eventually, TestCluster, type TestVolume } from '../support/test-cluster.ts';

/** Superblock and log: what is left of the fabric while its memory is "broken". */
const LOG_END_BYTES = 10 * MiB;
const FABRIC_BYTES = 64 * MiB;

let cluster: TestCluster;
let volume: TestVolume;
let other: TestVolume;
let target: string;
let serverPid: number | undefined;

beforeAll(async () => {
  cluster = await TestCluster.start(1, FABRIC_BYTES);
  volume = await cluster.createVolume('vol', 4 * MiB);
  other = await cluster.createVolume('other', 4 * MiB);
  target = await cluster.publish(volume, 0);
  serverPid = (await cluster.poolStatus(0)).serverPid;
});

afterAll(async () => {
  await cluster?.stop();
});

function readErrno(): string | undefined {
  const fd = openSync(join(target, 'data'), 'r');
  try {
    readSync(fd, new Uint8Array(4096), 0, 4096, 0);
    return undefined;
  } catch (error) {
    return codeOf(error);
  } finally {
    closeSync(fd);
  }
}

async function volumeCondition() {
  const [node] = cluster.nodes;
  const stats = await node?.csi.node.nodeGetVolumeStats({
    volume_id: volume.id,
    volume_path: target,
  });
  return stats?.volume_condition;
}

// The file that stands for the memory loses its end: an access there is SIGBUS, as on poison.
describe('memory that fails under a pool', () => {
  test('is healthy at first', async () => {
    expect(readErrno()).toBeUndefined();
    expect(await volumeCondition()).toMatchObject({ abnormal: false });
  });

  test('gives the reader EIO, and neither server nor mounter ends', async () => {
    truncateSync(cluster.local.fabric, LOG_END_BYTES);
    expect(readErrno()).toBe('EIO');
    const status = await cluster.poolStatus(0);
    expect(status).toMatchObject({ serverPid, serverRestarts: 0 });
    expect(status.problem).toMatch(/memory .*failed/);
    expect(statSync(join(target, 'data')).size).toBe(4 * MiB);
  });

  test('makes the volume abnormal, and refuses to stage another', async () => {
    expect(await volumeCondition()).toMatchObject({ abnormal: true });
    const failure = await cluster.publish(other, 0).then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    expect(failure).toMatch(/pool demo: its memory failed on this node/);
  });

  test('is healthy again once the memory is back and another server serves', async () => {
    truncateSync(cluster.local.fabric, FABRIC_BYTES);
    process.kill(serverPid as number, 'SIGKILL');
    await eventually('another server', async () => {
      const status = await cluster.poolStatus(0);
      return status.serverPid !== serverPid && status.mount !== undefined ? status : undefined;
    });
    expect(readErrno()).toBeUndefined();
    expect(await volumeCondition()).toMatchObject({ abnormal: false });
    await cluster.publish(other, 0);
  });
});
