// npm run fuzz [-- --seed N] [--cases N] [--first N]; hostile logs too, without cases and first.
import { parseArgs } from 'node:util';
import { campaign, describeRun } from './campaign.ts';
import {
  HOSTILE_LOGS,
  LONG_HOSTILE_LOGS,
  MEMORY_MAX_MIB,
  replayHostileLogs,
} from './hostile-memory.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    cases: { type: 'string' },
    first: { type: 'string' },
  },
});
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupted.abort());
const isWhole = values.cases === undefined && values.first === undefined;
const options = {
  seed: Number(values.seed ?? Date.now() % 2 ** 31),
  first: Number(values.first ?? 0),
  cases: Number(values.cases ?? 1_000_000),
  signal: interrupted.signal,
  onProgress: (done: number) => void process.stderr.write(`${done} cases\n`),
};
const print = (line: string) => void process.stdout.write(`${line}\n`);

print(`seed ${options.seed}`);
const result = await campaign(options).catch((error: unknown) => {
  if (!interrupted.signal.aborted) throw error;
  print('interrupted');
  process.exit(130);
});
for (const line of describeRun(options, result)) print(line);
if (result.failure !== undefined) process.exitCode = 1;
if (isWhole) {
  for (const log of replayHostileLogs([...HOSTILE_LOGS, ...LONG_HOSTILE_LOGS])) {
    const { name, position, entries, seconds, growthKiB } = log;
    const growthMiB = Math.round(growthKiB / 1024);
    print(
      `${name}: ${position} of ${entries} entries in ${seconds.toFixed(1)} s, ${growthMiB} MiB`,
    );
    if (growthMiB > MEMORY_MAX_MIB) process.exitCode = 1;
  }
}
