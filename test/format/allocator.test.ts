import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS, FreeSpace, type Layout } from '../../src/format/allocator.ts';
import { type Extent, fmapCapacity, fmapExtents } from '../../src/format/extents.ts';
import { caught } from '../support/caught.ts';

const UNIT = 2 * MiB;
type Striped = Exclude<Layout, { strips: 0 }>;

function isStriped(layout: Layout): layout is Striped {
  return 'chunkBytes' in layout;
}

/** The pool's memory in units, kept by the test alone: 1 where a file is, or the log. */
class Used {
  readonly devices: Uint8Array[] = [];

  addDevice(start: number, sizeBytes: number): void {
    this.devices.push(new Uint8Array(Math.floor(sizeBytes / UNIT)).fill(1, 0, start / UNIT));
  }

  #units({ devindex, offset, lengthBytes }: Extent): Uint8Array {
    const device = this.devices[devindex];
    if (device === undefined) throw new Error(`no device ${devindex}`);
    return device.subarray(offset / UNIT, (offset + lengthBytes) / UNIT);
  }

  /** Fails unless the extent is on whole units of the device that nobody has. */
  take(extent: Extent): void {
    const units = this.#units(extent);
    expect([extent.offset % UNIT, units.length * UNIT]).toEqual([0, extent.lengthBytes]);
    expect(units.includes(1)).toBe(false);
    units.fill(1);
  }

  firstFit(devindex: number, lengthBytes: number, from: number, to: number): number | undefined {
    const units = this.devices[devindex]?.subarray(0, to / UNIT) ?? [];
    const count = Math.ceil(lengthBytes / UNIT);
    let run = 0;
    for (let at = from / UNIT; at < units.length; at++) {
      run = units[at] === 0 ? run + 1 : 0;
      if (run === count) return (at - count + 1) * UNIT;
    }
    return undefined;
  }

  get freeBytes(): number {
    return UNIT * this.devices.reduce((sum, units) => sum + units.filter((u) => u === 0).length, 0);
  }
}

interface Pool {
  readonly space: FreeSpace;
  readonly used: Used;
  /** Devices that new files may be on. */
  readonly open: number;
}

type DeviceRange = readonly [start: number, sizeBytes: number];

/** A pool whose primary device alone is open. */
function poolOf(...devices: readonly DeviceRange[]): Pool {
  return openPool(1, ...devices);
}

function openPool(open: number, ...devices: readonly DeviceRange[]): Pool {
  const pool = { space: new FreeSpace(open), used: new Used(), open };
  for (const [start, sizeBytes] of devices) {
    pool.space.addDevice(start, sizeBytes);
    pool.used.addDevice(start, sizeBytes);
  }
  return pool;
}

/** Finds and takes memory for a file, and checks it against the bitmap. */
function allocate(pool: Pool, layout: Layout, sizeBytes: number): readonly Extent[] {
  const { space, used, open } = pool;
  const fmap = space.find(layout, sizeBytes);
  const extents = fmapExtents(fmap);
  expect(fmapCapacity(fmap)).toBeGreaterThanOrEqual(sizeBytes);
  if (!isStriped(layout) || sizeBytes < layout.chunkBytes) {
    const lengthBytes = Math.ceil(sizeBytes / UNIT) * UNIT;
    // Never on a device that is not open, however much is free there.
    const fits = Array.from({ length: open }, (_, devindex) => {
      return { devindex, offset: used.firstFit(devindex, lengthBytes, 0, 2 ** 50), lengthBytes };
    });
    const first = fits.find(({ offset }) => offset !== undefined);
    expect(fmap).toEqual({ type: 'simple', extents: [first] });
  } else {
    expect(fmap).toMatchObject({ type: 'interleaved', chunkBytes: layout.chunkBytes });
    expectStrips(pool, layout, sizeBytes, extents);
  }
  for (const extent of extents) {
    used.take(extent);
    expect(space.isFree(extent) && space.contains(extent)).toBe(true);
    space.reserve(extent);
    expect(space.isFree(extent)).toBe(false);
  }
  expect(space.freeBytes).toBe(used.freeBytes);
  return extents;
}

