import type { Answer, Upcall } from './messages.ts';
import type { Pending } from './queue.ts';

/** In a program, in place of an upcall: goes on when the condition holds. */
export interface Wait {
  readonly until: () => boolean;
}

/** What a process does in the kernel: each yield waits, for an answer or for a condition. */
export type Program<T> = Generator<Upcall | Wait, T, Answer>;

/** A program under way. */
export class Task<T = unknown> {
  readonly program: Program<T>;
  readonly finished: Promise<T>;
  isDone = false;
  value: T | undefined;
  error: unknown;
  /** The request that it waits for, if it waits for one. */
  request: Pending | undefined;
  #resolve: (value: T) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(program: Program<T>) {
    this.program = program;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever looks at `error` has seen it.
    this.finished.catch(() => {});
  }

  /** Goes on with what it waited for; undefined where it is at its end, well or not. */
  next(answer: Answer): Upcall | Wait | undefined {
    this.request = undefined;
    try {
      const step = this.program.next(answer);
      if (!step.done) return step.value;
      this.value = step.value;
      this.#resolve(step.value);
    } catch (error) {
      this.error = error;
      this.#reject(error);
    }
    this.isDone = true;
    return undefined;
  }

  /** What it came to; throws what it threw. */
  result(): T {
    if (!this.isDone) throw new Error('the program waits for an answer that nobody gives');
    if (this.error !== undefined) throw this.error;
    return this.value as T;
  }
}
