import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { type Extent, type Fmap, fmapCapacity, resolve } from '../../src/format/extents.ts';
import type { FileNode } from '../../src/format/namespace.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { caught } from '../support/caught.ts';
import { Host } from './devices.ts';
import { FAMFS_KERNELS } from './generations.ts';
import { Kernel } from './kernel.ts';
import { at, FILES_AT, ModelPool } from './model-pool.ts';
import { O_RDWR, Process } from './process.ts';
import { type Served, serve } from './served.ts';

const DEVICES = 2;
const DEVICE_BYTES = 1024 * GiB;

/** Lengths and gaps in units, devices, and how much of the last unit the file leaves. */
interface Layout {
  readonly parts: readonly { units: number; gap: number; devindex: number }[];
  /** Undefined: extents one after the other; else log2 of a chunk in units. */
  readonly chunkPower: number | undefined;
  readonly cut: number;
}

const part = fc.record({
  units: fc.integer({ min: 1, max: 40 }),
  gap: fc.nat(3),
  devindex: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(1) }),
});
const layout: fc.Arbitrary<Layout> = fc.record({
  parts: fc.array(part, { minLength: 1, maxLength: 16 }),
  chunkPower: fc.option(fc.nat(4), { nil: undefined }),
  cut: fc.double({ min: 0, max: 1, noNaN: true }),
});
const someFiles = fc.record({
  unitBytes: fc.constantFrom(2 * MiB, 4096),
  layouts: fc.array(layout, { minLength: 1, maxLength: 6 }),
  at: fc.array(
    fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
    { minLength: 8, maxLength: 8 },
  ),
});

/** A pool with one file a layout, each in memory of its own. */
function poolOf(unitBytes: number, layouts: readonly Layout[]): ModelPool {
  const pool = new ModelPool({ lengthBytes: DEVICE_BYTES, allocUnitBytes: unitBytes });
  const next = Array.from({ length: DEVICES }, () => FILES_AT);
  pool.append({
    type: 'add-daxdev',
    sizeBytes: DEVICE_BYTES,
    deviceUuid: '00000000-0000-4000-8000-00000000dddd',
    devindex: 1,
  });
  layouts.forEach(({ parts, chunkPower, cut }, index) => {
    const chunkBytes = 2 ** (chunkPower ?? 0) * unitBytes;
    const extents: Extent[] = parts.map(({ units, gap, devindex }) => {
      const offset = (next[devindex] ?? 0) + gap * unitBytes;
      // A strip has whole chunks, as an allocator gives them; extents have any length.
      const lengthBytes = units * (chunkPower === undefined ? unitBytes : chunkBytes);
      next[devindex] = offset + lengthBytes;
      return at(offset, lengthBytes, devindex);
    });
    const fmap: Fmap =
      chunkPower === undefined
        ? { type: 'simple', extents }
        : { type: 'interleaved', chunkBytes, strips: extents };
    const capacity = fmapCapacity(fmap);
    pool.file(`f${index}`, fmap, Math.max(1, capacity - Math.floor(cut * unitBytes)));
  });
  return pool;
}

function mount(pool: ModelPool, name: (typeof FAMFS_KERNELS)[number]) {
  const host = new Host();
  for (let index = 0; index < DEVICES; index++) host.add(`/dev/dax${index}.0`);
  const kernel = new Kernel({ name, host });
  const fs = pool.fileSystem({ generation: name });
  const served = serve(kernel, fs);
  if (name === 'push2') kernel.devices.give(host.at('/dev/dax1.0'), 1);
  return { fs, kernel, served, process: new Process(kernel) };
}

