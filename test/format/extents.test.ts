import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Extent,
  type Fmap,
  fmapCapacity,
  fmapExtents,
  resolve,
} from '../../src/format/extents.ts';
import { caught } from '../support/caught.ts';

/** The place of one byte of a file, `devindex:offset`, by format.md; undefined: nowhere. */
function placeOf(fmap: Fmap, at: number): string | undefined {
  if (fmap.type === 'simple') {
    let before = 0;
    for (const { devindex, offset, lengthBytes } of fmap.extents) {
      if (at < before + lengthBytes) return `${devindex}:${offset + at - before}`;
      before += lengthBytes;
    }
    return undefined;
  }
  const { strips, chunkBytes } = fmap;
  const chunk = Math.floor(at / chunkBytes);
  const strip = strips[chunk % strips.length];
  const within = Math.floor(chunk / strips.length) * chunkBytes + (at % chunkBytes);
  if (strip === undefined || within >= strip.lengthBytes) return undefined;
  return `${strip.devindex}:${strip.offset + within}`;
}

/** How many bytes there are before the first that is nowhere. */
function capacityOf(fmap: Fmap): number {
  let at = 0;
  while (placeOf(fmap, at) !== undefined) at++;
  return at;
}

function bytesOf(ranges: readonly Extent[]): string[] {
  return ranges.flatMap(({ devindex, offset, lengthBytes }) =>
    Array.from({ length: lengthBytes }, (_, at) => `${devindex}:${offset + at}`),
  );
}

/** Tiny extents, some of which follow each other on their device; lengths in units of `unit`. */
function extents(unit: number): fc.Arbitrary<Extent[]> {
  const extent = fc.record({
    devindex: fc.nat(1),
    offset: fc.nat(6).map((at) => at * 4),
    lengthBytes: fc.nat(4).map((units) => units * unit),
  });
  return fc.array(extent, { minLength: 1, maxLength: 16 });
}

const simple = extents(1).map((list): Fmap => ({ type: 'simple', extents: list }));
const interleaved = fc
  .integer({ min: 1, max: 5 })
  .chain((chunkBytes) =>
    extents(chunkBytes).map((strips): Fmap => ({ type: 'interleaved', chunkBytes, strips })),
  );

describe.each([
  ['simple', simple],
  ['interleaved', interleaved],
])('a file with a %s fmap', (_, fmaps) => {
  test('holds as many bytes as have a place', () => {
    fc.assert(fc.property(fmaps, (fmap) => expect(fmapCapacity(fmap)).toBe(capacityOf(fmap))));
  });

  test('has each byte where the formula of the format says, in few ranges', () => {
    const ranges = fc.tuple(fmaps, fc.double({ min: 0, max: 1 }), fc.double({ min: 0, max: 1 }));
    fc.assert(
      fc.property(ranges, ([fmap, from, part]) => {
        const capacity = capacityOf(fmap);
        const offset = Math.floor((from || 0) * capacity);
        const length = Math.round((part || 0) * (capacity - offset));
        const found = resolve(fmap, offset, length);
        const expected = Array.from({ length }, (_, at) => placeOf(fmap, offset + at));
        expect(bytesOf(found)).toEqual(expected);
        for (const [at, { devindex, offset, lengthBytes }] of found.entries()) {
          expect(lengthBytes).toBeGreaterThan(0);
          const next = found[at + 1];
          expect(next?.devindex === devindex && next.offset === offset + lengthBytes).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('extents', () => {
  test('lose the part of a strip that no whole chunk fills', () => {
    const strips = [9, 8].map((lengthBytes) => ({ devindex: 0, offset: 0, lengthBytes }));
    expect(fmapCapacity({ type: 'interleaved', chunkBytes: 4, strips })).toBe(16);
    expect(fmapCapacity({ type: 'interleaved', chunkBytes: 16, strips })).toBe(0);
  });

  test('are found far beyond 2^32', () => {
    const strips = [2 ** 40, 2 ** 41, 2 ** 42].map((offset) => ({
      devindex: 1,
      offset,
      lengthBytes: 2 ** 40,
    }));
    const fmap: Fmap = { type: 'interleaved', chunkBytes: 2 ** 21, strips };
    const at = 3 * 2 ** 39 + 2 ** 21 + 5; // row 2^18 of the chunks; strip 1, byte 5
    expect(resolve(fmap, at, 1)).toEqual([
      { devindex: 1, offset: 2 ** 41 + 2 ** 39 + 5, lengthBytes: 1 },
    ]);
    expect(fmapCapacity(fmap)).toBe(3 * 2 ** 40);
  });

  test('are listed in the order of the fmap', () => {
    const extents = [3, 1, 2].map((offset) => ({ devindex: 0, offset, lengthBytes: 1 }));
    expect(fmapExtents({ type: 'simple', extents })).toEqual(extents);
    expect(fmapExtents({ type: 'interleaved', chunkBytes: 1, strips: extents })).toEqual(extents);
  });

  test('never answer for a byte behind the last one', () => {
    const fmap: Fmap = {
      type: 'simple',
      extents: [{ devindex: 0, offset: 0, lengthBytes: 4 }],
    };
    expect(caught(() => resolve(fmap, 2, 3)).code).toBe('INTERNAL');
  });
});
