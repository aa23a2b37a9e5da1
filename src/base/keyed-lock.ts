import { Fault } from './errors.ts';

/**
 * Runs tasks of one key one after the other, in the order of their calls; tasks of different keys
 * run at once. A task that has waited `timeoutMs` for its turn gives up with BUSY and never runs,
 * so a task that hangs cannot hold a queue of callers.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #heldSince = new Map<string, number>();
  readonly #timeoutMs: number;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** The keys that are held now and for how many milliseconds. */
  held(): { key: string; ageMs: number }[] {
    const now = Date.now();
    return [...this.#heldSince].map(([key, since]) => ({ key, ageMs: now - since }));
  }

  async run<T>(key: string, task: () => Promise<T> | T): Promise<T> {
    const before = this.#tails.get(key);
    const turn = before === undefined ? Promise.resolve() : this.#waitFor(key, before);
    const done = turn.then(async () => {
      this.#heldSince.set(key, Date.now());
      try {
        return await task();
      } finally {
        this.#heldSince.delete(key);
      }
    });
    // The next caller waits for this task, or, if this one gave up, for what this one waited for.
    const tail = Promise.allSettled([before, done]);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return done;
  }

  async #waitFor(key: string, before: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Fault('BUSY', `${key}: another operation on it is running; retry later`)),
        this.#timeoutMs,
      );
    });
    try {
      await Promise.race([before, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