/** Holds the kernel's arithmetic on the wire's bytes to the format's, on ranges of one file. */
function compare(
  { served, process }: { served: Served; process: Process },
  node: FileNode,
  parts: readonly (readonly [number, number])[],
): void {
  const file = served.do(process.open(`/${node.path}`, O_RDWR));
  const { sizeBytes } = node;
  const ranges = parts.map(([from, part]): [number, number] => {
    const offset = Math.min(sizeBytes - 1, Math.floor(from * sizeBytes));
    return [offset, 1 + Math.floor(part * (sizeBytes - offset - 1))];
  });
  for (const [offset, length] of [[0, sizeBytes], [0, 1], [sizeBytes - 1, 1], ...ranges] as const) {
    const found = process.placesOf(file, offset, length);
    expect(found).toEqual(
      resolve(node.fmap, offset, length).map(({ devindex, offset: at, lengthBytes }) => ({
        devindex,
        offset: at,
        length: lengthBytes,
      })),
    );
  }
  served.do(process.close(file));
}

describe.each(FAMFS_KERNELS)('a %s kernel', (name) => {
  test('finds each byte of every file where the format says, or refuses the file', () => {
    const seen = { mapped: 0, refused: 0 };
    fc.assert(
      fc.property(someFiles, ({ unitBytes, layouts, at: parts }) => {
        const mounted = mount(poolOf(unitBytes, layouts), name);
        const { fs, served, process } = mounted;
        for (const node of fs.pool.replica.namespace.files()) {
          if (fs.dataPath.refusal(node) === undefined) {
            compare(mounted, node, parts);
            seen.mapped++;
          } else {
            const refused = caught(() => served.do(process.open(`/${node.path}`)));
            expect(refused.code).toBe('EOPNOTSUPP');
            seen.refused++;
          }
        }
        expect(mounted.kernel.rules.breaches).toEqual([]);
      }),
      { numRuns: 60 },
    );
    // Files in units of 4 KiB, on a second device, or in odd chunks, for all but push2.
    expect(seen.mapped).toBeGreaterThan(20);
    expect(seen.refused > 20).toBe(name !== 'push2');
  });
});

describe('chunks smaller than a kernel can map, in strips that it could', () => {
  test.each(FAMFS_KERNELS)('are refused, but by push2: %s', (name) => {
    const chunkBytes = 64 * 1024;
    const pool = new ModelPool({ allocUnitBytes: 4096 });
    const strips = [0, 1].map((strip) => at(FILES_AT + strip * 2 * MiB, 2 * MiB));
    pool.file('small', { type: 'interleaved', chunkBytes, strips });
    const mounted = mount(pool, name);
    const node = mounted.fs.pool.replica.namespace.lookup('small') as FileNode;
    if (name === 'push2') return compare(mounted, node, [[0.4, 0.3]]);
    expect(mounted.fs.dataPath.refusal(node)).toMatch(/65536 .*not aligned to 2097152/);
    const refused = caught(() => mounted.served.do(mounted.process.open('/small')));
    expect(refused.code).toBe('EOPNOTSUPP');
  });
});

describe('a map that needs two steps', () => {
  test.each([
    [199, 4808, 1],
    [169, 4088, 0],
    [170, 4112, 1],
  ])('%i chunks for a push kernel', (chunks, mapBytes, repeats) => {
    const parts = [0, 1, 2, 3].map(() => ({ units: 50, gap: 1, devindex: 0 }));
    const pool = poolOf(2 * MiB, [{ parts, chunkPower: 0, cut: 0 }]);
    const strips = [0, 1, 2].map((strip) => at(FILES_AT + (600 + strip * 200) * MiB, 160 * MiB));
    pool.file('odd', { type: 'interleaved', chunkBytes: 2 * MiB, strips }, chunks * 2 * MiB - 5);
    const mounted = mount(pool, 'push');
    const node = mounted.fs.pool.replica.namespace.lookup('odd') as FileNode;
    compare(mounted, node, [
      [0.5, 0.5],
      [0.999, 0.5],
    ]);
    const asked = mounted.kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_FMAP);
    expect([32 + chunks * 24, asked.length - 1]).toEqual([mapBytes, repeats]);
  });
});
