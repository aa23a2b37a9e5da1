import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { entryOffset, LOG_OFFSET } from '../../src/format/log-header.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { eventually, MAIN, TestCluster, type TestVolume } from '../support/test-cluster.ts';

const SIZE = 16 * MiB;
const TEXT = 'written before the damage';

let cluster: TestCluster;
let volumes: TestVolume[];
let file: string;

beforeAll(async () => {
  cluster = await TestCluster.start(1, 256 * MiB);
  volumes = [];
  for (const name of ['v0', 'v1', 'v2']) volumes.push(await cluster.createVolume(name, SIZE));
  file = join(await cluster.publish(volume(0), 0), 'data');
  writeFileSync(file, TEXT, { flag: 'r+' });
});

afterAll(() => cluster?.stop());

function volume(at: number): TestVolume {
  const found = volumes[at];
  if (found === undefined) throw new Error(`no volume ${at}`);
  return found;
}

/** Two entries a volume, in the order in which they were made: directory, file. */
function damageFileOf(at: number): void {
  using memory = Mapping.open(cluster.local.fabric, { writable: true });
  const offset = LOG_OFFSET + entryOffset(2 * at + 1) + 60;
  memory.write(offset, Uint8Array.of(0xff));
}

function repair(way: string, copy: string): string {
  const backup = join(cluster.local.directory, copy);
  const args = [MAIN, 'repair', cluster.local.fabric, way, '--backup', backup];
  const { status, stdout, stderr } = spawnSync(process.execPath, args);
  expect([status, String(stderr)]).toEqual([0, '']);
  return String(stdout);
}

/** Ends the server child; resolves when its successor serves. */
async function restartServer(): Promise<void> {
  const { serverPid, serverRestarts } = await cluster.poolStatus(0);
  if (serverPid === undefined) throw new Error('no server to kill');
  process.kill(serverPid, 'SIGKILL');
  await eventually('a successor serves', async () => {
    const { mount, ...now } = await cluster.poolStatus(0);
    return mount && now.serverRestarts > serverRestarts ? true : undefined;
  });
}

function expectServed(): void {
  expect(readFileSync(file, 'latin1').slice(0, TEXT.length)).toBe(TEXT);
}

describe('a log that is damaged in the middle', () => {
  test('stops neither mount nor node: what is before the damage is served and staged', async () => {
    damageFileOf(1);
    await restartServer();
    const { problem, mount } = await cluster.poolStatus(0);
    expect(problem).toMatch(/log is damaged at entry 3 .*"famfs-csi repair"/);
    expect(mount?.logPosition).toBe(3);
    expectServed();
    await cluster.unpublish(volume(0), 0);
    file = join(await cluster.publish(volume(0), 0), 'data');
    expectServed();
    await expect(cluster.publish(volume(2), 0)).rejects.toThrow(
      /UNAVAILABLE: .*log is damaged at entry 3 .*log position 6 is needed/,
    );
  });

  test('keeps a controller that starts then ready, and its volumes attachable', async () => {
    await cluster.local.processes.kill('controller');
    cluster.local.startController();
    const { ready } = await eventually('the next controller answers', () =>
      cluster.controller.identity.probe({}),
    );
    expect(ready).toEqual({ value: true });
    await expect(cluster.createVolume('v3', SIZE)).rejects.toThrow(
      /FAILED_PRECONDITION: pool demo: its log is damaged at entry 3/,
    );
    expect(await cluster.createVolume('v0', SIZE)).toMatchObject({ id: 'v0' });
  });

  test('is served whole again once it was skipped, by the same processes', async () => {
    const before = await cluster.poolStatus(0);
    expect(repair('--skip', 'first')).toContain('entry 3: becomes "lost+found-3"');
    file = join(await cluster.publish(volume(2), 0), 'data');
    const { problem, mount, serverPid } = await cluster.poolStatus(0);
    expect([problem, mount?.logPosition, serverPid]).toEqual([undefined, 6, before.serverPid]);
    await cluster.createVolume('v3', SIZE);
  });

  test('that was cut is served by successors of who had read past the cut', async () => {
    damageFileOf(2);
    expect(repair('--cut', 'second')).toContain('restart every controller and');
    await restartServer();
    await cluster.local.processes.kill('controller');
    cluster.local.startController();
    await eventually('the next controller answers', () => cluster.controller.identity.probe({}));
    expect((await cluster.poolStatus(0)).mount?.logPosition).toBe(5);
    // The file that was cut away is open to nobody; its volume can be made anew, and used.
    expect(() => readFileSync(file)).toThrow(/ENOENT|ESTALE|EIO/);
    await cluster.unpublish(volume(2), 0);
    volumes[2] = await cluster.createVolume('v2', SIZE);
    file = join(await cluster.publish(volume(2), 0), 'data');
    writeFileSync(file, TEXT, { flag: 'r+' });
    expectServed();
    const check = spawnSync(process.execPath, [MAIN, 'check', cluster.local.fabric]);
    expect(String(check.stdout)).toContain(': clean');
  });
});