/** The strips are as long as the formula says, each the first fit of a bucket of its own. */
function expectStrips(pool: Pool, layout: Striped, sizeBytes: number, strips: readonly Extent[]) {
  const { used, open } = pool;
  const { strips: count, buckets, chunkBytes } = layout;
  const sizes = used.devices.slice(0, open).map(({ length }) => length * UNIT);
  const bucketBytes = cut(sizes, buckets).map((parts, at) => {
    return Math.floor((sizes[at] ?? 0) / parts / UNIT) * UNIT;
  });
  const lengthBytes = Math.ceil(sizeBytes / (count * chunkBytes)) * chunkBytes;
  const places = strips.map(({ devindex, offset }) => {
    return [devindex, Math.floor(offset / (bucketBytes[devindex] ?? 0))] as const;
  });
  expect(new Set(places.map(String)).size).toBe(count);
  for (const [at, strip] of strips.entries()) {
    const [devindex, bucket] = places[at] ?? [0, 0];
    const bytes = bucketBytes[devindex] ?? 0;
    const offset = used.firstFit(devindex, lengthBytes, bucket * bytes, (bucket + 1) * bytes);
    expect(strip).toEqual({ devindex, offset, lengthBytes });
  }
}

/** Parts of each device, of all the ways to cut them the one with the largest smallest part. */
function cut(sizes: readonly number[], count: number): readonly number[] {
  const ways = (left: number, devices: number): number[][] => {
    if (devices === 1) return [[left]];
    return Array.from({ length: left + 1 }, (_, first) =>
      ways(left - first, devices - 1).map((rest) => [first, ...rest]),
    ).flat();
  };
  const smallest = (parts: readonly number[]) =>
    Math.min(...parts.map((n, at) => (n === 0 ? Infinity : (sizes[at] ?? 0) / n)));
  const all = ways(count, sizes.length);
  const most = Math.max(...all.map(smallest));
  return all.find((parts) => smallest(parts) === most) ?? [];
}

const layouts = fc.oneof(
  fc.constant(CONTIGUOUS),
  fc.record({ strips: fc.integer({ min: 1, max: 7 }), spare: fc.nat(2), power: fc.nat(4) }).map(
    ({ strips, spare, power }): Layout => ({
      strips,
      buckets: Math.min(7, strips + spare),
      chunkBytes: UNIT * 2 ** power,
    }),
  ),
);
const sizes = fc.oneof(
  fc.integer({ min: 1, max: 64 * MiB }),
  fc.integer({ min: 1, max: 800 }).map((units) => units * UNIT),
  fc.integer({ min: 1, max: 3 * GiB }),
);
const files = fc.array(fc.tuple(layouts, sizes), { minLength: 1, maxLength: 30 });

/** Allocates the files that fit; the others must be NO_SPACE. */
function fill(pool: Pool, todo: readonly (readonly [Layout, number])[]): void {
  for (const [layout, sizeBytes] of todo) {
    const largest = pool.space.largestAllocatable(layout);
    if (sizeBytes <= largest) allocate(pool, layout, sizeBytes);
    else expect(caught(() => pool.space.find(layout, sizeBytes)).code).toBe('NO_SPACE');
  }
}

