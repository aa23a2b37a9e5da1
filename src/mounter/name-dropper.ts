import { spawn } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../base/errors.ts';

/** Where the `/dev/fuse` descriptor is in the process that drops names: after stdio. */
export const DROPPER_FUSE_FD = 3;
/** The script that it runs, beside this one. */
export const DROP_NAMES = 'drop-names.js';

/** A name in a directory, by the directory's inode number. */
export type GoneName = readonly [parent: number, name: string];

/**
 * Has the kernel drop names that went, and FORGET what they named if nobody uses that: before that
 * it would be found for as long as the name was valid. By a process of its own: the write that
 * tells the kernel waits for the directory's lock, which another may hold until the server has
 * answered it. A server that was killed in that wait could not end: its successor, which alone can
 * answer, would wait for its end, and the mount would hang for good.
 */
export class NameDropper {
  readonly #command: readonly string[];
  readonly #fuseFd: number;
  readonly #log: Logger;
  #gone: GoneName[] = [];
  #isRunning = false;

  /** `command`: the argv that runs drop-names.ts. */
  constructor(command: readonly string[], fuseFd: number, log: Logger) {
    this.#command = command;
    this.#fuseFd = fuseFd;
    this.#log = log;
  }

  /** Soon; names that go together are dropped by one process, one process at a time. */
  drop(name: GoneName): void {
    this.#gone.push(name);
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (await this.#hasMore()) {
      const names = this.#gone.splice(0);
      const how = await this.#tell(names);
      if (how !== 0) {
        this.#log.warn(`the kernel was not told of ${names.length} names that went: ${how}`);
      }
    }
    this.#isRunning = false;
  }

  /** What went in one step of the log comes in one turn of the loop. */
  async #hasMore(): Promise<boolean> {
    await nextTurn();
    return this.#gone.length > 0;
  }

  /** Resolves with how the process ended. It never keeps this one from its own end. */
  #tell(names: readonly GoneName[]): Promise<number | string | null> {
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'inherit', this.#fuseFd] });
    child.unref();
    const { stdin } = child;
    // It may end before it has read: then its exit says why.
    stdin?.on('error', () => {});
    stdin?.end(JSON.stringify(names));
    return new Promise((resolve) => {
      child.once('error', (error) => resolve(messageOf(error)));
      child.once('exit', (code, signal) => resolve(signal ?? code));
    });
  }
}
