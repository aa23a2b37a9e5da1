/** Prints the steps of the demo as they happen: what, what came of it, how long it took. */
export class Steps {
  readonly #signal: AbortSignal;
  readonly #print: (line: string) => void;
  #current = 'start';

  constructor(signal: AbortSignal, print: (line: string) => void) {
    this.#signal = signal;
    this.#print = print;
  }

  /** The step that runs, that failed, or that was not begun any more. */
  get current(): string {
    return this.#current;
  }

  /**
   * Runs one step; `run` returns what to say of it. Throws the signal's reason when that aborts,
   * once `run` is over: it has to heed the signal itself, so that nothing of it goes on behind the
   * cleaning up.
   */
  async step<T>(title: string, run: () => Promise<[T, string]> | [T, string]): Promise<T> {
    this.#current = title;
    this.#signal.throwIfAborted();
    try {
      return await this.lastStep(title, run);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  /** As `step`, whatever the signal says. */
  async lastStep<T>(title: string, run: () => Promise<[T, string]> | [T, string]): Promise<T> {
    this.#current = title;
    const begin = performance.now();
    const [value, outcome] = await run();
    const ms = (performance.now() - begin).toFixed(0).padStart(6);
    this.#print(`${ms} ms  ${title.padEnd(35)} ${outcome}`);
    return value;
  }

  lines(lines: readonly string[]): void {
    for (const line of lines) this.#print(`           ${line}`);
  }
}
