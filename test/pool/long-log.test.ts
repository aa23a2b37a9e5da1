import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS, type Layout } from '../../src/format/allocator.ts';
import { fmapExtents } from '../../src/format/extents.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { Pool } from '../../src/pool/pool.ts';

const MASTER = '00000000-0000-4000-8000-000000000001';
const DEVICE_BYTES = 64 * GiB;

let folder: string;
let device: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-long-log-'));
  device = join(folder, 'device');
  createEmulatedDevice(device, DEVICE_BYTES);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function openPool(): Pool {
  return Pool.open({ name: 'p', device, writable: true, systemUuid: MASTER });
}

async function append(pool: Pool, path: string, layout: Layout, sizeBytes: number) {
  return pool.append(({ space }) => {
    const fmap = space.find(layout, sizeBytes);
    const owner = { uid: 0, gid: 0, mode: 0o600 };
    return { entries: [{ type: 'file', path, sizeBytes, flags: 2, ...owner, fmap }], result: fmap };
  });
}

describe('a pool', () => {
  test.each([
    [8 * MiB, 15_420],
    [256 * MiB, 493_447],
    [GiB, 1_973_790],
  ])('with a log of %i bytes has its files behind it', async (logLengthBytes, capacity) => {
    {
      using memory = Mapping.open(device, { writable: true });
      mkfs(memory, { deviceName: 'd', systemUuid: MASTER, logLengthBytes });
    }
    using pool = openPool();
    const dataStart = 2 * MiB + logLengthBytes;
    const contiguous = await append(pool, 'contiguous', CONTIGUOUS, 3 * MiB);
    expect(fmapExtents(contiguous)).toEqual([
      { devindex: 0, offset: dataStart, lengthBytes: 4 * MiB },
    ]);
    const striped = { strips: 16, buckets: 64, chunkBytes: 2 * MiB };
    const strips = fmapExtents(await append(pool, 'striped', striped, GiB));
    // Buckets of 1 GiB: the longest log leaves of the first, and of the next one, too little.
    const buckets = strips.map(({ offset }) => Math.floor(offset / GiB));
    expect(new Set(buckets).size).toBe(16);
    expect(Math.min(...strips.map(({ offset }) => offset))).toBeGreaterThanOrEqual(dataStart);

    using other = openPool();
    const { replica } = other;
    expect(replica.capacity).toBe(capacity);
    expect(replica.problems).toEqual([]);
    expect([...replica.namespace.files()].map(({ path, fmap }) => [path, fmap])).toEqual([
      ['contiguous', contiguous],
      ['striped', { type: 'interleaved', chunkBytes: 2 * MiB, strips }],
    ]);
    expect(replica.space.allocatedBytes).toBe(4 * MiB + GiB);
  });
});
