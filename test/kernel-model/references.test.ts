import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { pino } from 'pino';
import { codeOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { IN_HEADER } from '../../src/fuse/abi-structs.ts';
import { invalidateEntry } from '../../src/fuse/notify.ts';
import type { Answers } from '../../src/fuse/session.ts';
import { PoolServer } from '../../src/mounter/pool-server.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { type Counts, countsOfKernel, countsOfTable } from './counts.ts';
import { Host } from './devices.ts';
import { Kernel } from './kernel.ts';
import { viewOf } from './messages.ts';
import { at, FILES_AT, ModelPool, simple } from './model-pool.ts';
import type { Mapping as FileMapping, OpenFile } from './open-file.ts';
import { Process } from './process.ts';
import { agree, Served } from './served.ts';
import type { Program, Task } from './task.ts';

const FILES = 4;
const DIRECTORIES = ['a', 'b'];
const volumeOf = (file: number) => DIRECTORIES[file % 2] as string;
const pathOf = (file: number) => `${volumeOf(file)}/f${file}`;
const placeOf = (file: number) => at(FILES_AT + file * 2 * MiB, 2 * MiB);
const inoOf = (file: number) => 16 + placeOf(file).offset / 4096;

const who = { process: fc.nat(2), file: fc.nat(FILES - 1) };
const step = fc.oneof(
  fc.record({ op: fc.constantFrom('stat', 'readdir'), ...who }),
  fc.record({ op: fc.constant('open'), ...who }),
  fc.record({ op: fc.constantFrom('close', 'map', 'unmap'), ...who }),
  fc.record({ op: fc.constant('settle'), ...who }),
  fc.record({ op: fc.constantFrom('shrink', 'wait', 'remove'), ...who }),
  fc.record({ op: fc.constantFrom('kill', 'drop', 'interrupt'), ...who }),
);
const crash = fc.record({ op: fc.constantFrom('crash on read', 'crash on answer'), ...who });
type Step = { op: string; process: number; file: number };

/** The server dies here: what it has read and not answered is the successor's. */
class Crash extends Error {}

/** A kernel without famfs, and the real PoolServer, which can be killed and followed by another. */
class World implements Disposable {
  readonly kernel = new Kernel({ name: 'stock', host: new Host() });
  readonly pool: ModelPool;
  readonly table: string;
  hasCrashed = false;
  /** Deleted files that the server told of, over all comparisons. */
  told = 0;
  readonly #folder = mkdtempSync('/dev/shm/famfs-references-');
  readonly #memory: Mapping;
  readonly #negotiated = agree(this.kernel, {});
  readonly #processes = [0, 1, 2].map(() => new Process(this.kernel));
  readonly #indices: number[] = [];
  readonly #opened: OpenFile[] = [];
  readonly #mapped: FileMapping[] = [];
  readonly #tasks: Task<unknown>[] = [];
  readonly #removed: [number, string][] = [];
  #server!: PoolServer;
  #served!: Served;
  /** Counts messages down to the crash; it is on the reading or on the answer to that one. */
  #crash: { messages: number; on: string } | undefined;
  /** What happens, so many messages from now, to the process whose request is read then. */
  #meanwhile: { messages: number; op: 'drop' | 'interrupt' } | undefined;

  constructor() {
    const device = join(this.#folder, 'device');
    this.table = join(this.#folder, 'references');
    const fd = openSync(device, 'w');
    ftruncateSync(fd, FILES_AT + FILES * 2 * MiB);
    closeSync(fd);
    this.#memory = Mapping.open(device, { writable: true });
    this.pool = new ModelPool({ memory: this.#memory });
    for (const name of DIRECTORIES) this.pool.directory(name);
    for (let file = 0; file < FILES; file++) {
      this.#indices.push(this.pool.file(pathOf(file), simple(placeOf(file))));
    }
    this.kernel.onRead = (message) => this.#hasRead(message);
    this.#startServer();
  }

  take({ op, process: who, file }: Step): void {
    const process = this.#processes[who] as Process;
    const path = pathOf(file);
    if (op === 'stat') this.#start(process.stat(path));
    else if (op === 'open') this.#start(this.#open(process, path));
    else if (op === 'readdir') this.#start(process.readdir(DIRECTORIES[file % 2] as string));
    else if (op === 'close') this.#close(file);
    else if (op === 'map') this.#map(process, file);
    else if (op === 'unmap') this.#mapped.splice(file, 1)[0]?.unmap();
    else if (op === 'shrink') this.kernel.inodes.shrink();
    else if (op === 'wait') this.kernel.nowMs += 1500;
    else if (op === 'remove') this.#remove(file);
    else if (op === 'kill') for (const task of this.#tasks) this.kernel.kill(task);
    else if (op === 'drop' || op === 'interrupt') this.#meanwhile = { messages: file, op };
    else if (op.startsWith('crash')) this.#crash = { messages: file, on: op.slice(9) };
    else if (op === 'settle') this.settle();
  }

  /** Serves all that there is, with one server after the other if need be, and compares. */
  settle(): void {
    for (;;) {
      try {
        this.#served.settle();
        this.#dropNames();
        if (!this.kernel.hasWork) break;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        this.hasCrashed = true;
        this.#startServer();
      }
    }
    for (const { error } of this.#tasks) {
      expect([undefined, 'ENOENT', 'EINTR']).toContain(codeOf(error) ?? error);
    }
    this.compare();
  }

  /** Equal, until a server died; never less than what the kernel has. */
  compare(): void {
    const counted = countsOfTable(this.table);
    const real = countsOfKernel(this.kernel);
    if (!this.hasCrashed) expect(counted).toEqual(real);
    for (const [ino, { lookups, opens }] of Object.entries(real)) {
      const { lookups: lookedUp = 0, opens: opened = 0 } = counted[Number(ino)] ?? {};
      const isTooLow = lookedUp < lookups || opened < opens;
      expect({ ino, counted: [lookedUp, opened], real: [lookups, opens], isTooLow }).toMatchObject({
        isTooLow: false,
      });
    }
    this.#compareReport(real);
  }

  /** Each deleted file that the kernel has is told, with its memory; no other, without a crash. */
  #compareReport(real: Counts): void {
    const { references } = this.#server.state({ referred: {} });
    const told = references?.deleted ?? [];
    const gone = this.#indices.flatMap((index, file) => (index < 0 ? [file] : []));
    const due = gone.filter((file) => real[inoOf(file)] !== undefined);
    const inos = told.map(({ ino }) => ino);
    expect(inos).toEqual(expect.arrayContaining(due.map(inoOf)));
    if (!this.hasCrashed) expect(inos).toHaveLength(due.length);
    for (const { ino, volume, extents, lookups, openFiles } of told) {
      const file = gone.find((each) => inoOf(each) === ino) ?? -1;
      expect({ volume, extents }).toEqual({ volume: volumeOf(file), extents: [placeOf(file)] });
      expect(lookups).toBeGreaterThanOrEqual(real[ino]?.lookups ?? 0);
      expect(openFiles).toBeGreaterThanOrEqual(real[ino]?.opens ?? 0);
    }
    this.told += told.length;
  }

  /** Everything ends: the kernel refers to nothing any more. */
  finish(): void {
    this.settle();
    this.#crash = undefined;
    for (const mapping of this.#mapped.splice(0)) mapping.unmap();
    while (this.#opened.length > 0) this.#close(0);
    this.settle();
    this.kernel.inodes.shrink();
    this.settle();
    expect(countsOfKernel(this.kernel)).toEqual({});
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true });
  }

  #startServer(): void {
    const resume = this.#served !== undefined;
    this.#crash = undefined;
    this.#server?.[Symbol.dispose]();
    const device = { send: (head: Uint8Array) => this.kernel.send(head) };
    this.#server = new PoolServer(
      {
        pool: 'model',
        devices: [{ path: join(this.#folder, 'device') }],
        generation: 'buffered',
        metaGid: 0,
        referencesPath: this.table,
        negotiated: this.#negotiated,
      },
      device,
      pino({ level: 'silent' }),
      (parent, name) => this.#removed.push([parent, name]),
    );
    this.#served = new Served(this.kernel, this.#negotiated, () => this.#answers(), { resume });
  }

  #answers(): Answers {
    const server = this.#server;
    return {
      answer: (message) => {
        const reply = server.answer(message);
        if (this.#crash?.messages === -1) throw new Crash('before its answer was sent');
        return reply;
      },
      fail: (message, error) => server.fail(message, error),
      delivered: () => server.delivered(),
      undelivered: (isGone) => server.undelivered(isGone),
    };
  }

  #hasRead(message: Uint8Array): void {
    this.#hitProcess(viewOf(message).getBigUint64(IN_HEADER.unique, true));
    if (this.#crash === undefined) return;
    this.#crash.messages--;
    if (this.#crash.messages < 0 && this.#crash.on === 'read') throw new Crash('after a read');
  }

  #hitProcess(unique: bigint): void {
    if (this.#meanwhile === undefined || this.#meanwhile.messages-- > 0) return;
    const task = this.#tasks.find(({ request }) => request?.unique === unique);
    if (this.#meanwhile.op === 'drop') this.kernel.queue.drop(unique);
    else if (task !== undefined) this.kernel.kill(task);
    this.#meanwhile = undefined;
  }

  #start(program: Program<unknown>): void {
    this.#tasks.push(this.kernel.start(program));
  }

  *#open(process: Process, path: string): Program<void> {
    this.#opened.push(yield* process.open(path));
  }

  #map(process: Process, slot: number): void {
    const file = this.#opened[slot];
    if (file !== undefined) this.#mapped.push(process.mmap(file));
  }

  #close(slot: number): void {
    const [file] = this.#opened.splice(slot % Math.max(1, this.#opened.length), 1);
    if (file !== undefined) this.#start((this.#processes[0] as Process).close(file));
  }

  #remove(file: number): void {
    const index = this.#indices[file] ?? -1;
    if (index < 0) return;
    this.pool.remove(pathOf(file), index);
    this.#indices[file] = -1;
    this.#server.follow();
  }

  #dropNames(): void {
    for (const [parent, name] of this.#removed.splice(0)) {
      this.kernel.write(invalidateEntry(parent, name), 'other');
    }
  }
}

function run(steps: readonly Step[]): World {
  using world = new World();
  for (const each of steps) world.take(each);
  world.finish();
  return world;
}

test('the server counts what the kernel refers to, exactly, whoever goes away meanwhile', () => {
  let answered = 0;
  let told = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (steps) => {
      const world = run(steps);
      expect(world.hasCrashed).toBe(false);
      answered += world.kernel.sent.length;
      told += world.told;
    }),
    { numRuns: 60 },
  );
  expect(answered).toBeGreaterThan(500);
  expect(told).toBeGreaterThan(5);
});

