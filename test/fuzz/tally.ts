import { type Fault, isFault } from '../../src/base/errors.ts';

/** Counts what a run reached, so that one sees which outcomes the generators never get to. */
export class Tally {
  readonly counts = new Map<string, number>();

  /** `group` is where it was seen (`problem`, `open`, `fuse` …), `what` a code or a word. */
  count(group: string, what: string, by = 1): void {
    const key = `${group}: ${what}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + by);
  }
}

/** What an oracle throws: a property of the product that does not hold. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

export function must(condition: boolean, what: string | (() => string)): void {
  if (!condition) throw new Broken(typeof what === 'string' ? what : what());
}

export function mustEqual(found: unknown, expected: unknown, what: string): void {
  if (found !== expected) throw new Broken(`${what}: found ${found}, expected ${expected}`);
}

/** What was thrown, if it is a failure that the product foresees; all else is thrown on. */
export function foreseen(error: unknown): Fault {
  if (!isFault(error) || error.code === 'INTERNAL') throw error;
  return error;
}
