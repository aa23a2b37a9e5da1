import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A process that answers each line on its standard input with one on its standard output. */
export class LinePeer implements AsyncDisposable {
  readonly pid: number;
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#ended = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.pid = this.#child.pid ?? 0;
  }

  /** Sends a line, if one is given, and resolves with the next line that comes. */
  async ask(line?: string): Promise<string> {
    if (line !== undefined) this.#child.stdin.write(`${line}\n`);
    const { done, value } = await this.#lines.next();
    if (done) throw new Error(`the process ended before it answered "${line}"`);
    return value as string;
  }

  /** SIGKILL; resolves when it has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
