import { assert } from '../base/errors.ts';
import { roundUp } from '../base/numbers.ts';

/** Gaps in one block before it is split. */
const BLOCK_GAPS_MAX = 512;

/** A run of neighbouring gaps. `longest` is an upper bound of the length of each of them. */
interface Block {
  readonly starts: number[];
  readonly ends: number[];
  longest: number;
}

/**
 * The free ranges of one device, in bytes.
 *
 * Invariants:
 * - Gaps are sorted, not empty, and do not touch: together they are exactly what is free.
 * - No block is empty unless it is the only one; blocks are sorted by their gaps.
 * - `block.longest` is never less than the longest gap of the block, so a search may skip a block
 *   by it. It is made exact when a search looked at all gaps of the block in vain.
 *
 * With n gaps a search by offset is O(log n); a first fit looks at n / 512 bounds, then one block.
 */
export class GapList {
  readonly #blocks: Block[];
  #freeBytes: number;

  /** One gap, [start, end); none if that is empty. */
  constructor(start: number, end: number) {
    const isEmpty = end <= start;
    this.#freeBytes = isEmpty ? 0 : end - start;
    this.#blocks = [
      {
        starts: isEmpty ? [] : [start],
        ends: isEmpty ? [] : [end],
        longest: this.#freeBytes,
      },
    ];
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Whether all of [offset, offset + lengthBytes) is free. */
  isFree(offset: number, lengthBytes: number): boolean {
    const { block, at } = this.#find(offset);
    return at >= 0 && offset + lengthBytes <= (block.ends[at] ?? 0);
  }

  /** Takes a range that `isFree` out of what is free. */
  reserve(offset: number, lengthBytes: number): void {
    const { block, at, blockAt } = this.#find(offset);
    const start = block.starts[at];
    const end = block.ends[at];
    const reserveEnd = offset + lengthBytes;
    assert(
      start !== undefined && end !== undefined && reserveEnd <= end,
      'reserve of what is used',
    );
    this.#freeBytes -= lengthBytes;
    if (start < offset && reserveEnd < end) {
      block.ends[at] = offset;
      block.starts.splice(at + 1, 0, reserveEnd);
      block.ends.splice(at + 1, 0, end);
      if (block.starts.length > BLOCK_GAPS_MAX) this.#split(blockAt);
    } else if (start < offset) {
      block.ends[at] = offset;
    } else if (reserveEnd < end) {
      block.starts[at] = reserveEnd;
    } else {
      block.starts.splice(at, 1);
      block.ends.splice(at, 1);
      if (block.starts.length === 0 && this.#blocks.length > 1) this.#blocks.splice(blockAt, 1);
    }
  }

  /** Takes what is free of [from, to), and leaves what is used. */
  reserveFreeParts(from: number, to: number): void {
    for (let at = from; at < to; ) {
      const gap = this.#gapAfter(at);
      if (gap === undefined || gap.start >= to) return;
      const start = Math.max(gap.start, at);
      at = Math.min(gap.end, to);
      this.reserve(start, at - start);
    }
  }

  /**
   * The lowest offset, a multiple of `unit`, where `lengthBytes` are free within [from, to);
   * undefined if there is none.
   */
  firstFit(lengthBytes: number, unit: number, from: number, to: number): number | undefined {
    for (let blockAt = this.#blockOf(from); blockAt < this.#blocks.length; blockAt++) {
      const block = this.#blocks[blockAt];
      if (block === undefined || (block.starts[0] ?? to) >= to) return undefined;
      if (block.longest < lengthBytes) continue;
      let longest = 0;
      for (let at = 0; at < block.starts.length; at++) {
        const start = block.starts[at] ?? 0;
        const end = block.ends[at] ?? 0;
        const fit = roundUp(Math.max(start, from), unit);
        if (fit + lengthBytes <= Math.min(end, to)) return fit;
        longest = Math.max(longest, end - start);
      }
      block.longest = longest;
    }
    return undefined;
  }

  /** The longest free run of whole units within [from, to), in bytes. */
  longest(unit: number, from: number, to: number): number {
    let longest = 0;
    for (const block of this.#blocks) {
      if (block.longest <= longest) continue;
      for (let at = 0; at < block.starts.length; at++) {
        const start = roundUp(Math.max(block.starts[at] ?? 0, from), unit);
        const end = Math.min(block.ends[at] ?? 0, to);
        if (end - start > longest) longest = end - start - ((end - start) % unit);
      }
    }
    return longest;
  }

  /** The last block whose first gap starts at or before `offset`, else the first. */
  #blockOf(offset: number): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#blocks[middle]?.starts[0] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The last gap that starts at or before `offset`; `at` is −1 if there is none. */
  #find(offset: number): { block: Block; blockAt: number; at: number } {
    const blockAt = this.#blockOf(offset);
    const block = this.#blocks[blockAt];
    assert(block !== undefined, 'a gap list has at least one block');
    let low = 0;
    let high = block.starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((block.starts[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return { block, blockAt, at: low - 1 };
  }

  /** The first gap that ends after `offset`. */
  #gapAfter(offset: number): { start: number; end: number } | undefined {
    const { block, blockAt, at } = this.#find(offset);
    const places = [
      { of: block, at },
      { of: block, at: at + 1 },
      { of: this.#blocks[blockAt + 1], at: 0 },
    ];
    for (const place of places) {
      const start = place.of?.starts[place.at];
      const end = place.of?.ends[place.at];
      if (start !== undefined && end !== undefined && end > offset) return { start, end };
    }
    return undefined;
  }

  #split(blockAt: number): void {
    const block = this.#blocks[blockAt];
    if (block === undefined) return;
    const half = block.starts.length >>> 1;
    const upper = { starts: block.starts.splice(half), ends: block.ends.splice(half) };
    this.#blocks.splice(blockAt + 1, 0, { ...upper, longest: block.longest });
  }
}
