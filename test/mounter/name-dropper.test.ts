import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { IN_HEADER } from '../../src/fuse/abi-structs.ts';
import { negotiate } from '../../src/fuse/init.ts';
import { Responder } from '../../src/fuse/responder.ts';
import { findDropper, findServers } from '../../src/mounter/find-server.ts';
import { FuseDevice } from '../../src/native/fuse-device.ts';
import { type MountInfo, mountFuse, mountsAt } from '../../src/native/mounts.ts';
import { procText } from '../../src/native/proc.ts';
import { MemoryFileSystem } from '../fuse/memory-file-system.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';
import { eventually } from '../support/test-cluster.ts';

const SERVER = join(__dirname, '..', 'support', 'name-dropping-server.mjs');
const ATTR = { nlink: 1, uid: 0, gid: 0, timeSeconds: 0 };
const WHOLE = 16;

let scratch: Scratch;
let mount: TestMount;
const started: ChildProcess[] = [];

beforeEach(() => {
  scratch = new Scratch();
  mount = new TestMount(scratch.join('mount'));
});

afterEach(async () => {
  await mount[Symbol.asyncDispose]();
  for (const child of started.splice(0)) child.kill('SIGKILL');
  scratch[Symbol.dispose]();
});

/** A mount that this test answers for: its root, with one file; a LOOKUP of `late` has to wait. */
class TestMount implements AsyncDisposable {
  readonly path: string;
  readonly device = FuseDevice.open();
  /** The LOOKUP that waits: who sent it holds the root's lock. */
  withheld: Uint8Array | undefined;
  readonly files = new MemoryFileSystem({
    root: { ...ATTR, ino: 1, sizeBytes: 0, mode: 0o040755 },
    files: [{ name: 'whole', attr: { ...ATTR, ino: WHOLE, sizeBytes: 4096, mode: 0o100644 } }],
    validSeconds: [3600, 3600],
  });
  readonly #buffer = new Uint8Array(MiB + 4096);
  readonly #responder = new Responder(this.files, { malformed: () => {}, failed: () => {} });
  #isGone = false;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path);
    const options = {
      source: 'test',
      subtype: 'famfs',
      allowOther: true,
      defaultPermissions: true,
    };
    mountFuse({ fuseFd: this.device.fd, target: path, ...options });
    const length = this.device.receive(this.#buffer, undefined, 10_000);
    if (typeof length !== 'number') throw new Error('the mount is gone before INIT');
    this.device.send(negotiate(this.#buffer.subarray(0, length)).reply);
  }

  /** Answers until there is nothing to answer. */
  serve(): void {
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

  /** Serves until `look` gives a value. */
  until<T>(what: string, look: () => T | undefined): Promise<T> {
    return eventually(what, () => {
      if (!this.#isGone) this.serve();
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
    const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode ?? signalCode;
    for (const child of started) child.kill('SIGKILL');
    const all = () => (started.every((child) => hasEnded(child) !== null) ? true : undefined);
    await this.until('all have ended', all);
    this.device[Symbol.dispose]();
  }

  #answer(message: Uint8Array): void {
    const reply = this.#responder.answer(message);
    if (reply !== undefined) this.device.send(reply.head);
  }
}

function start(program: string, args: readonly string[]): ChildProcess {
  const stdio = ['ignore', 'ignore', 'ignore', 'ignore', mount.device.fd] as const;
  const child = spawn(program, args, { stdio: [...stdio] });
  started.push(child);
  return child;
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => signalCode ?? exitCode ?? undefined;

function childOf(pid: number): number | undefined {
  const [first] = procText(pid, `task/${pid}/children`).trim().split(' ');
  return first ? Number(first) : undefined;
}

/** `D`: it waits in the kernel and takes no signal. */
const stateOf = (pid: number) => /^State:\s+(\w)/m.exec(procText(pid, 'status'))?.[1];

/** A process that was started by another may be reaped late. */
const isGone = (pid: number) => !existsSync(`/proc/${pid}`) || stateOf(pid) === 'Z';

describeWith([fuse], 'a name that went', () => {
  test('is dropped by the kernel, which forgets what it named', async () => {
    const stat = start('stat', [join(mount.path, 'whole')]);
    expect(await mount.until('stat ends', () => hasEnded(stat))).toBe(0);
    start(process.execPath, [SERVER, 'whole']);
    await mount.until('it is forgotten', () =>
      mount.files.calls.includes(`forget ${WHOLE} 1`) ? true : undefined,
    );
  });

  test('holds no server up whose answer is what keeps its directory locked', async () => {
    const late = start('stat', [join(mount.path, 'late')]);
    await mount.until('its lookup holds the lock', () => mount.withheld);
    const server = start(process.execPath, [SERVER, 'whole']);
    const dropper = await mount.until('the kernel was told', () => {
      const pid = childOf(server.pid as number);
      return pid !== undefined && stateOf(pid) === 'D' ? pid : undefined;
    });
    server.kill('SIGKILL');
    expect(await mount.until('the server ends', () => hasEnded(server))).toBe('SIGKILL');
    expect(hasEnded(late)).toBeUndefined();
    expect(isGone(dropper)).toBe(false);
    // A keeper that finds no server any more can go on with the mount: here is its descriptor.
    const { device } = mountsAt(mount.path)[0] as MountInfo;
    expect(findServers(device, undefined)).toEqual([]);
    expect(findDropper(device)).toEqual({ pid: dropper, fd: 3 });
    // As its successor does, with the request that comes again.
    mount.answerWithheld();
    expect(await mount.until('stat ends', () => hasEnded(late))).toBe(1);
    await mount.until('the name was dropped', () => isGone(dropper) || undefined);
  });
});
