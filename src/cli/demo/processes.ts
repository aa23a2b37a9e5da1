import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/errors.ts';

const STOP_PATIENCE_MS = 5_000;

/** The demo's long-running processes: each a `famfs-csi NAME …` with a log of its own. */
export class Processes {
  readonly #main: string;
  readonly #logs: string;
  readonly #running = new Map<string, ChildProcess>();

  /** `main` is the path of the executable script, `logs` the directory for the logs. */
  constructor(main: string, logs: string) {
    this.#main = main;
    this.#logs = logs;
  }

  start(name: string, args: readonly string[]): number {
    const log = openSync(join(this.#logs, `${name}.log`), 'a');
    const child = spawn(process.execPath, [this.#main, ...args], {
      stdio: ['ignore', log, log],
      // Ctrl-C is for the demo, which stops these in its own order.
      detached: true,
    });
    closeSync(log);
    // Without a listener the event would end this process, and nothing would be cleaned up.
    child.on('error', () => {});
    if (child.pid === undefined) throw new Fault('IO', `${name}: could not be started`);
    this.#running.set(name, child);
    return child.pid;
  }

  /** UNAVAILABLE if a process has ended that should run. */
  assertRunning(): void {
    for (const [name, child] of this.#running) {
      if (child.exitCode !== null || child.signalCode !== null) {
        const how = child.signalCode ?? `exit code ${child.exitCode}`;
        throw new Fault('UNAVAILABLE', `${name}: ended with ${how}; see ${name}.log`);
      }
    }
  }

  /** SIGKILL for one of them, for tests; resolves when it has ended. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    if (child === undefined) throw new Fault('NOT_FOUND', `${name}: is not running`);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await ended;
    this.#running.delete(name);
  }

  /** SIGTERM, and SIGKILL for what does not listen; resolves when all have ended. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.values()].map(stop));
    this.#running.clear();
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}
