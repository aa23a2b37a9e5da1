import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { MiB } from '../../src/base/numbers.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { IN_HEADER } from '../../src/fuse/abi-structs.ts';
import { negotiate } from '../../src/fuse/init.ts';
import { Responder } from '../../src/fuse/responder.ts';
import { FuseDevice } from '../../src/native/fuse-device.ts';
import { mountFuse } from '../../src/native/mounts.ts';
import { procText } from '../../src/native/proc.ts';
import { MemoryFileSystem } from '../fuse/memory-file-system.ts';
import { Scratch } from './scratch.ts';
import { eventually } from './test-cluster.ts';

const ATTR = { nlink: 1, uid: 0, gid: 0, timeSeconds: 0 };
export const WHOLE_INO = 16;
const O_PATH = 0o10000000;

/**
 * A mount whose FUSE thread is the test: its root has one file, `whole`. A LOOKUP of `late` is
 * withheld, so whoever sent it waits, and holds the root's lock.
 */
export class HeldMount implements AsyncDisposable {
  readonly path: string;
  readonly device = FuseDevice.open();
  withheld: Uint8Array | undefined;
  readonly files = new MemoryFileSystem({
    root: { ...ATTR, ino: 1, sizeBytes: 0, mode: 0o040755 },
    files: [{ name: 'whole', attr: { ...ATTR, ino: WHOLE_INO, sizeBytes: 4096, mode: 0o100644 } }],
    validSeconds: [3600, 3600],
  });
  readonly #scratch = new Scratch();
  readonly #root: number;
  readonly #started: ChildProcess[] = [];
  readonly #buffer = new Uint8Array(MiB + 4096);
  readonly #responder = new Responder(this.files, { malformed: () => {}, failed: () => {} });
  #isGone = false;

  constructor() {
    this.path = this.#scratch.join('mount');
    mkdirSync(this.path);
    const options = {
      source: 'test',
      subtype: 'famfs',
      allowOther: true,
      defaultPermissions: true,
    };
    mountFuse({ fuseFd: this.device.fd, target: this.path, ...options });
    const length = this.device.receive(this.#buffer, undefined, 10_000);
    if (typeof length !== 'number') throw new Error('the mount is gone before INIT');
    this.device.send(negotiate(this.#buffer.subarray(0, length)).reply);
    this.#root = openSync(this.path, O_PATH);
  }

  /** A process with the device as descriptor 4 and the root, O_PATH, as 5. */
  start(program: string, args: readonly string[]): ChildProcess {
    const stdio = ['ignore', 'ignore', 'ignore', 'ignore', this.device.fd, this.#root] as const;
    const child = spawn(program, args, { stdio: [...stdio] });
    this.#started.push(child);
    return child;
  }

  /** Answers what there is until `look` gives a value. */
  until<T>(what: string, look: () => T | undefined): Promise<T> {
    return eventually(what, () => {
      if (!this.#isGone) this.#serve();
      return look();
    });
  }

  answerWithheld(): void {
    if (this.withheld !== undefined) this.#answer(this.withheld);
    this.withheld = undefined;
  }

  /** Whatever waits for an answer gets it, else it would hang for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.answerWithheld();
    for (const child of this.#started) child.kill('SIGKILL');
    for (const child of this.#started) await this.until('all have ended', () => endOf(child));
    closeSync(this.#root);
    this.device[Symbol.dispose]();
    this.#scratch[Symbol.dispose]();
  }

  #serve(): void {
    for (;;) {
      const length = this.device.receive(this.#buffer, undefined, 5);
      if (length === 'gone') this.#isGone = true;
      if (length === 'gone' || length === 0) return;
      const message = this.#buffer.slice(0, length);
      const opcode = new DataView(message.buffer).getUint32(IN_HEADER.opcode, true);
      const name = Buffer.from(message.subarray(IN_HEADER.size)).toString();
      if (opcode === OPCODE.LOOKUP && name === 'late\0') this.withheld = message;
      else this.#answer(message);
    }
  }

  #answer(message: Uint8Array): void {
    const reply = this.#responder.answer(message);
    if (reply !== undefined) this.device.send(reply.head);
  }
}

/** How a process ended; undefined: it has not. */
export function endOf({ exitCode, signalCode }: ChildProcess): string | number | undefined {
  return signalCode ?? exitCode ?? undefined;
}

export function childOf({ pid }: ChildProcess): number | undefined {
  const [first] = procText(Number(pid), `task/${pid}/children`).trim().split(' ');
  return first ? Number(first) : undefined;
}

/** `D`: it waits in the kernel and takes no signal. */
export function stateOf(pid: number): string | undefined {
  return /^State:\s+(\w)/m.exec(procText(pid, 'status'))?.[1];
}

/** A process that was started by another may be reaped late. */
export function isGone(pid: number): boolean {
  return !existsSync(`/proc/${pid}`) || stateOf(pid) === 'Z';
}
