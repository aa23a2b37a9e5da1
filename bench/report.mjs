/** What one run of a benchmark measured: rows of samples, all of one unit. */
export class Report {
  rows = [];

  /**
   * `samples`: a figure or a `timed` one, or several. `options.target`: the most that the median
   * may be; `options.reference`: what the reference implementation needs, as text.
   */
  add(name, unit, samples, options = {}) {
    const all = [samples].flat().map((one) => (typeof one === 'number' ? { value: one } : one));
    this.rows.push({ name, unit, samples: all, ...options });
  }

  /** A row that divides two others of this run, each by its median. */
  addRatio(name, above, below, options = {}) {
    const [a, b] = [above, below].map((wanted) => {
      const { samples } = this.rows.find((row) => row.name === wanted);
      return median(samples.map(({ value }) => value));
    });
    this.add(name, '×', a / b, options);
  }
}

/**
 * Milliseconds that `body` took, and of processor time, which other processes do not add to (but
 * V8's own threads do).
 */
export function timed(body) {
  const watch = new Stopwatch();
  body();
  return watch.elapsed(1);
}

/** Microseconds for each of `count` operations that `body` did. */
export function timedEach(count, body) {
  const watch = new Stopwatch();
  body();
  return watch.elapsed(1000 / count);
}

export class Stopwatch {
  #cpu = process.cpuUsage();
  #start = performance.now();

  /** Milliseconds since it was made, times `scale`. */
  elapsed(scale) {
    const value = (performance.now() - this.#start) * scale;
    const { user, system } = process.cpuUsage(this.#cpu);
    return { value, cpu: ((user + system) / 1000) * scale };
  }
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Numbers in [0, 1), the same in every run. */
export function pseudoRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
