import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { superblockOn } from '../../src/pool/secondary-devices.ts';
import { deviceUuid } from '../format/entries.ts';
import { famfs, famfsJson, MAIN, startFamfs } from '../support/command-line.ts';
import { Fabric } from '../support/controller-process.ts';

const DYING_ADDON = join(__dirname, '..', 'support', 'dying-addon.mjs');
const NEW_BYTES = 64 * MiB;
let fabric: Fabric;
let added: string[];

beforeEach(() => {
  fabric = new Fabric(64 * MiB);
  added = [1, 2].map((at) => `${fabric.device}-${at}`);
  for (const path of added) createEmulatedDevice(path, NEW_BYTES);
});

afterEach(async () => {
  for (const path of added) rmSync(path, { force: true });
  await fabric[Symbol.asyncDispose]();
});

/** `famfs-csi devadd` that kills itself at a store; returns the signal that ended it. */
function dieAt(stores: number): NodeJS.Signals | null {
  const [device = ''] = added;
  const args = ['--import', DYING_ADDON, MAIN, 'devadd', fabric.device, device];
  const env = { ...process.env, FAMFS_TEST_DIE_AT: String(stores) };
  return spawnSync(process.execPath, args, { env }).signal;
}

function devices() {
  using memory = Mapping.open(fabric.device, { writable: false });
  return new LogFollower(memory).replica.devices;
}

function uuidOn(path: string): string {
  using memory = Mapping.open(path, { writable: false });
  return superblockOn(path, memory).deviceUuid;
}

function expectClean(entries: number): void {
  const { report, exitCode } = fabric.checkByCommand();
  expect(exitCode).toBe(0);
  expect(report).toMatchObject({ usable: true, problems: [], log: { entries, applied: entries } });
}

/**
 * The log opened (2 stores); magic away, where a log was, superblock, magic; the entry, committed,
 * next_seqnum, next_index.
 */
const DEATHS = [0, 1, 2, 3, 3.5, 4, 4.3, 4.7, 5, 6, 6.5, 7, 8, 9, 10];
const COMMITTED = 8;

describe('famfs-csi devadd that is killed', () => {
  test.each(DEATHS)('after %d stores: the next run ends with one device', (stores) => {
    expect(dieAt(stores)).toBe('SIGKILL');
    const before = devices().length;
    expect(before).toBe(stores >= COMMITTED ? 2 : 1);
    const [device = ''] = added;
    const result = famfsJson(['devadd', fabric.device, device]);
    expect(result).toMatchObject({ devindex: 1, sizeBytes: NEW_BYTES, isNew: before === 1 });
    expect(devices().slice(1)).toEqual([{ deviceUuid: uuidOn(device), sizeBytes: NEW_BYTES }]);
    expectClean(1);
  });
});

describe('two famfs-csi devadd at once', () => {
  function both(argsOf: (at: number) => readonly string[]) {
    const ran = [0, 1].map((at) => startFamfs(['devadd', ...argsOf(at), '--json']).done);
    return Promise.all(ran);
  }

  test('of one device add it once', async () => {
    const ran = await both(() => [fabric.device, added[0] ?? '']);
    const results = ran.map(({ stdout }) => JSON.parse(stdout) as { isNew: boolean });
    expect(results.map(({ isNew }) => isNew).sort()).toEqual([false, true]);
    expect(devices()).toHaveLength(2);
    expectClean(1);
  });

  test('of two devices add both', async () => {
    const ran = await both((at) => [fabric.device, added[at] ?? '']);
    expect(ran.map(({ status }) => status)).toEqual([0, 0]);
    expect(new Set(devices().map((device) => device.deviceUuid))).toEqual(
      new Set([devices()[0]?.deviceUuid, ...added.map(uuidOn)]),
    );
    expectClean(2);
  });

  test('never give two devices one uuid', async () => {
    const ran = await both((at) => {
      return [fabric.device, added[at] ?? '', '--device-uuid', deviceUuid(5)];
    });
    expect(ran.map(({ status }) => status).sort()).toEqual([0, 1]);
    expect(ran.map(({ stderr }) => stderr).join('')).toMatch(
      /^famfs-csi: --device-uuid: [0-9a-f-]+5 is device 1 of the pool; leave it out, or give/,
    );
    expect(devices()).toHaveLength(2);
    expectClean(1);
  });

  test('to two pools give the device to one of them', async () => {
    await using other = new Fabric(64 * MiB);
    const pools = [fabric.device, other.device];
    const ran = await both((at) => [pools[at] ?? '', added[0] ?? '']);
    expect(ran.map(({ status }) => status).sort()).toEqual([0, 1]);
    expect(ran.map(({ stderr }) => stderr).join('')).toContain('holds a famfs superblock (pool');
    const entries = [fabric, other].map((one) => one.check().log.entries);
    expect(entries.sort()).toEqual([0, 1]);
  });
});

describe('famfs-csi devadd', () => {
  test('makes a file to add, and the pool then has room for what fits only there', () => {
    const made = `${fabric.device}-3`;
    added.push(made);
    const ran = famfs(['devadd', fabric.device, made, '--size', '1G']);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toMatch(/-3: added, device 1 of pool [0-9a-f-]{36}, 1 GiB, uuid /);
    const create = (device: string) => famfs(['create', '--size', '512M', device, 'big']);
    expect(create(fabric.device)).toMatchObject({ status: 1 });
    expect(create(`${fabric.device},${made}`).stdout).toContain('  device 1: 512 MiB at 2097152');
    expect(famfs(['info', `${fabric.device},${made}`]).stdout).toContain('device 1');
  });

  test('makes no file where this is not the master', () => {
    const made = `${fabric.device}-3`;
    const other = ['--system-uuid', deviceUuid(9)];
    const ran = famfs(['devadd', fabric.device, made, '--size', '1G', ...other]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('its master is');
    expect(existsSync(made)).toBe(false);
  });

  test('does not take a character device that is not dax', () => {
    const ran = famfs(['devadd', fabric.device, '/dev/zero']);
    const expected =
      /^famfs-csi: device \/dev\/zero: is a character device of mem, not of \/sys\/bus\/dax; give/;
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringMatching(expected)]);
  });

  test('does not take the primary, by force neither', () => {
    const ran = famfs(['devadd', '--force', fabric.device, fabric.device]);
    expect(ran).toMatchObject({
      status: 2,
      stderr: 'famfs-csi: device: is the primary device of this pool; give another\n',
    });
    expect(fabric.check().usable).toBe(true);
  });
});
