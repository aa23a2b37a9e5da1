import { checkReport } from '../dist/format/check.js';
import { Mapping } from '../dist/native/mapping.js';
import { LogFollower } from '../dist/pool/log-follower.js';
import { withFilledPool } from './fixtures.mjs';
import { timed } from './report.mjs';

const ENTRIES = 25_000;

/** What `famfs-csi check` does between opening the device and printing. */
export async function run(report) {
  const samples = [];
  await withFilledPool(ENTRIES, {}, (device) => {
    for (let at = 0; at < 7; at++) {
      samples.push(timed(() => checkOnce(device)));
    }
  });
  const [first, ...warm] = samples;
  report.add('25,000 entries, first', 'ms', first, { target: 60, reference: '8 ms' });
  report.add('25,000 entries', 'ms', warm, { target: 60, reference: '8 ms' });
}

function checkOnce(device) {
  const memory = Mapping.open(device, { writable: false });
  const follower = new LogFollower(memory);
  const found = checkReport(follower.superblock, follower.header(), follower.replica);
  memory[Symbol.dispose]();
  if (found.problems.length > 0) throw new Error(`check: ${found.problems[0].message}`);
}
