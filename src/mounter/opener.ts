import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Fault, messageOf } from '../base/errors.ts';
import { fetchDescriptor } from '../native/fuse-device.ts';

/** Where the root of the mount is in the process that opens its files: after stdio. */
export const OPENER_ROOT_FD = 3;
/** The script that it runs, beside this one. */
export const OPEN_FILES = 'open-files.js';

export interface OpenedFile extends AsyncDisposable {
  readonly fd: number;
}

/** One line to the opener: a path, absolute for that process; or none, for the mount's `st_dev`. */
export interface OpenQuestion {
  readonly path?: string;
}
export type OpenAnswer =
  | { readonly fd: number }
  | { readonly dev: number }
  | { readonly code: string | undefined; readonly message: string };

/**
 * Opens files of a mount for its own server, in a process of its own. Who opens a file waits for
 * the server's answer, and once the server has read the request no signal ends that wait: a server
 * that waited for itself, and was killed, could not end, and its successor, which alone can answer,
 * would not start. The opener may outlive its server; the next one's answer lets it go.
 */
export class Opener implements Disposable {
  readonly #child: ChildProcess;
  readonly #waiting: ((answer: OpenAnswer) => void)[] = [];
  readonly #ended: Promise<never>;

  /** `command`: the argv that runs open-files.ts. `rootFd`: stays the caller's. */
  constructor(command: readonly string[], rootFd: number) {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit', rootFd] });
    child.unref();
    this.#child = child;
    child.stdin?.on('error', () => {});
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.#waiting.shift()?.(JSON.parse(line));
      });
    }
    this.#ended = new Promise((_, reject) => {
      const fail = (how: unknown) => {
        reject(new Fault('IO', `the process that opens files of the mount: ${how}`));
      };
      child.once('error', (error) => fail(messageOf(error)));
      child.once('exit', (code, signal) => fail(`ended with ${signal ?? `exit code ${code}`}`));
    });
    this.#ended.catch(() => {});
  }

  /** The file, for reading and writing, at a path below `/proc/self/fd/OPENER_ROOT_FD`. */
  async open(path: string): Promise<OpenedFile> {
    const answer = await this.#ask({ path });
    if (!('fd' in answer) || this.#child.pid === undefined) throw failure(answer);
    const fd = fetchDescriptor(this.#child.pid, answer.fd);
    return { fd, [Symbol.asyncDispose]: async () => closeSync(fd) };
  }

  /** `st_dev` of the mount's root. */
  async device(): Promise<number> {
    const answer = await this.#ask({});
    if (!('dev' in answer)) throw failure(answer);
    return answer.dev;
  }

  /** Ends the process, and what it holds open, without waiting for it. Idempotent. */
  [Symbol.dispose](): void {
    this.#child.stdin?.end();
  }

  #ask(question: OpenQuestion): Promise<OpenAnswer> {
    const answer = new Promise<OpenAnswer>((resolve) => this.#waiting.push(resolve));
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    return Promise.race([answer, this.#ended]);
  }
}

function failure(answer: OpenAnswer): Error {
  if (!('code' in answer)) return new Fault('INTERNAL', 'an opener answered another question');
  return Object.assign(new Error(answer.message), { code: answer.code });
}