test('a server that dies at any message leaves no count too low, for any number of servers', () => {
  let crashed = 0;
  let told = 0;
  const steps = fc.array(
    fc.oneof({ weight: 5, arbitrary: step }, { weight: 2, arbitrary: crash }),
    {
      minLength: 5,
      maxLength: 60,
      size: 'max',
    },
  );
  fc.assert(
    fc.property(steps, (taken) => {
      const world = run(taken);
      if (!world.hasCrashed) return;
      crashed++;
      told += world.told;
    }),
    { numRuns: 150 },
  );
  expect(crashed).toBeGreaterThan(20);
  expect(told).toBeGreaterThan(5);
});

/**
 * Story: RELEASE lowered the count, the server died before it had answered, and the kernel sent it
 * again: the successor lowered the count of somebody else's open file.
 */
test('a RELEASE that a server counted on, and died before it answered, is counted once', () => {
  const who = { process: 0, file: 0 };
  const ops = ['open', 'open', 'settle', 'close'];
  for (const messages of [0, 1, 2]) {
    using world = new World();
    for (const op of ops) world.take({ op, ...who });
    world.take({ op: 'crash on answer', process: 0, file: messages });
    world.take({ op: 'settle', ...who });
    expect([messages, world.hasCrashed]).toEqual([messages, messages < 2]);
    expect(countsOfTable(world.table)[inoOf(0)]).toEqual({ lookups: 2, opens: 1 });
    world.finish();
  }
});
