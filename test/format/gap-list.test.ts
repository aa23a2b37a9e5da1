import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GapList } from '../../src/format/gap-list.ts';
import { caught } from '../support/caught.ts';

/** One byte of this is one byte of the device: 1 where it is free. */
class Bitmap {
  readonly free: Uint8Array;

  constructor(start: number, end: number) {
    this.free = new Uint8Array(Math.max(start, end)).fill(1, start, Math.max(start, end));
  }

  isFree(offset: number, length: number): boolean {
    return (
      offset + length <= this.free.length &&
      !this.free.subarray(offset, offset + length).includes(0)
    );
  }

  reserve(from: number, to: number): void {
    this.free.fill(0, from, to);
  }

  get freeBytes(): number {
    return this.free.reduce((sum, each) => sum + each, 0);
  }

  firstFit(length: number, unit: number, from: number, to: number): number | undefined {
    for (let at = Math.ceil(from / unit) * unit; at + length <= to; at += unit) {
      if (this.isFree(at, length)) return at;
    }
    return undefined;
  }

  longest(unit: number, from: number, to: number): number {
    let longest = 0;
    for (let at = Math.ceil(from / unit) * unit; at < to; at += unit) {
      let length = 0;
      while (at + length + unit <= to && this.isFree(at + length, unit)) length += unit;
      longest = Math.max(longest, length);
    }
    return longest;
  }
}

type Step = readonly ['reserve' | 'reserveFreeParts' | 'look', number, number, number];

/** Both lists go through the steps and must agree after each. */
function expectAlike(gaps: GapList, model: Bitmap, steps: readonly Step[], unit: number): void {
  const size = model.free.length;
  for (const [kind, offset, length, other] of steps) {
    const whole = Math.ceil(length / unit) * unit;
    const isFree = model.isFree(offset, length);
    expect(gaps.isFree(offset, length)).toBe(isFree);
    if (kind === 'reserve' && isFree) {
      gaps.reserve(offset, length);
      model.reserve(offset, offset + length);
    }
    if (kind === 'reserveFreeParts') {
      gaps.reserveFreeParts(offset, offset + length);
      model.reserve(offset, offset + length);
    }
    expect(gaps.freeBytes).toBe(model.freeBytes);
    for (const [from, to] of [
      [0, size],
      [offset, other],
      [other, offset + length],
    ] as const) {
      const end = Math.min(to, size);
      expect(gaps.firstFit(whole, from, end)).toBe(model.firstFit(whole, unit, from, end));
      expect(gaps.longest(from, end)).toBe(model.longest(unit, from, end));
    }
  }
}

function steps(size: number, maxLength: number): fc.Arbitrary<Step[]> {
  const kind = fc.constantFrom('reserve', 'reserve', 'reserveFreeParts', 'look');
  const step = fc.tuple(kind, fc.nat(size), fc.integer({ min: 1, max: maxLength }), fc.nat(size));
  return fc.array(step as fc.Arbitrary<Step>, { maxLength: 25 });
}

describe('gap list', () => {
  test('agrees with a bitmap, whatever is reserved', () => {
    const size = 60;
    const start = fc.nat(20);
    fc.assert(
      fc.property(start, fc.integer({ min: 1, max: 4 }), steps(size, 9), (start, unit, todo) => {
        expectAlike(new GapList(start, size, unit), new Bitmap(start, size), todo, unit);
      }),
      { numRuns: 300 },
    );
  });

  test('agrees with a bitmap when there are a thousand gaps, and when most of them close', () => {
    const size = 3_600; // a comb of 1,200 gaps: 37 leaves under one root
    const comb = () => {
      const gaps = new GapList(0, size, 1);
      const model = new Bitmap(0, size);
      for (let at = 0; at < size; at += 3) {
        gaps.reserve(at, 1);
        model.reserve(at, at + 1);
      }
      return { gaps, model };
    };
    const taken = fc.tuple(fc.nat(size), fc.nat(size));
    fc.assert(
      fc.property(taken, steps(size, 1_500), steps(size, 3), ([from, to], long, short) => {
        const { gaps, model } = comb();
        gaps.reserveFreeParts(from, to); // leaves in the middle become empty
        model.reserve(from, Math.max(from, to));
        expectAlike(gaps, model, [...short, ...long.slice(0, 4), ...short], 1);
      }),
      { numRuns: 15 },
    );
  });

  test.each([
    [10, 10],
    [10, 9],
  ])('from %i to %i has nothing free', (start, end) => {
    const gaps = new GapList(start, end, 1);
    expect(gaps.freeBytes).toBe(0);
    expect(gaps.isFree(start, 1)).toBe(false);
    expect(gaps.firstFit(1, 0, 100)).toBeUndefined();
    expect(gaps.longest(0, 100)).toBe(0);
    gaps.reserveFreeParts(0, 100);
    expect(gaps.freeBytes).toBe(0);
  });

  test('takes the free parts of ranges without an end', () => {
    const gaps = new GapList(10, 100, 1);
    gaps.reserve(20, 10);
    gaps.reserveFreeParts(90, Number.POSITIVE_INFINITY);
    gaps.reserveFreeParts(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    expect(gaps.freeBytes).toBe(70);
    gaps.reserveFreeParts(0, 2 ** 53);
    expect(gaps.freeBytes).toBe(0);
  });

  test('refuses to reserve what is used', () => {
    const gaps = new GapList(0, 100, 1);
    gaps.reserve(40, 10);
    for (const [offset, length] of [
      [40, 1],
      [35, 6],
      [49, 2],
      [99, 2],
    ] as const) {
      expect(caught(() => gaps.reserve(offset, length)).code).toBe('INTERNAL');
    }
    expect(gaps.freeBytes).toBe(90);
  });
});
