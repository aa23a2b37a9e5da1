import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { decodeLogEntry, encodeLogEntry } from '../../src/format/log-entry.ts';
import { decodeSuperblock, FLAG_SECONDARY, SUPERBLOCK_BYTES } from '../../src/format/superblock.ts';
import { type DevaddOptions, devadd, type GrowingPool } from '../../src/pool/devadd.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { daxdev, deviceUuid } from '../format/entries.ts';
import { caught, rejection } from '../support/caught.ts';
import { checkOf, HeapMemory } from '../support/heap-memory.ts';
import { imageMemory } from '../support/vectors.ts';
import { LogMemory, MASTER } from './log-memory.ts';

const OPTIONS: DevaddOptions = { deviceName: '/dev/dax1.0' };
const NEW_BYTES = 64 * MiB;

/** A process that has opened the pool and its log: what it stores from now on are entries. */
function poolOn(memory: LogMemory): GrowingPool {
  const { superblock } = new LogFollower(memory);
  const { writer } = memory.writer();
  writer.appendHeld(() => ({ entries: [], result: undefined }));
  memory.stores = 0;
  return { superblock, append: (plan) => writer.append(plan) };
}

function newDevice(lengthBytes = NEW_BYTES): HeapMemory {
  return new HeapMemory(lengthBytes);
}

function devicesOf(memory: LogMemory) {
  return new LogFollower(memory).replica.devices;
}

function superblockOf(memory: HeapMemory) {
  return decodeSuperblock(memory.read(0, SUPERBLOCK_BYTES));
}

function expectClean(memory: LogMemory): void {
  expect(checkOf(memory)).toMatchObject({ usable: true, problems: [] });
}

