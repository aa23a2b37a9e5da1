// npm run churn [-- --cycles N] [--seed N] [--device-size 64G] [--reclaim-every N]
import { parseArgs } from 'node:util';
import { formatSize, parseSize } from '../../src/base/numbers.ts';
import { Scratch } from '../support/scratch.ts';
import { churn } from './churn.ts';
import { failuresOf } from './verdict.ts';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    'device-size': { type: 'string', default: '64G' },
    'reclaim-every': { type: 'string', default: '50' },
  },
});
const print = (line: string) => void process.stdout.write(`${line}\n`);

using scratch = new Scratch('/dev/shm');
const result = await churn({
  device: scratch.join('device'),
  seed: Number(values.seed),
  cycles: Number(values.cycles),
  deviceBytes: parseSize('--device-size', values['device-size']),
  reclaimEvery: Number(values['reclaim-every']),
  onMark: ({ cycles, rssMiB, entries, liveBytes, compactions, seconds }) =>
    print(
      `${cycles} cycles: ${Math.round(cycles / seconds)} a second, ${rssMiB} MiB resident, ` +
        `${entries} entries, ${formatSize(liveBytes)} live, ${compactions} compactions`,
    ),
});
const { check, compactions, compactionSeconds, freeBytes, largestFreeBytes } = result;
const each = (1000 * compactionSeconds) / compactions;
print(`${compactions} compactions, ${each.toFixed(2)} ms each; ${result.waits} waits for nodes`);
print(`log: ${result.entriesMax} entries at most, of ${result.capacity}`);
print(`opened ${result.opened} files, ${result.heldWhileDeleted} deleted meanwhile`);
print(`check: ${check.problems.length} problems, ${check.files} files`);
print(
  `${formatSize(freeBytes)} free in ${result.gaps} gaps, the largest ` +
    `${formatSize(largestFreeBytes)}; half of it fits: ${result.isHalfFound}`,
);
for (const failure of failuresOf(result)) {
  print(`FAILED: ${failure}`);
  process.exitCode = 1;
}
