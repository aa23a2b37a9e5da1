import { chmodSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { FileLock } from '../../src/native/file-lock.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { type Preparation, prepareDevice } from '../../src/pool/prepare-device.ts';
import { caught, rejection } from '../support/caught.ts';
import { FakeDaxBus } from '../support/fake-sysfs.ts';
import { machineRoot } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';

const GID = machineRoot() === undefined ? 2222 : (process.getgid?.() ?? 0);

function wanted(scratch: Scratch, change: Partial<Preparation> = {}): Preparation {
  return {
    name: 'p',
    device: scratch.join('p.fabric'),
    format: 'ifBlank',
    systemUuid: '00000000-0000-4000-8000-00000000aaaa',
    emulated: { sizeBytes: 64 * MiB, gid: GID },
    ...change,
  };
}

describe('a device that is prepared', () => {
  test('is a file for its group, of the size and with the log that were asked for', async () => {
    using scratch = new Scratch();
    const emulated = { sizeBytes: GiB, logSizeBytes: 16 * MiB, gid: GID };
    const made = await prepareDevice(wanted(scratch, { emulated }));
    const { size, mode, gid } = statSync(scratch.join('p.fabric'));
    expect([size, mode & 0o777, gid]).toEqual([GiB, 0o660, GID]);
    expect(made).toMatchObject({ logLengthBytes: 16 * MiB, deviceName: scratch.join('p.fabric') });
    expect(readdirSync(scratch.path)).toEqual(['p.fabric']);
  });

  test('is made and formatted once, by one of many that come at once', async () => {
    using scratch = new Scratch();
    const all = Array.from({ length: 8 }, () => prepareDevice(wanted(scratch)));
    const made = (await Promise.all(all)).filter((superblock) => superblock !== undefined);
    expect(made).toHaveLength(1);
    using memory = Mapping.open(scratch.join('p.fabric'), { writable: false });
    expect(new LogFollower(memory).superblock).toEqual(made[0]);
  });

  test('is waited for while another mounter has it, and found formatted then', async () => {
    using scratch = new Scratch();
    const { device, systemUuid } = wanted(scratch);
    writeFileSync(device, new Uint8Array(16 * MiB));
    using lock = FileLock.open(device);
    expect(lock.tryTake()).toBe(true);
    const prepared = prepareDevice(wanted(scratch, { emulated: undefined }));
    // All that it does before it waits for the lock, it does now.
    await nextTurn();
    using memory = Mapping.open(device, { writable: true });
    const other = mkfs(memory, { deviceName: 'other', systemUuid });
    lock.release();
    expect(await prepared).toBeUndefined();
    expect(new LogFollower(memory).superblock).toEqual(other);
  });

  test('that is there keeps its size and its permissions', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.join('p.fabric'), new Uint8Array(16 * MiB), { mode: 0o600 });
    expect(await prepareDevice(wanted(scratch))).toMatchObject({ deviceSizeBytes: 16 * MiB });
    const { size, mode } = statSync(scratch.join('p.fabric'));
    expect([size, mode & 0o777]).toEqual([16 * MiB, 0o600]);
  });

  // A file gets its size last: without one, its maker was killed.
  test('is finished where its maker was killed before it had a size', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.join('p.fabric'), '', { mode: 0o600 });
    expect(await prepareDevice(wanted(scratch))).toBeDefined();
    const { size, mode, gid } = statSync(scratch.join('p.fabric'));
    expect([size, mode & 0o777, gid]).toEqual([64 * MiB, 0o660, GID]);
  });

  test('is not formatted where that is not wanted', async () => {
    using scratch = new Scratch();
    expect(await prepareDevice(wanted(scratch, { format: 'never' }))).toBeUndefined();
    using memory = Mapping.open(scratch.join('p.fabric'), { writable: false });
    expect(caught(() => new LogFollower(memory)).code).toBe('NOT_FAMFS');
  });

  test('keeps what it holds, and its name and pool are in the reason', async () => {
    using scratch = new Scratch();
    const device = scratch.join('p.fabric');
    writeFileSync(device, Buffer.alloc(16 * MiB, 'XFSB'));
    expect(await rejection(prepareDevice(wanted(scratch)))).toEqual({
      code: 'EXISTS',
      message: expect.stringMatching(new RegExp(`^pool p on ${device}: device: holds an XFS`)),
    });
  });

  test('is never made through a symbolic link, nor where its directory is missing', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.join('other'), '');
    symlinkSync(scratch.join('other'), scratch.join('p.fabric'));
    expect((await rejection(prepareDevice(wanted(scratch)))).message).toMatch(/\(ELOOP\)/);
    expect(statSync(scratch.join('other')).size).toBe(0);
    const device = scratch.join('none', 'p.fabric');
    expect(await rejection(prepareDevice(wanted(scratch, { device })))).toEqual({
      code: 'NOT_FOUND',
      message: `${scratch.join('none')}: cannot be locked (ENOENT)`,
    });
  });

  // Its first mounter has crashed: the kernel's driver for famfs lets nobody map the device.
  test('is left alone where it is with the driver of famfs mounts already', async () => {
    using scratch = new Scratch();
    const device = '/dev/dax9.0';
    const bus = new FakeDaxBus(['device_dax', 'fsdev_dax']);
    bus.add('dax9.0', 'fsdev_dax');
    const asked = wanted(scratch, { device, emulated: undefined });
    expect(await prepareDevice(asked, bus)).toBeUndefined();
    bus.add('dax9.0', 'device_dax');
    expect((await rejection(prepareDevice(asked, bus))).code).toBe('NOT_FOUND');
  });

  test('that is missing, with no file to stand for it, is waited for by its mounter', async () => {
    using scratch = new Scratch();
    chmodSync(scratch.path, 0o755);
    const told = await rejection(prepareDevice(wanted(scratch, { emulated: undefined })));
    expect(told.code).toBe('NOT_FOUND');
    expect(readdirSync(scratch.path)).toEqual([]);
  });
});
