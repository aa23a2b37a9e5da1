import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import type { Extent } from '../../src/format/extents.ts';
import { dataPathOf, GENERATIONS } from '../../src/fs/data-path.ts';

const extent = (offset: number, lengthBytes: number, devindex = 0): Extent => ({
  devindex,
  offset,
  lengthBytes,
});
const simple = (...extents: Extent[]) => ({
  sizeBytes: extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
  fmap: { type: 'simple' as const, extents },
});
const striped = (sizeBytes: number, chunkBytes: number, ...strips: Extent[]) => ({
  sizeBytes,
  fmap: { type: 'interleaved' as const, chunkBytes, strips },
});

/** What each generation says of a file; `carries` where it has nothing to say. */
function refusals(file: Parameters<ReturnType<typeof dataPathOf>['refusal']>[0]) {
  return Object.fromEntries(
    GENERATIONS.map((name) => [name, dataPathOf(name).refusal(file) ?? 'carries']),
  );
}

describe('a file that a generation cannot carry', () => {
  test('is none in the usual pool: 2 MiB units, one device', () => {
    expect(refusals(simple(extent(10 * MiB, 4 * MiB), extent(20 * MiB, 2 * MiB)))).toEqual({
      ...{ buffered: 'carries', pull: 'carries', push2: 'carries', push: 'carries' },
    });
  });

  test('is one in units of 4 KiB, for all but push2', () => {
    const text = 'an extent of 4096 bytes at 10489856 is not aligned to 2097152';
    expect(refusals(simple(extent(10 * MiB + 4096, 4096)))).toEqual({
      ...{ buffered: 'carries', pull: text, push2: 'carries', push: text },
    });
  });

  test('is one in chunks of less than 2 MiB, whatever its strips are', () => {
    const file = striped(4 * MiB, 4096, extent(10 * MiB, 2 * MiB), extent(12 * MiB, 2 * MiB));
    const text = 'its chunks of 4096 bytes are not aligned to 2097152';
    expect(refusals(file)).toEqual({
      ...{ buffered: 'carries', pull: text, push2: 'carries' },
      push: 'an extent of 4096 bytes at 10485760 is not aligned to 2097152',
    });
  });

  test('is one on a second device, for all but push2', () => {
    const text = 'is on device 1, only 1 can be used';
    expect(refusals(simple(extent(10 * MiB, 2 * MiB, 1)))).toEqual({
      ...{ buffered: 'carries', pull: text, push2: 'carries', push: text },
    });
  });

  test('is one of more than 16 MiB of map, unrolled for push', () => {
    const most = Math.floor((16 * MiB - 32) / 24);
    const file = (chunks: number) =>
      striped(chunks * 2 * MiB, 2 * MiB, extent(0, chunks * 2 * MiB));
    expect(refusals(file(most)).push).toBe('carries');
    expect(refusals(file(most + 1))).toMatchObject({
      ...{ push2: 'carries', pull: 'carries' },
      push: 'its map has 16777232 bytes, at most 16777216; use larger chunks',
    });
  });

  test('is found out without unrolling what a damaged log says', () => {
    const file = striped(2 ** 52, 2 * MiB, extent(0, 2 ** 52));
    expect(refusals(file).push).toMatch(/^its map has 51539607584 bytes/);
  });

  test('is one in chunks that have no place on the wire', () => {
    const file = striped(2 ** 33, 2 ** 32, extent(0, 2 ** 33));
    const text = 'its chunks have 4294967296 bytes, at most 2147483648';
    expect(refusals(file)).toMatchObject({ pull: text, push2: text, push: 'carries' });
  });
});