describe('devadd', () => {
  test('writes a superblock of the pool on the device, and adds it to the log', async () => {
    const primary = LogMemory.of([]);
    const device = newDevice();
    const added = await devadd(poolOn(primary), device, OPTIONS);
    expect(added).toMatchObject({ devindex: 1, sizeBytes: NEW_BYTES, isNew: true });
    const { superblock, replica } = new LogFollower(primary);
    expect(superblockOf(device)).toEqual({
      ...superblock,
      flags: FLAG_SECONDARY,
      deviceUuid: added.deviceUuid,
      deviceSizeBytes: NEW_BYTES,
      deviceName: '/dev/dax1.0',
    });
    expect(replica.devices[1]).toEqual({ deviceUuid: added.deviceUuid, sizeBytes: NEW_BYTES });
    expect(decodeLogEntry(primary.slot(0), 0)).toMatchObject({
      entry: { type: 'add-daxdev', devindex: 1, sizeBytes: NEW_BYTES },
    });
    expectClean(primary);
  });

  test('does nothing the second time, and says which device that is', async () => {
    const primary = LogMemory.of([]);
    const device = newDevice();
    const { deviceUuid: uuid } = await devadd(poolOn(primary), device, OPTIONS);
    const pool = poolOn(primary);
    const [before, stores] = [primary.bytes.slice(), device.stores];
    const again = await devadd(pool, device, { ...OPTIONS, force: true });
    expect(again).toEqual({ devindex: 1, deviceUuid: uuid, sizeBytes: NEW_BYTES, isNew: false });
    expect(device.stores).toBe(stores);
    expect(Buffer.compare(primary.bytes, before)).toBe(0);
  });

  test('cut short at any store, goes on where it was', async () => {
    const order = { device: 4, log: 4 };
    for (let stores = 0; stores <= order.device; stores++) {
      for (const tornBytes of [0, 60, 130]) {
        const [primary, device] = [LogMemory.of([]), newDevice()];
        device.dieAfter(stores, tornBytes);
        const died = await devadd(poolOn(primary), device, OPTIONS).catch(() => 'died');
        if (stores < order.device) expect([died, primary.stores]).toEqual(['died', 0]);
        await expectFinished(primary, device.reopened());
      }
    }
    for (let stores = 0; stores < order.log; stores++) {
      const [primary, device] = [LogMemory.of([]), newDevice()];
      const pool = poolOn(primary);
      primary.dieAfter(stores, (line) => line % 2 === 0);
      expect(await devadd(pool, device, OPTIONS).catch(() => 'died')).toBe('died');
      expect(device.stores).toBe(order.device);
      const { deviceUuid: uuid } = superblockOf(device);
      primary.revive();
      await expectFinished(primary, device);
      expect(devicesOf(primary)[1]?.deviceUuid).toBe(uuid);
    }
  });

  async function expectFinished(primary: LogMemory, device: HeapMemory): Promise<void> {
    const { deviceUuid: uuid } = await devadd(poolOn(primary), device, OPTIONS);
    expect(superblockOf(device).deviceUuid).toBe(uuid);
    expect(devicesOf(primary).slice(1)).toEqual([{ deviceUuid: uuid, sizeBytes: NEW_BYTES }]);
    expectClean(primary);
  }

  test('twice at once of one device adds one', async () => {
    const [primary, device] = [LogMemory.of([]), newDevice()];
    const pool = poolOn(primary);
    const both = await Promise.all([1, 2].map(() => devadd(pool, device, OPTIONS)));
    expect(both.map(({ devindex, isNew }) => [devindex, isNew])).toEqual([
      [1, true],
      [1, false],
    ]);
    expect(devicesOf(primary)).toHaveLength(2);
  });

  test('takes a uuid once, and writes nothing on the device that wants it again', async () => {
    const [primary, one, other] = [LogMemory.of([]), newDevice(), newDevice()];
    const wanted = { ...OPTIONS, deviceUuid: deviceUuid(7) };
    const pool = poolOn(primary);
    const [, second] = await Promise.allSettled([
      devadd(pool, one, wanted),
      devadd(pool, other, wanted),
    ]);
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'EXISTS' } });
    expect(other.stores).toBe(0);
    expect(
      devicesOf(primary)
        .map((device) => device.deviceUuid)
        .slice(1),
    ).toEqual([deviceUuid(7)]);
    const renamed = devadd(pool, one, { ...OPTIONS, deviceUuid: deviceUuid(8) });
    expect((await rejection(renamed)).message).toMatch(/has the uuid .*7 in this pool, not .*8/);
    const primarys = { ...OPTIONS, deviceUuid: pool.superblock.deviceUuid };
    expect(await rejection(devadd(pool, other, primarys))).toMatchObject({ code: 'EXISTS' });
  });

  test('never takes the primary, not by force', async () => {
    const primary = LogMemory.of([]);
    const pool = poolOn(primary);
    const before = primary.bytes.slice();
    const fault = await rejection(devadd(pool, primary, { ...OPTIONS, force: true }));
    expect(fault).toMatchObject({ code: 'INVALID', message: expect.stringContaining('primary') });
    expect(Buffer.compare(primary.bytes, before)).toBe(0);
  });

  test.each<[string, () => HeapMemory, RegExp]>([
    ['another pool', () => imageMemory('b_tree_8g'), /holds a famfs superblock \(pool 2021/],
    ['a damaged pool', () => imageMemory('e1_bad_sb_crc'), /holds a famfs superblock \(superblock/],
    ['other data', () => filled(4096), /holds data of an unknown kind/],
    ['data where a log goes', () => filled(2 * MiB), /holds data where a log goes/],
  ])('refuses %s, and takes it by force', async (_, make, message) => {
    const [primary, device] = [LogMemory.of([]), make()];
    device.stores = 0;
    const fault = await rejection(devadd(poolOn(primary), device, OPTIONS));
    expect(fault).toMatchObject({ code: 'EXISTS', message: expect.stringMatching(message) });
    expect([device.stores, primary.stores]).toEqual([0, 0]);
    await devadd(poolOn(primary), device, { ...OPTIONS, force: true });
    expect(devicesOf(primary)).toHaveLength(2);
    // No log of an old pool is left to be found on it.
    expect(device.read(2 * MiB, 48).every((byte) => byte === 0)).toBe(true);
    expect(caught(() => new LogFollower(device))).toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('this is a secondary device of pool'),
    });
  });

  function filled(offset: number): HeapMemory {
    const device = newDevice();
    device.write(offset, Uint8Array.of(1));
    return device;
  }

  test('refuses a small device, a 65th one, and a full log, and writes nothing', async () => {
    const small = newDevice(4 * MiB - 1);
    const primary = LogMemory.of([]);
    const fault = await rejection(devadd(poolOn(primary), small, OPTIONS));
    expect(fault).toMatchObject({ code: 'INVALID', message: expect.stringContaining('needs at') });
    const full = LogMemory.of(Array.from({ length: 63 }, (_, at) => daxdev(at + 1)));
    const device = newDevice();
    expect(await rejection(devadd(poolOn(full), device, OPTIONS))).toMatchObject({
      code: 'PRECONDITION',
      message: 'pool: has 64 devices, the most there can be',
    });
    const noRoom = poolOn(LogMemory.image('d_full_log_64g', 64 * GiB));
    expect((await rejection(devadd(noRoom, device, OPTIONS))).code).toBe('LOG_FULL');
    expect([small.stores, device.stores, primary.stores, full.stores]).toEqual([0, 0, 0, 0]);
  });

  test('adds a device that a damaged entry of the log had named before, as another', async () => {
    const primary = LogMemory.of([]);
    const device = newDevice();
    await devadd(poolOn(primary), device, OPTIONS);
    primary.bytes.set(encodeLogEntry(0, { type: 'mkdir', path: 'x', ...OWNERLESS }), 2 * MiB + 48);
    const { deviceUuid: uuid } = superblockOf(device);
    const added = await devadd(poolOn(primary), device, OPTIONS);
    expect(added).toEqual({ devindex: 1, deviceUuid: uuid, sizeBytes: NEW_BYTES, isNew: true });
  });

  const OWNERLESS = { uid: 0, gid: 0, mode: 0o755 };

  test('leaves the device to mkfs only by force', async () => {
    const [primary, device] = [LogMemory.of([]), newDevice()];
    await devadd(poolOn(primary), device, OPTIONS);
    const again = () => mkfs(device, { deviceName: 'x', systemUuid: MASTER });
    expect(caught(again)).toMatchObject({
      code: 'EXISTS',
      message: expect.stringContaining('holds a famfs superblock (pool'),
    });
  });
});
