import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS, type Layout } from '../../src/format/allocator.ts';
import { fmapExtents, resolve } from '../../src/format/extents.ts';
import { FLAG_ALL_HOSTS_RW } from '../../src/format/log-entry.ts';
import { FamfsFileSystem } from '../../src/fs/famfs-file-system.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { devadd } from '../../src/pool/devadd.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { META_DIRECTORY, META_LOG, metaSuperblock } from '../../src/pool/meta-memory.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { Pool, type PoolOptions } from '../../src/pool/pool.ts';
import { caught, rejection } from '../support/caught.ts';
import { checkOf } from '../support/heap-memory.ts';
import { Scratch } from '../support/scratch.ts';
import { MASTER } from './log-memory.ts';

const PRIMARY_BYTES = 32 * MiB;
const SECOND_BYTES = 64 * MiB;
let folder: Scratch;
let primary: string;
let second: string;
let third: string;

beforeEach(async () => {
  folder = new Scratch();
  [primary, second, third] = ['dev0', 'dev1', 'dev2'].map((name) => folder.join(name)) as [
    string,
    string,
    string,
  ];
  makePool(primary, PRIMARY_BYTES);
  for (const [path, sizeBytes] of [
    [second, SECOND_BYTES],
    [third, 2 * GiB],
  ] as const) {
    createEmulatedDevice(path, sizeBytes);
    await add(primary, path);
  }
});

afterEach(() => folder[Symbol.dispose]());

function makePool(path: string, sizeBytes: number): void {
  createEmulatedDevice(path, sizeBytes);
  using memory = Mapping.open(path, { writable: true });
  mkfs(memory, { deviceName: path, systemUuid: MASTER });
}

async function add(pool: string, path: string): Promise<void> {
  using opened = open([pool]);
  using memory = Mapping.open(path, { writable: true });
  await devadd(opened, memory, { deviceName: path });
}

function open([device = '', ...others]: readonly string[], change: Partial<PoolOptions> = {}) {
  const secondaries = others.map((path) => ({ path }));
  const access = { writable: true, systemUuid: MASTER };
  return Pool.open({ name: 'p', device, secondaries, ...access, ...change });
}

async function makeFile(pool: Pool, path: string, sizeBytes: number, layout: Layout = CONTIGUOUS) {
  return await pool.append(({ space }) => {
    const fmap = space.find(layout, sizeBytes);
    const owner = { uid: 0, gid: 0, mode: 0o644, flags: FLAG_ALL_HOSTS_RW };
    return { entries: [{ type: 'file', path, sizeBytes, ...owner, fmap }], result: fmap };
  });
}

