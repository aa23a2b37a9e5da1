import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GapList } from '../../src/format/gap-list.ts';

const UNIT = 8;

/** What is free, byte by byte: slow, and plainly right. */
class FreeBytes {
  readonly #free: boolean[];

  constructor(start: number, end: number) {
    this.#free = Array.from({ length: end }, (_, at) => at >= start);
  }

  get count(): number {
    return this.#free.filter(Boolean).length;
  }

  isFree(offset: number, lengthBytes: number): boolean {
    return this.#runAt(offset, this.#free.length) >= lengthBytes;
  }

  reserve(offset: number, lengthBytes: number): void {
    this.#free.fill(false, offset, offset + lengthBytes);
  }

  firstFit(lengthBytes: number, from: number, to: number): number | undefined {
    for (let at = Math.ceil(from / UNIT) * UNIT; at < to; at += UNIT) {
      if (this.#runAt(at, to) >= lengthBytes) return at;
    }
    return undefined;
  }

  longest(from: number, to: number): number {
    let longest = 0;
    for (let at = Math.ceil(from / UNIT) * UNIT; at < to; at += UNIT) {
      longest = Math.max(longest, Math.floor(this.#runAt(at, to) / UNIT) * UNIT);
    }
    return longest;
  }

  #runAt(start: number, to: number): number {
    let end = start;
    while (end < to && this.#free[end]) end++;
    return end - start;
  }
}

/** The list and its model, asked and changed alike. */
class Pair {
  readonly list: GapList;
  readonly model: FreeBytes;

  constructor(start: number, end: number) {
    this.list = new GapList(start, end, UNIT);
    this.model = new FreeBytes(start, end);
  }

  /** Takes the range if it is free, as a replay does. */
  take(offset: number, lengthBytes: number): void {
    const isFree = this.model.isFree(offset, lengthBytes);
    // A hundred thousand of Jest's own comparisons would take a minute.
    if (this.list.isFree(offset, lengthBytes) !== isFree) {
      throw new Error(`isFree(${offset}, ${lengthBytes}): expected ${isFree}`);
    }
    if (!isFree) return;
    this.list.reserve(offset, lengthBytes);
    this.model.reserve(offset, lengthBytes);
  }

  expectSame(lengthBytes: number, from: number, to: number): void {
    const { list, model } = this;
    expect(list.firstFit(lengthBytes, from, to)).toBe(model.firstFit(lengthBytes, from, to));
    expect(list.longest(from, to)).toBe(model.longest(from, to));
  }
}

describe('gap list of many levels', () => {
  test('answers as a map of single bytes does, taken in any order until nothing is left', () => {
    const gaps = 5_000;
    const period = 3 * UNIT;
    const end = gaps * period;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const pair = new Pair(0, end);
        const order = shuffled(gaps, seed);
        // A third of each period: what is left is 16 bytes long, of which every other is unaligned.
        for (const at of order) pair.take(at * period + (at % 2 === 0 ? 0 : 5), UNIT);
        const part = Math.ceil(gaps / 5);
        for (let done = 0; done < gaps; done += part) {
          const [from, to] = [order[done] ?? 0, order[done + 1] ?? gaps].map((at) => at * period);
          for (const units of [1, 2, 3]) {
            pair.expectSame(units * UNIT, 0, end);
            pair.expectSame(units * UNIT, from ?? 0, to ?? end);
          }
          for (const at of order.slice(done, done + part)) {
            for (let piece = at * period; piece < (at + 1) * period; piece += 4) {
              pair.take(piece, 4);
              pair.take(piece, 1);
              pair.take(piece + 1, 3);
            }
          }
        }
        expect(pair.list.freeBytes).toBe(0);
        expect(pair.list.longest(0, end)).toBe(0);
        expect(pair.list.firstFit(UNIT, 0, end)).toBeUndefined();
      }),
      { numRuns: 2 },
    );
  });

  test('finds the first gap of many that is long enough, behind all that are not', () => {
    const list = new GapList(0, 100_000 * UNIT, UNIT);
    for (let at = 1; at < 90_000; at += 2) list.reserve(at * UNIT, UNIT);
    expect(list.firstFit(2 * UNIT, 0, 100_000 * UNIT)).toBe(90_000 * UNIT);
    expect(list.firstFit(2 * UNIT, 0, 90_000 * UNIT)).toBeUndefined();
    expect(list.longest(0, 100_000 * UNIT)).toBe(10_000 * UNIT);
    list.reserve(90_000 * UNIT, 10_000 * UNIT);
    expect(list.longest(0, 100_000 * UNIT)).toBe(UNIT);
    expect(list.firstFit(UNIT, 500 * UNIT, 100_000 * UNIT)).toBe(500 * UNIT);
  });

  test('passes over a gap that is long enough but holds no whole unit', () => {
    const list = new GapList(0, 4 * UNIT, UNIT);
    list.reserve(0, 1);
    list.reserve(2 * UNIT - 1, 1);
    expect(list.isFree(1, 2 * UNIT - 2)).toBe(true);
    expect(list.firstFit(UNIT, 0, 4 * UNIT)).toBe(2 * UNIT);
    expect(list.longest(0, 2 * UNIT)).toBe(0);
  });
});

function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, at) => at);
  let state = seed >>> 0;
  for (let at = count - 1; at > 0; at--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (at + 1));
    [order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0];
  }
  return order;
}
