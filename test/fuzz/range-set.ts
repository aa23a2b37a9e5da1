/** Sorted, disjoint ranges [start, end) of numbers: what an oracle counts as used. */
export class RangeSet {
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  get total(): number {
    return this.ends.reduce((sum, end, at) => sum + end - (this.starts[at] as number), 0);
  }

  /** The first range that ends after `place`. */
  #first(place: number): number {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.ends[middle] as number) <= place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  overlaps(start: number, end: number): boolean {
    const at = this.#first(start);
    return at < this.starts.length && (this.starts[at] as number) < end;
  }

  /** The union with [start, end), which may overlap what is here. */
  add(start: number, end: number): void {
    if (start >= end) return;
    const from = this.#first(start);
    let to = from;
    let [low, high] = [start, end];
    for (; to < this.starts.length && (this.starts[to] as number) < end; to++) {
      low = Math.min(low, this.starts[to] as number);
      high = Math.max(high, this.ends[to] as number);
    }
    this.starts.splice(from, to - from, low);
    this.ends.splice(from, to - from, high);
  }

  /** What of [start, end) is in none of the ranges. */
  gaps(start: number, end: number): [start: number, end: number][] {
    const gaps: [number, number][] = [];
    let at = start;
    for (const [index, from] of this.starts.entries()) {
      if (from >= end) break;
      if (from > at) gaps.push([at, from]);
      at = Math.max(at, this.ends[index] as number);
    }
    if (at < end) gaps.push([at, end]);
    return gaps;
  }
}
