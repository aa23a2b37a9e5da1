import { MiB } from '../dist/base/numbers.js';
import { CONTIGUOUS } from '../dist/format/allocator.js';
import { Mapping } from '../dist/native/mapping.js';
import { LogFollower } from '../dist/pool/log-follower.js';
import { Pool } from '../dist/pool/pool.js';
import { fileWith, MASTER, withPool } from './fixtures.mjs';
import { Stopwatch } from './report.mjs';

const FILES = 10_000;
const FILE_BYTES = 2 * MiB;
const BATCH = 100;
const PER_FILE_US = 1000 / FILES;

const LIMITS = { target: 15, reference: '207–256 µs' };

/**
 * 10,000 files on 1 TiB, one after the other: allocate, append, wait until it is revealed; then a
 * second host, with a mapping and a replica of its own, follows the log and must find the file.
 * "first" are the first 10,000 of a process; the others find warm code, as a controller's do.
 */
export async function run(report) {
  for (let round = 0; round < 3; round++) {
    const note = round === 0 ? ', first' : '';
    await withWriterAndReader(async (pool, reader) => {
      const { append, all } = await oneByOne(pool, reader);
      report.add(`append, a file${note}`, 'µs', append, LIMITS);
      report.add(`append, and follow on a second host${note}`, 'µs', all);
    });
    await withWriterAndReader(async (pool, reader) => {
      const took = await inBatches(pool, reader);
      report.add(`append, ${BATCH} under one hold of the lock${note}`, 'µs', took);
    });
  }
}

async function oneByOne(pool, reader) {
  let appendMs = 0;
  const watch = new Stopwatch();
  for (let at = 0; at < FILES; at++) {
    const start = performance.now();
    await append(pool, at);
    appendMs += performance.now() - start;
    reader.follow();
    if (reader.replica.namespace.lookup(`file-${at}`) === undefined) {
      throw new Error(`append: file ${at} is not visible`);
    }
  }
  return { append: appendMs * PER_FILE_US, all: watch.elapsed(PER_FILE_US) };
}

async function inBatches(pool, reader) {
  const watch = new Stopwatch();
  for (let first = 0; first < FILES; first += BATCH) {
    await Promise.all(Array.from({ length: BATCH }, (_, at) => append(pool, first + at)));
  }
  const took = watch.elapsed(PER_FILE_US);
  if (reader.follow() !== FILES) throw new Error('append: the second host does not see all');
  return took;
}

async function withWriterAndReader(use) {
  await withPool({}, async (device) => {
    const pool = Pool.open({ name: 'bench', device, writable: true, systemUuid: MASTER });
    const memory = Mapping.open(device, { writable: false });
    await use(pool, new LogFollower(memory));
    memory[Symbol.dispose]();
    pool[Symbol.dispose]();
  });
}

function append(pool, at) {
  return pool.append(({ space }) => {
    const fmap = space.find(CONTIGUOUS, FILE_BYTES);
    return { entries: [fileWith(`file-${at}`, fmap, FILE_BYTES)], result: at };
  });
}
