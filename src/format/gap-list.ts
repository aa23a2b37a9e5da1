import { assert } from '../base/errors.ts';
import { roundDown, roundUp } from '../base/numbers.ts';

/** Ranges in one node before it is split: of 8 to 128 the fastest (docs/decisions/0017). */
const RANGES_MAX = 32;

/**
 * Ranges in ascending order, as three columns. In a leaf a range is a gap; above, it is what the
 * child of the same place spans, from its first gap to its last. `longest` is the longest run of
 * whole units that can be had in the range.
 */
interface TreeNode {
  readonly starts: number[];
  readonly ends: number[];
  readonly longest: number[];
  /** As many as there are ranges; none in a leaf. */
  readonly children: TreeNode[];
}

/**
 * The free ranges of one device, in bytes: a B-tree by offset that also knows, of each of its
 * parts, the longest gap.
 *
 * Invariants:
 * - Gaps are sorted, not empty, and do not touch: together they are exactly what is free.
 * - All leaves are equally deep; only the root may be empty, and then it is a leaf.
 * - Every summary (starts, ends, longest) of a child is exact.
 *
 * So with n gaps everything here is O(log n), a search in vain too.
 */
export class GapList {
  readonly #unit: number;
  #root: TreeNode;
  #freeBytes: number;

  /** One gap, [start, end); none if that is empty. `unit`: allocations are multiples of it. */
  constructor(start: number, end: number, unit: number) {
    const isEmpty = end <= start;
    this.#unit = unit;
    this.#freeBytes = isEmpty ? 0 : end - start;
    this.#root = { starts: [], ends: [], longest: [], children: [] };
    if (!isEmpty) this.#setGap(this.#root, 0, start, end);
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** All gaps, in ascending order. */
  gaps(): Iterable<{ readonly offset: number; readonly lengthBytes: number }> {
    return gapsIn(this.#root);
  }

  /** Whether all of [offset, offset + lengthBytes) is free. */
  isFree(offset: number, lengthBytes: number): boolean {
    let node = this.#root;
    for (;;) {
      const at = lastAtOrBefore(node.starts, offset);
      const child = node.children[at];
      if (child === undefined) return offset + lengthBytes <= (node.ends[at] ?? 0);
      node = child;
    }
  }

  /** Takes a range that `isFree` out of what is free. */
  reserve(offset: number, lengthBytes: number): void {
    this.#reserveIn(this.#root, offset, offset + lengthBytes);
    this.#freeBytes -= lengthBytes;
    const root = this.#root;
    if (root.starts.length > RANGES_MAX) {
      const upper = splitOff(root);
      this.#root = { starts: [], ends: [], longest: [], children: [root, upper] };
      summarise(this.#root, 0, root);
      summarise(this.#root, 1, upper);
    }
    while (this.#root.children.length === 1) this.#root = this.#root.children[0] ?? root;
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
   * The lowest offset, a multiple of the unit, where `lengthBytes`, another multiple, are free
   * within [from, to); undefined if there is none.
   */
  firstFit(lengthBytes: number, from: number, to: number): number | undefined {
    return this.#firstFitIn(this.#root, lengthBytes, from, to);
  }

  /** The longest free run of whole units within [from, to), in bytes. */
  longest(from: number, to: number): number {
    return this.#longestIn(this.#root, from, to, 0);
  }

  /** The first gap that ends after `offset`. */
  #gapAfter(offset: number): { start: number; end: number } | undefined {
    let node = this.#root;
    for (;;) {
      let at = Math.max(0, lastAtOrBefore(node.starts, offset));
      if ((node.ends[at] ?? 0) <= offset) at++;
      const child = node.children[at];
      if (child === undefined) {
        const start = node.starts[at];
        const end = node.ends[at];
        return start === undefined || end === undefined ? undefined : { start, end };
      }
      node = child;
    }
  }

  #reserveIn(node: TreeNode, offset: number, end: number): void {
    const at = lastAtOrBefore(node.starts, offset);
    const child = node.children[at];
    if (child === undefined) {
      this.#reserveGap(node, at, offset, end);
      return;
    }
    this.#reserveIn(child, offset, end);
    if (child.starts.length === 0) {
      removeRange(node, at);
      return;
    }
    if (child.starts.length > RANGES_MAX) {
      const upper = splitOff(child);
      insertRange(node, at + 1);
      node.children.splice(at + 1, 0, upper);
      summarise(node, at + 1, upper);
    }
    summarise(node, at, child);
  }

  #reserveGap(node: TreeNode, at: number, offset: number, end: number): void {
    const gapStart = node.starts[at];
    const gapEnd = node.ends[at];
    assert(gapStart !== undefined && gapEnd !== undefined && end <= gapEnd, 'reserve of used');
    if (gapStart < offset) {
      this.#setGap(node, at, gapStart, offset);
      if (end === gapEnd) return;
      insertRange(node, at + 1);
      this.#setGap(node, at + 1, end, gapEnd);
    } else if (end < gapEnd) {
      this.#setGap(node, at, end, gapEnd);
    } else {
      removeRange(node, at);
    }
  }

  #firstFitIn(node: TreeNode, lengthBytes: number, from: number, to: number): number | undefined {
    const { starts, longest, children } = node;
    for (let at = Math.max(0, lastAtOrBefore(starts, from)); at < starts.length; at++) {
      const start = starts[at] ?? to;
      if (start >= to) return undefined;
      if ((longest[at] ?? 0) < lengthBytes) continue;
      const child = children[at];
      if (child !== undefined) {
        // In vain only where `from` or `to` cuts the child: once or twice on each level.
        const found = this.#firstFitIn(child, lengthBytes, from, to);
        if (found !== undefined) return found;
        continue;
      }
      const fit = roundUp(Math.max(start, from), this.#unit);
      if (fit + lengthBytes <= Math.min(node.ends[at] ?? 0, to)) return fit;
    }
    return undefined;
  }

  #longestIn(node: TreeNode, from: number, to: number, atLeast: number): number {
    let longest = atLeast;
    for (let at = Math.max(0, lastAtOrBefore(node.starts, from)); at < node.starts.length; at++) {
      const start = node.starts[at] ?? to;
      const end = node.ends[at] ?? 0;
      if (start >= to) break;
      const whole = node.longest[at] ?? 0;
      if (whole <= longest) continue;
      const child = node.children[at];
      if (from <= start && end <= to) longest = whole;
      else if (child !== undefined) longest = this.#longestIn(child, from, to, longest);
      else longest = Math.max(longest, this.#whole(Math.max(start, from), Math.min(end, to)));
    }
    return longest;
  }

  #setGap(node: TreeNode, at: number, start: number, end: number): void {
    node.starts[at] = start;
    node.ends[at] = end;
    node.longest[at] = this.#whole(start, end);
  }

  /** The whole units within [start, end), in bytes. */
  #whole(start: number, end: number): number {
    return Math.max(0, roundDown(end, this.#unit) - roundUp(start, this.#unit));
  }
}

/** The place of the last start that is at or before `offset`; −1 if there is none. */
function lastAtOrBefore(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Makes the range at `at` what `child` spans. */
function summarise(node: TreeNode, at: number, child: TreeNode): void {
  node.starts[at] = child.starts[0] ?? 0;
  node.ends[at] = child.ends.at(-1) ?? 0;
  let longest = 0;
  for (const one of child.longest) if (one > longest) longest = one;
  node.longest[at] = longest;
}

/** Makes room for a range at `at`, which the caller sets. */
function insertRange({ starts, ends, longest }: TreeNode, at: number): void {
  starts.splice(at, 0, 0);
  ends.splice(at, 0, 0);
  longest.splice(at, 0, 0);
}

function removeRange({ starts, ends, longest, children }: TreeNode, at: number): void {
  starts.splice(at, 1);
  ends.splice(at, 1);
  longest.splice(at, 1);
  children.splice(at, 1);
}

/** Takes the upper half of a node's ranges out of it, into a new node. */
function splitOff({ starts, ends, longest, children }: TreeNode): TreeNode {
  const half = starts.length >>> 1;
  return {
    starts: starts.splice(half),
    ends: ends.splice(half),
    longest: longest.splice(half),
    children: children.splice(half),
  };
}

function* gapsIn(node: TreeNode): Iterable<{ offset: number; lengthBytes: number }> {
  for (const child of node.children) yield* gapsIn(child);
  if (node.children.length > 0) return;
  for (const [at, offset] of node.starts.entries()) {
    yield { offset, lengthBytes: (node.ends[at] ?? offset) - offset };
  }
}
