import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs';

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function finish(
  command: readonly string[],
  { input, ...options }: SpawnOptions & { input?: string } = {},
): Promise<Finished> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on('error', () => undefined); // it ended before it had read everything
  child.stdin?.end(input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return {
    code: code ?? (signal === null ? 1 : 128),
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
  };
}

/** What a program prints; an error with all that it said where it fails. */
export async function output(
  command: readonly string[],
  options: SpawnOptions & { input?: string } = {},
): Promise<string> {
  const { code, stdout, stderr } = await finish(command, options);
  if (code !== 0) throw new Error(`${command.join(' ')}: exit code ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** A daemon has ended: there is nothing more to wait for. */
export class Ended extends Error {}

/** A program of the cluster that runs until it is stopped. What it says is in its log file. */
export class Daemon {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(
    name: string,
    command: readonly string[],
    logFile: string,
    env: Readonly<Record<string, string>> = {},
  ) {
    const [program = '', ...args] = command;
    const fd = openSync(logFile, 'a');
    this.name = name;
    this.logFile = logFile;
    this.#child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', fd, fd],
    });
    closeSync(fd);
    this.#ended = once(this.#child, 'exit').catch((error) => appendFileSync(logFile, `${error}\n`));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get runs(): boolean {
    return this.pid > 0 && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** An error with the end of the log where the program is no longer there. */
  mustRun(): void {
    if (!this.runs) throw new Ended(`${this.name} has ended:\n${this.lastLines(30)}`);
  }

  lastLines(count: number): string {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM', patienceMs = 15_000): Promise<void> {
    if (!this.runs) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patienceMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
