import fc from 'fast-check';
import { type OwnersScenario, ownersScenario, ownerViolationsOf } from './owners-world.ts';

/**
 * The property of owners.test.ts for as long as one likes: `npm run owners -- RUNS SEED`. Outside
 * of Jest, where a run takes a third of the time. Ends with 1 and the least failing case.
 */
const CHUNK_RUNS = 1000;

const [runs = 100_000, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv
  .slice(2)
  .map(Number);
const begin = performance.now();
const seconds = () => Math.round((performance.now() - begin) / 1000);
process.stdout.write(`owners: ${runs} runs, seed ${seed}\n`);
for (let done = 0; done < runs; done += CHUNK_RUNS) {
  const numRuns = Math.min(CHUNK_RUNS, runs - done);
  const property = fc.property(ownersScenario, (scenario: OwnersScenario) => {
    const [first] = ownerViolationsOf(scenario);
    if (first !== undefined) throw new Error(`${first.property}: ${first.detail}`);
  });
  const details = fc.check(property, { numRuns, seed: seed + done / CHUNK_RUNS });
  if (details.failed) {
    const [scenario] = details.counterexample ?? [];
    process.stdout.write(`owners: FAILED after ${done + details.numRuns} runs, ${seconds()} s\n`);
    process.stdout.write(`${details.errorInstance}\n${JSON.stringify(scenario)}\n`);
    process.exitCode = 1;
    break;
  }
  const rss = Math.round(process.memoryUsage().rss / 2 ** 20);
  process.stdout.write(`owners: ${done + numRuns} runs, ${seconds()} s, ${rss} MiB\n`);
}
if (process.exitCode === undefined) process.stdout.write(`owners: ${runs} passed, 0 failed\n`);
