import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '../../src/base/errors.ts';
import { readMountInfo, unmount } from '../../src/native/mounts.ts';
import { MAIN } from './test-cluster.ts';

const PATIENCE_MS = 90_000;

export interface DemoOptions {
  /** What stands for the temporary directory; default: a new one, which `dispose` removes. */
  readonly tmp?: string;
  /** The words before `node dist/main.js demo`, to run it by. */
  readonly by?: readonly string[];
  readonly main?: string;
}

/** `famfs-csi demo` as a child process, with a temporary directory of its own. */
export class DemoRun implements AsyncDisposable {
  readonly tmp: string;
  /** Standard output so far. */
  readonly lines: string[] = [];
  errors = '';
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly child: ChildProcess;
  #hasEnded = false;
  #look: (() => void)[] = [];

  constructor(args: readonly string[], options: DemoOptions = {}) {
    this.tmp = options.tmp ?? mkdtempSync(join(tmpdir(), 'famfs-demo-test-'));
    const main = options.main ?? MAIN;
    const [program = '', ...words] = [...(options.by ?? []), process.execPath, main, 'demo'];
    this.child = spawn(program, [...words, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: this.tmp },
    });
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface({ input: stdout }).on('line', (line) => {
      this.lines.push(line);
      this.#notify();
    });
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    // A demo that hangs ends before its test gives up, which then can take away what it left.
    const hangs = setTimeout(() => this.#pids().forEach(kill), PATIENCE_MS);
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        clearTimeout(hangs);
        this.#hasEnded = true;
        this.#notify();
        resolve(code ?? signal ?? 'unknown');
      });
    });
  }

  /** Resolves with the first line that matches; rejects when the demo ends without one. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.#hasEnded) throw new Error(`no ${pattern} in\n${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => this.#look.push(resolve));
    }
  }

  get last(): string {
    return this.lines.at(-1) ?? '';
  }

  /** The path of its fabric once it has said so: /dev/shm and the name of the folder it made. */
  get fabric(): string | undefined {
    return /\/dev\/shm\/famfs-\w+/.exec(this.lines[0] ?? '')?.[0];
  }

  /** What is left of it anywhere. */
  left(): string[] {
    return [
      ...this.#mounts().map((mountPoint) => `mount ${mountPoint}`),
      ...this.#pids().map(
        (pid) => `process ${pid}: ${orEmpty(pid, 'cmdline', readFileSync).replaceAll('\0', ' ')}`,
      ),
      ...[this.fabric ?? '/none'].filter((path) => existsSync(path)),
      ...readdirSync(this.tmp).map((file) => join(this.tmp, file)),
    ];
  }

  /** Takes away whatever there still is, also of a demo that a failing test has left running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    // Again, as a keeper starts new servers; and before their ends of the pipes are waited for.
    for (let pids = this.#pids(); pids.length > 0; pids = this.#pids()) {
      for (const pid of pids) kill(pid);
      for (const mountPoint of this.#mounts()) unmount(mountPoint, { detach: true });
      await delay(20);
    }
    await this.ended;
    for (const mountPoint of this.#mounts()) unmount(mountPoint, { detach: true });
    if (this.fabric !== undefined) rmSync(this.fabric, { force: true });
    rmSync(this.tmp, { recursive: true, force: true });
  }

  #pids(): number[] {
    return pidsThatName(this.fabric === undefined ? [this.tmp] : [this.tmp, this.fabric]);
  }

  #mounts(): string[] {
    const real = realpathSync(this.tmp);
    const below = readMountInfo().filter((one) => one.mountPoint.startsWith(`${real}/`));
    return below.map(({ mountPoint }) => mountPoint).reverse();
  }

  #notify(): void {
    for (const look of this.#look.splice(0)) look();
  }
}

/** Processes whose command line, environment, mappings, directory or open files name any. */
function pidsThatName(texts: readonly string[]): number[] {
  return pids().filter((pid) => {
    const all = ['cmdline', 'environ', 'maps'].map((file) => orEmpty(pid, file, readFileSync));
    const fds = orEmpty(pid, 'fd', (path) => readdirSync(path).join(' ')).split(' ');
    for (const link of ['cwd', ...fds.filter((fd) => fd !== '').map((fd) => `fd/${fd}`)]) {
      all.push(orEmpty(pid, link, readlinkSync));
    }
    return texts.some((text) => all.some((one) => one.includes(text)));
  });
}

/** The words of every process's command line but of this one's. */
export function commandLines(): string[][] {
  return pids().map((pid) => orEmpty(pid, 'cmdline', readFileSync).split('\0'));
}

function pids(): number[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return names.map(Number).filter((pid) => pid !== process.pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** What a process says of itself; nothing once it has ended. */
function orEmpty(pid: number, name: string, read: (path: string) => string | Buffer): string {
  try {
    return String(read(`/proc/${pid}/${name}`));
  } catch {
    return '';
  }
}
