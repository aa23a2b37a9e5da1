// npm run fuzz [-- --seed N] [--cases N] [--first N]
import { parseArgs } from 'node:util';
import { campaign, describeRun } from './campaign.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    cases: { type: 'string', default: '1000000' },
    first: { type: 'string', default: '0' },
  },
});
const options = {
  seed: Number(values.seed ?? Date.now() % 2 ** 31),
  first: Number(values.first),
  cases: Number(values.cases),
  onProgress: (done: number) => void process.stderr.write(`${done} of ${values.cases} cases\n`),
};
process.stdout.write(`seed ${options.seed}\n`);
const result = await campaign(options);
process.stdout.write(`${describeRun(options, result).join('\n')}\n`);
process.exitCode = result.failure === undefined ? 0 : 1;
