const RETRY_MS = 50;

/** Prints the steps of the demo as they happen: what, what came of it, how long it took. */
export class Steps {
  readonly #signal: AbortSignal;
  readonly #print: (line: string) => void;
  /** Rejects when aborted; one for all steps, so that the signal gets one listener. */
  readonly #aborted: Promise<never>;
  #current = 'start';

  constructor(signal: AbortSignal, print: (line: string) => void) {
    this.#signal = signal;
    this.#print = print;
    this.#aborted = aborted(signal);
    // Between two steps nobody waits for it.
    this.#aborted.catch(() => {});
  }

  /** The step that runs, or that failed. */
  get current(): string {
    return this.#current;
  }

  /** Runs one step; `run` returns what to say of it. Throws the signal's reason when aborted. */
  async step<T>(title: string, run: () => Promise<[T, string]> | [T, string]): Promise<T> {
    this.#signal.throwIfAborted();
    this.#current = title;
    const begin = performance.now();
    const [value, outcome] = await Promise.race([run(), this.#aborted]);
    const ms = (performance.now() - begin).toFixed(0).padStart(6);
    this.#print(`${ms} ms  ${title.padEnd(34)} ${outcome}`);
    return value;
  }

  /**
   * Asks until there is an answer, or for `patienceMs`: a process that has just been started takes
   * its time. `assertHope` throws where none can come any more. Ends at once when aborted: nobody
   * waits for the step then, but it would keep the process alive.
   */
  async retry<T>(
    ask: () => Promise<T>,
    patienceMs: number,
    assertHope: () => void = () => {},
  ): Promise<T> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      this.#signal.throwIfAborted();
      assertHope();
      try {
        return await ask();
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  lines(lines: readonly string[]): void {
    for (const line of lines) this.#print(`           ${line}`);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