describe('a pool over three devices', () => {
  test('opens them all, and has the memory of each by its index', () => {
    using pool = open([primary, second, third]);
    const sizes = [0, 1, 2, 3].map((devindex) => pool.memoryOf(devindex)?.lengthBytes);
    expect(sizes).toEqual([PRIMARY_BYTES, SECOND_BYTES, 2 * GiB, undefined]);
    expect([0, 1, 2, 3].map((devindex) => pool.pathOf(devindex))).toEqual([
      primary,
      second,
      third,
      undefined,
    ]);
    expect(pool.replica.space.largestFreeBytes).toBe(2 * GiB - 2 * MiB);
  });

  test('gives files memory of the devices that are open, and says so when checked', async () => {
    using pool = open([primary, second, third]);
    const places: number[] = [];
    for (const [at, sizeBytes] of [20 * MiB, 10 * MiB, 52 * MiB, 8 * MiB].entries()) {
      const fmap = await makeFile(pool, `f${at}`, sizeBytes);
      places.push(...fmapExtents(fmap).map(({ devindex }) => devindex));
    }
    expect(places).toEqual([0, 1, 1, 2]);
    using few = open([primary, second]);
    expect(few.replica.space.largestFreeBytes).toBe(2 * MiB);
    using memory = Mapping.open(primary, { writable: false });
    expect(checkOf(memory)).toMatchObject({ problems: [], files: 4, allocatedBytes: 90 * MiB });
  });

  test('reads and writes a file that is interleaved over two of them', async () => {
    const fourth = folder.join('dev3');
    createEmulatedDevice(fourth, 2 * GiB);
    await add(primary, fourth);
    const devices = [primary, second, third, fourth];
    {
      using pool = open(devices);
      const layout = { strips: 2, buckets: 2, chunkBytes: 2 * MiB };
      const fmap = await makeFile(pool, 'striped', 6 * MiB, layout);
      expect(
        fmapExtents(fmap)
          .map(({ devindex }) => devindex)
          .sort(),
      ).toEqual([2, 3]);
    }
    using fs = serve(devices);
    const node = fs.pool.replica.namespace.lookup('striped');
    if (node?.kind !== 'file') throw new Error('no file');
    const bytes = Uint8Array.from({ length: 6 * MiB }, (_, at) => 1 + (at % 251));
    expect(fs.write(node.ino, 0, bytes)).toBe(bytes.length);
    const onDevices = resolve(node.fmap, 0, bytes.length).map((range) => {
      using memory = Mapping.open(devices[range.devindex] ?? '', { writable: false });
      return memory.read(range.offset, range.lengthBytes);
    });
    expect(onDevices).toHaveLength(3);
    expect(Buffer.compare(Buffer.concat(onDevices), bytes)).toBe(0);
    const segments = fs.read(node.ino, MiB, 4 * MiB);
    if (typeof segments === 'number') throw new Error(`errno ${segments}`);
    const read = segments.map(({ memory, offset, lengthBytes }) =>
      memory.read(offset, lengthBytes),
    );
    expect(Buffer.compare(Buffer.concat(read), bytes.subarray(MiB, 5 * MiB))).toBe(0);
  });

  function serve([device = '', ...others]: readonly string[], problems: string[] = []) {
    return new FamfsFileSystem({
      name: 'p',
      device,
      secondaries: others.map((path) => ({ path })),
      writable: true,
      onDeviceProblem: (problem) => problems.push(problem),
      onError: (message) => problems.push(message),
    });
  }

  test('refuses what is on a device that this host has not, with the reason', async () => {
    {
      using pool = open([primary, second, third]);
      await makeFile(pool, 'here', 20 * MiB);
      await makeFile(pool, 'there', 60 * MiB);
    }
    {
      using fs = serve([primary]);
      expect(fs.refusalsBelow('')).toEqual([
        {
          path: 'there',
          reason: "is on device 1 of the pool, which this node's mounter does not have",
        },
      ]);
    }
    const problems: string[] = [];
    using fs = serve([primary, folder.join('gone'), third], problems);
    expect(problems).toEqual([`${folder.join('gone')}: no such device or file (ENOENT)`]);
    expect(fs.refusalsBelow('')).toMatchObject([
      { path: 'there', reason: expect.stringContaining(`does not have: ${problems[0]}`) },
    ]);
    expect([fs.pool.pathOf(1), fs.pool.pathOf(2)]).toEqual([undefined, third]);
  });

  test('serves a device that comes to the log only when it is opened again with it', async () => {
    const fourth = folder.join('dev3');
    createEmulatedDevice(fourth, 4 * GiB);
    using running = serve([primary, second, third]);
    await add(primary, fourth);
    {
      using pool = open([primary, second, third, fourth]);
      await makeFile(pool, 'new', 3 * GiB);
    }
    running.follow();
    expect(running.pool.replica.devices).toHaveLength(4);
    expect(running.refusalsBelow('new')[0]?.reason).toContain('is on device 3 of the pool');
    using restarted = serve([primary, second, third, fourth]);
    expect(restarted.refusalsBelow('new')).toEqual([]);
  });
});

describe('a pool that the kernel holds for a mount', () => {
  /** The files that a mount on a dax path shows, of the first so many devices. */
  function mountOf(devices: readonly string[]): string {
    const meta = folder.join('mount', META_DIRECTORY);
    mkdirSync(meta, { recursive: true });
    for (const [devindex, path] of devices.entries()) {
      using memory = Mapping.open(path, { writable: false });
      writeFileSync(join(meta, metaSuperblock(devindex)), memory.read(0, 2 * MiB));
      if (devindex > 0) continue;
      writeFileSync(join(meta, META_LOG), memory.read(2 * MiB, 8 * MiB));
    }
    return folder.join('mount');
  }

  test('has the devices that the mount shows, and new files go to these', async () => {
    using pool = open([mountOf([primary, second])]);
    expect([1, 2].map((devindex) => pool.pathOf(devindex) !== undefined)).toEqual([true, false]);
    expect(pool.memoryOf(1)).toBeUndefined();
    expect(fmapExtents(await makeFile(pool, 'there', 60 * MiB))).toMatchObject([{ devindex: 1 }]);
    expect((await rejection(makeFile(pool, 'nowhere', GiB))).code).toBe('NO_SPACE');
  });

  test('is not opened where the mount shows another device', () => {
    const { code, message } = caught(() => open([mountOf([primary, third])]));
    expect(code).toBe('PRECONDITION');
    expect(message).toContain('.superblock.1: given as device 1, is device 2 of the pool');
  });
});

