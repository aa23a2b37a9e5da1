import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FamfsFileSystem } from '../../src/fs/famfs-file-system.ts';
import { ENOENT } from '../../src/fuse/errno.ts';
import { Responder } from '../../src/fuse/responder.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { flatten, message } from '../fuse/messages.ts';
import { IncoherentMemory } from '../support/incoherent-memory.ts';
import type { IncoherentProcess } from '../support/incoherent-process.ts';
import { writerOf } from '../support/log-writer.ts';
import { Random } from '../support/random.ts';
import { LOG_MUTANTS } from './mutants.ts';
import { Names, planOf } from './plans.ts';
import { type Ordering, PRODUCTION } from './reader.ts';
import { holds, runsOr, timeoutMs } from './runs.ts';
import { DEVICE_BYTES, SYSTEM_UUID } from './world.ts';

const RUNS = 100;
const FILES = 5;
const ROOT_INO = 1;
const LOOKUP = 1;

/** A pool on a fabric of two hosts; the first one writes. */
class Fabric {
  readonly memory: IncoherentMemory;
  readonly #writer: LogWriter;
  readonly #names = new Names();

  constructor(seed: number) {
    this.memory = new IncoherentMemory(DEVICE_BYTES, 2, new Random(seed));
    const memory = PRODUCTION(this.memory.host(0).process('writes'));
    mkfs(memory, { deviceName: 'fabric', systemUuid: SYSTEM_UUID });
    this.#writer = writerOf(new LogFollower(memory));
    this.memory.catchUp();
    this.memory.evictionChance = 0.2;
  }

  /** The file f0, then f1, …; the other host is told when it is there. */
  async appendFile(): Promise<void> {
    await this.#writer.append(planOf({ kind: 'file', pick: 0 }, this.#names));
    this.memory.catchUp();
  }

  reader(): IncoherentProcess {
    return this.memory.host(1).process('reads');
  }
}

/** The steps of one call, as `step lines`. */
function stepsOf(process: IncoherentProcess, call: () => void): string[] {
  process.counted.length = 0;
  process.isCounting = true;
  call();
  process.isCounting = false;
  return process.counted.map(({ step, lines }) => `${step} ${lines}`);
}

/** FUSE's answers on the second host: the error of a LOOKUP in the root, 0 for a file found. */
function lookups(memory: SharedMemory): (name: string) => number {
  const failures: string[] = [];
  const fs = new FamfsFileSystem({
    name: 'fabric',
    device: '/dev/dax0.0',
    writable: true,
    memory: Object.assign(memory, { writable: true }),
    onError: (text) => failures.push(text),
  });
  const responder = new Responder(fs, {
    malformed: (problem) => failures.push(problem),
    failed: (operation) => failures.push(operation),
  });
  return (name) => {
    const request = message(LOOKUP, ROOT_INO, Buffer.from(`${name}\0`));
    const error = Buffer.from(flatten(responder.answer(request)) ?? []).readInt32LE(4);
    expect(failures).toEqual([]);
    return error;
  };
}

/** Appends files one after the other; the answers to a lookup before and after each. */
async function answersFor(seed: number, ordering: Ordering): Promise<number[]> {
  const fabric = new Fabric(seed);
  const lookup = lookups(ordering(fabric.reader()));
  const answers: number[] = [];
  for (let at = 0; at < FILES; at++) {
    answers.push(lookup(`f${at}`));
    await fabric.appendFile();
    answers.push(lookup(`f${at}`));
  }
  return answers;
}

const EACH_AT_ONCE = new Array(FILES).fill([ENOENT, 0]).flat();

describe('the tail of the log', () => {
  test.each([0, 1, 40])('costs an idle follower one cache line, at %d entries', async (entries) => {
    const fabric = new Fabric(entries);
    for (let at = 0; at < entries; at++) await fabric.appendFile();
    const process = fabric.reader();
    const follower = new LogFollower(PRODUCTION(process));
    expect(follower.replica.position).toBe(entries);
    const steps = stepsOf(process, () => void follower.follow());
    expect(steps).toEqual(['invalidate 1', 'copyOut 1']);
  });

  test('costs a lookup nothing for a name that is known, and one line for another', async () => {
    const fabric = new Fabric(1);
    await fabric.appendFile();
    const process = fabric.reader();
    const lookup = lookups(PRODUCTION(process));
    expect(stepsOf(process, () => expect(lookup('f0')).toBe(0))).toEqual([]);
    const steps = stepsOf(process, () => expect(lookup('no such file')).toBe(ENOENT));
    expect(steps).toEqual(['invalidate 1', 'copyOut 1']);
  });

  test(
    'shows a new file on another node at its first lookup, with no timer in between',
    () =>
      holds(fc.noShrink(fc.integer()), RUNS, async (seed) => {
        expect(await answersFor(seed, PRODUCTION)).toEqual(EACH_AT_ONCE);
      }),
    timeoutMs(runsOr(RUNS)),
  );

  test('would not, if the index or the entries came from the cache', async () => {
    const wrong = LOG_MUTANTS.filter(({ name }) => name.startsWith('reader: no invalidate'));
    expect(wrong.length).toBe(2);
    for (const { reader } of wrong) {
      expect(await answersFor(1, reader)).not.toEqual(EACH_AT_ONCE);
    }
  });
});