describe('allocator', () => {
  test('never hands out a unit that a live file owns, laying files out by the formulas', () => {
    const devices = [
      [10 * MiB, 7 * GiB + 6 * MiB],
      [2 * MiB, GiB],
    ] as const;
    fc.assert(
      fc.property(files, (todo) => fill(poolOf(...devices), todo)),
      { numRuns: 60 },
    );
  });

  test('fills every device that is open, and none that is not', () => {
    const devices = [
      [10 * MiB, 5 * GiB + 6 * MiB],
      [2 * MiB, 3 * GiB + 2 * MiB],
      [2 * MiB, 7 * GiB - 4 * MiB],
      [2 * MiB, 9 * GiB],
    ] as const;
    const used = new Set<number>();
    const striped = (todo: readonly (readonly [Layout, number])[]) => {
      const pool = openPool(3, ...devices);
      fill(pool, todo);
      pool.used.devices.forEach((units, at) => {
        if (units.subarray(5).includes(1)) used.add(at);
      });
    };
    fc.assert(fc.property(files, striped), { numRuns: 60 });
    expect([...used].sort()).toEqual([0, 1, 2]);
  });

  test('puts the strips of a file on different devices, as far as that makes room', () => {
    const equal = openPool(2, [10 * MiB, 4 * GiB], [2 * MiB, 4 * GiB]);
    const strips = allocate(equal, { strips: 2, buckets: 2, chunkBytes: UNIT }, 8 * MiB);
    expect(strips.map(({ devindex }) => devindex)).toEqual([0, 1]);
    // A small device would make all strips short.
    const unequal = openPool(2, [10 * MiB, 16 * GiB], [2 * MiB, GiB]);
    const apart = allocate(unequal, { strips: 2, buckets: 2, chunkBytes: UNIT }, 8 * MiB);
    expect(apart.map(({ devindex }) => devindex)).toEqual([0, 0]);
  });

  test('goes on to the next device with what the primary has no room for', () => {
    const pool = openPool(2, [10 * MiB, 30 * MiB], [2 * MiB, 64 * MiB]);
    expect(pool.space.largestFreeBytes).toBe(62 * MiB);
    const devices = [20 * MiB, 2 * MiB, 60 * MiB].map(
      (sizeBytes) => allocate(pool, CONTIGUOUS, sizeBytes)[0]?.devindex,
    );
    expect(devices).toEqual([0, 1, 1]);
    expect(caught(() => pool.space.find(CONTIGUOUS, 1)).code).toBe('NO_SPACE');
  });

  test('finds room for the largest size it names, and not for one byte more', () => {
    fc.assert(
      fc.property(files, layouts, (todo, layout) => {
        const pool = openPool(2, [10 * MiB, 7 * GiB + 6 * MiB], [2 * MiB, 2 * GiB]);
        fill(pool, todo);
        const largest = pool.space.largestAllocatable(layout);
        const { code, message } = caught(() => pool.space.find(layout, largest + 1));
        expect(code).toBe('NO_SPACE');
        expect(message).toContain(`the largest size that would fit is ${largest} bytes`);
        if (largest > 0) allocate(pool, layout, largest);
      }),
      { numRuns: 60 },
    );
  });

  test('fills the primary to its last unit, then names 0 as the largest size', () => {
    const pool = poolOf([10 * MiB, 30 * MiB], [2 * MiB, 8 * MiB]);
    expect(pool.space.largestFreeBytes).toBe(20 * MiB);
    for (let at = 0; at < 10; at++) allocate(pool, CONTIGUOUS, 1);
    expect(pool.space.freeBytes).toBe(6 * MiB);
    expect(pool.space.allocatedBytes).toBe(20 * MiB);
    expect(caught(() => pool.space.find(CONTIGUOUS, 1))).toEqual({
      code: 'NO_SPACE',
      message: expect.stringContaining('0 bytes are free, the largest size that would fit is 0 '),
    });
  });

  test('never uses the end of a device that is no whole unit, nor one that is used in part', () => {
    const pool = poolOf([10 * MiB, 20 * MiB + 4096]);
    pool.space.reserveFreeParts({ devindex: 0, offset: 12 * MiB + 4096, lengthBytes: 4096 });
    expect(pool.space.largestFreeBytes).toBe(6 * MiB);
    expect(fmapExtents(pool.space.find(CONTIGUOUS, 4 * MiB))).toEqual([
      { devindex: 0, offset: 14 * MiB, lengthBytes: 4 * MiB },
    ]);
    expect(fmapExtents(pool.space.find(CONTIGUOUS, 6 * MiB))[0]?.offset).toBe(14 * MiB);
    expect(caught(() => pool.space.find(CONTIGUOUS, 6 * MiB + 1)).code).toBe('NO_SPACE');
  });

  test('puts the first strips of files that follow each other into different buckets', () => {
    const pool = poolOf([10 * MiB, 8 * GiB]);
    const layout = { strips: 2, buckets: 8, chunkBytes: UNIT };
    const buckets = Array.from({ length: 4 }, () =>
      allocate(pool, layout, 4 * MiB).map(({ offset }) => Math.floor(offset / GiB)),
    );
    expect(new Set(buckets.flat())).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]));
  });

  test('makes a file contiguous that is smaller than one chunk', () => {
    const layout = { strips: 4, buckets: 4, chunkBytes: 8 * MiB };
    const { space } = poolOf([10 * MiB, 8 * GiB]);
    expect(space.find(layout, 8 * MiB - 1).type).toBe('simple');
    expect(space.find(layout, 8 * MiB).type).toBe('interleaved');
  });

  test.each<[string, Partial<Striped>, RegExp]>([
    ['a chunk of 3 units', { chunkBytes: 3 * UNIT }, /chunk size is 6291456, expected a power/],
    ['a chunk of 1 MiB', { chunkBytes: MiB }, /chunk size is 1048576/],
    ['17 strips', { strips: 17, buckets: 17 }, /found 17 strips, expected 1 to 16/],
    ['-1 strips', { strips: -1 }, /found -1 strips/],
    ['no number of strips', { strips: Number.NaN }, /found NaN strips/],
    ['fewer buckets than strips', { buckets: 3 }, /found 3 buckets, expected 4/],
    ['65 buckets', { buckets: 65 }, /found 65 buckets, expected 4 \(the strips\) to 64/],
    [
      'buckets under 1 GiB',
      { buckets: 9 },
      /the smallest has 910 MiB, .* at most 8 here; use fewer/,
    ],
  ])('refuses %s as INVALID, at whatever size', (_, change, message) => {
    const { space } = poolOf([10 * MiB, 8 * GiB]);
    const layout = { strips: 4, buckets: 4, chunkBytes: UNIT, ...change };
    for (const run of [() => space.find(layout, 1), () => space.find(layout, GiB)]) {
      expect(caught(run)).toEqual({ code: 'INVALID', message: expect.stringMatching(message) });
    }
    expect(caught(() => space.largestAllocatable(layout)).code).toBe('INVALID');
  });

  test('takes 64 buckets and 16 strips where the device has the room', () => {
    const pool = poolOf([10 * MiB, 64 * GiB]);
    const strips = allocate(pool, { strips: 16, buckets: 64, chunkBytes: UNIT }, GiB + 1);
    expect(strips[0]?.lengthBytes).toBe(66 * MiB);
  });

  test.each<[string, Extent, boolean]>([
    ['the first unit behind the log', { devindex: 0, offset: 10 * MiB, lengthBytes: UNIT }, true],
    ['the end of the log', { devindex: 0, offset: 8 * MiB, lengthBytes: 2 * UNIT }, false],
    ['the last unit', { devindex: 0, offset: GiB - UNIT, lengthBytes: UNIT }, true],
    ['past the end', { devindex: 0, offset: GiB - UNIT, lengthBytes: 2 * UNIT }, false],
    ['another device', { devindex: 1, offset: 10 * MiB, lengthBytes: UNIT }, false],
    ['no device', { devindex: Infinity, offset: 10 * MiB, lengthBytes: UNIT }, false],
    ['no end', { devindex: 0, offset: 10 * MiB, lengthBytes: Infinity }, false],
  ])('knows whether %s is memory for files', (_, extent, expected) => {
    const { space } = poolOf([10 * MiB, GiB]);
    expect(space.contains(extent)).toBe(expected);
    expect(space.isFree(extent)).toBe(expected);
  });
});