describe('a device that is not what the log says', () => {
  test.each<[string, () => string[] | Promise<string[]>, RegExp]>([
    [
      'a path that is not there',
      () => [primary, folder.join('gone')],
      /^NOT_FOUND .*gone: no such device or file/,
    ],
    [
      'no famfs',
      () => {
        createEmulatedDevice(folder.join('blank'), SECOND_BYTES);
        return [primary, folder.join('blank')];
      },
      /^NOT_FAMFS .*device .*blank: superblock: magic is 0x0/,
    ],
    [
      'another pool',
      () => {
        makePool(folder.join('foreign'), SECOND_BYTES);
        return [primary, folder.join('foreign')];
      },
      /^PRECONDITION .*foreign: given as device 1, is of pool [0-9a-f-]{36}, not of/,
    ],
    [
      'the devices in another order',
      () => [primary, third, second],
      /^PRECONDITION .*dev2: given as device 1, is device 2 of the pool; give the devices in the/,
    ],
    [
      'the primary again',
      () => [primary, primary],
      /^PRECONDITION .*dev0: given as device 1, is device 0 of the pool/,
    ],
    [
      'a device that the log has not',
      async () => {
        makePool(folder.join('smaller'), PRIMARY_BYTES);
        using pool = open([folder.join('smaller')]);
        const { superblock } = pool;
        createEmulatedDevice(folder.join('early'), SECOND_BYTES);
        await addTo(pool, folder.join('early'));
        using memory = Mapping.open(folder.join('smaller'), { writable: true });
        mkfs(memory, {
          deviceName: 'x',
          systemUuid: MASTER,
          fsUuid: superblock.fsUuid,
          force: true,
        });
        return [folder.join('smaller'), folder.join('early')];
      },
      /^PRECONDITION .*early: given as device 1, the pool's log has 1; add it with "famfs-csi dev/,
    ],
  ])('is a fault that names it: %s', async (_, devices, expected) => {
    const given = await devices();
    const { code, message } = caught(() => open(given));
    expect(`${code} ${message}`).toMatch(expected);
    expect(message).toMatch(/^pool p on /);
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain(folder.path);
  });

  async function addTo(pool: Pool, path: string): Promise<void> {
    using memory = Mapping.open(path, { writable: true });
    await devadd(pool, memory, { deviceName: path });
  }

  test('is a primary that was looked for by its uuid, and is another one', () => {
    using pool = open([primary]);
    const { deviceUuid, fsUuid } = pool.superblock;
    open([primary], { deviceUuid })[Symbol.dispose]();
    const { code, message } = caught(() => open([primary], { deviceUuid: fsUuid }));
    expect(code).toBe('PRECONDITION');
    expect(message).toContain(`has the device uuid ${deviceUuid}, not ${fsUuid}`);
  });

  test('is one that was cut short', () => {
    truncateSync(second, SECOND_BYTES - 1);
    const { code, message } = caught(() => open([primary, second]));
    expect(code).toBe('PRECONDITION');
    expect(message).toContain(`has ${SECOND_BYTES - 1} bytes, the log says ${SECOND_BYTES}`);
  });

  test('is a secondary given as the primary', () => {
    const fault = caught(() => open([second]));
    expect(fault.code).toBe('PRECONDITION');
    expect(fault.message).toContain('this is a secondary device of pool');
  });

  test('is left alone where damage of the log hides which it should be', () => {
    using memory = Mapping.open(primary, { writable: true });
    const slot = 2 * MiB + 48;
    memory.write(slot + 16, Uint8Array.of(0xff)); // the first ADD_DAXDEV
    using pool = open([primary, second, third]);
    expect(pool.replica.damage).toMatchObject({ index: 0 });
    expect([pool.memoryOf(1), pool.pathOf(1)]).toEqual([undefined, undefined]);
  });
});
