import { readFileSync } from 'node:fs';
import { Mapping } from '../dist/native/mapping.js';
import { LogFollower } from '../dist/pool/log-follower.js';
import { withFilledPool } from './fixtures.mjs';

const ENTRIES = 490_000;

/**
 * What a replica of 490,000 files keeps: on V8's heap, and of memory that is the process's own
 * (the log's pages are shared). The latter has what V8 has not given back yet, too.
 */
export async function run(report) {
  await withFilledPool(ENTRIES, {}, (device) => {
    const memory = Mapping.open(device, { writable: false });
    const before = usage();
    const follower = new LogFollower(memory);
    const after = usage();
    const files = follower.replica.namespace.fileCount;
    report.add('heap a file', 'B', (after.heap - before.heap) / files, { target: 400 });
    const per100k = (100_000 * (after.own - before.own)) / files / 2 ** 20;
    report.add('resident set for 100,000 files', 'MiB', per100k);
    memory[Symbol.dispose]();
  });
}

function usage() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  const [, ownKiB] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return { heap: heapUsed + external, own: Number(ownKiB) * 1024 };
}
