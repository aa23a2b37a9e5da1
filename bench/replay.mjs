import { Mapping } from '../dist/native/mapping.js';
import { LogFollower } from '../dist/pool/log-follower.js';
import { withFilledPool } from './fixtures.mjs';
import { timed } from './report.mjs';

/**
 * What a node does when it mounts a pool: every entry is copied out of shared memory, checked and
 * applied. "first" is the first replay of a process, as a mount has it; the others find warm code.
 */
export async function run(report) {
  await replay(report, 25_000, { target: 50, reference: '500 ms' }, 7);
  await replay(report, 490_000, { target: 1200 }, 3);
  await replay(report, 25_000, {}, 7, { filesPerDirectory: 1 }, ', a directory each file');
  await replay(report, 1_970_000, {}, 1, { sizeBytes: 4 * 2 ** 40 }, ' (1 GiB log)');
}

async function replay(report, entries, limits, times, options = {}, note = '') {
  const samples = [];
  await withFilledPool(entries, options, (device) => {
    const memory = Mapping.open(device, { writable: false });
    for (let at = 0; at < times; at++) {
      samples.push(timed(() => replayOnce(memory, entries)));
    }
    memory[Symbol.dispose]();
  });
  const name = `${entries.toLocaleString('en')} entries${note}`;
  const [first, ...warm] = samples;
  report.add(`${name}, first`, 'ms', first, limits);
  if (warm.length > 0) report.add(name, 'ms', warm, limits);
}

function replayOnce(memory, entries) {
  const { applied } = new LogFollower(memory).replica;
  if (applied !== entries) throw new Error(`replay: applied ${applied} of ${entries} entries`);
}
