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

/**
 * 10,000 files on 1 TiB: allocate, append, wait until it is revealed; then a second host, with a
 * mapping and a replica of its own, follows the log and must find the file.
 */
export async function run(report) {
  await oneByOne(report);
  await inBatches(report);
}

async function oneByOne(report) {
  await withWriterAndReader(async (pool, reader) => {
    const watch = new Stopwatch();
    for (let at = 0; at < FILES; at++) {
      await append(pool, at);
      reader.follow();
      if (reader.replica.namespace.lookup(`file-${at}`) === undefined) {
        throw new Error(`append: file ${at} is not visible`);
      }
    }
    const limits = { target: 15, reference: '207–256 µs' };
    report.add(
      'append one by one, each seen by a second host',
      'µs',
      watch.elapsed(PER_FILE_US),
      limits,
    );
  });
}

async function inBatches(report) {
  await withWriterAndReader(async (pool, reader) => {
    const watch = new Stopwatch();
    for (let first = 0; first < FILES; first += BATCH) {
      await Promise.all(Array.from({ length: BATCH }, (_, at) => append(pool, first + at)));
    }
    const took = watch.elapsed(PER_FILE_US);
    if (reader.follow() !== FILES) throw new Error('append: the second host does not see all');
    report.add(`${BATCH} appends under one hold, a file`, 'µs', took);
  });
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
