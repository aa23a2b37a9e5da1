import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CLOSED_DIRTY, FOUND } from './owners-found.ts';
import { OWNER_MUTANTS } from './owners-mutants.ts';
import {
  OWNER_PROPERTIES,
  type OwnersScenario,
  ownersScenario,
  ownerViolationsOf,
} from './owners-world.ts';
import { runsOr, timeoutMs } from './runs.ts';

const RUNS = 2000;
/** The same runs for all mutants and for production. */
const SEED = Number(process.env.FAMFS_SEED ?? 20260601);
const MUTANT_RUNS_MAX = 600;

const rows: string[] = [];

/** The properties are put into words in owners-world.ts. */
describe('owners that come and go, and memory that comes back', () => {
  test(
    'hold what they promise, whoever loses power, is killed, or believes to be the owner still',
    () => {
      const { FAMFS_SEED: seed, FAMFS_PATH: path } = process.env;
      fc.assert(
        fc.property(ownersScenario, (scenario: OwnersScenario) => {
          expect(ownerViolationsOf(scenario)).toEqual([]);
        }),
        {
          numRuns: runsOr(RUNS),
          examples: FOUND.map((scenario): [OwnersScenario] => [scenario]),
          ...(seed === undefined ? {} : { seed: Number(seed) }),
          ...(path === undefined ? {} : { path, endOnFailure: true }),
        },
      );
    },
    timeoutMs(runsOr(RUNS)),
  );
});

describe('a mutant breaks what production keeps in the same runs', () => {
  const sample = fc.sample(ownersScenario, { seed: SEED, numRuns: MUTANT_RUNS_MAX });
  const scenarios = [CLOSED_DIRTY, ...sample];

  test.each(OWNER_MUTANTS)(
    '$name',
    (mutant) => {
      const broken = new Set<string>();
      for (const [at, scenario] of scenarios.entries()) {
        for (const { property } of ownerViolationsOf(scenario, mutant)) broken.add(property);
        expect(ownerViolationsOf(scenario)).toEqual([]);
        if (!broken.has(mutant.breaks)) continue;
        const others = [...broken].filter((property) => property !== mutant.breaks).sort();
        const cells = [mutant.name.padEnd(28), mutant.breaks.padEnd(9), `${at + 1}`.padStart(4)];
        rows.push([...cells, others.join(' ')].join(' | ').trimEnd());
        return;
      }
      throw new Error(`${mutant.name}: survived ${scenarios.length} runs, broke ${[...broken]}`);
    },
    timeoutMs(MUTANT_RUNS_MAX),
  );

  // To the terminal itself: this is a result, not a log line.
  afterAll(() => {
    const head = `${'mutant'.padEnd(28)} | killed by | runs | also broke (seed ${SEED})`;
    const legend = Object.entries(OWNER_PROPERTIES).map(([name, text]) => `${name}: ${text}`);
    const lines = ['', head, '-'.repeat(head.length), ...rows, '', ...legend, ''];
    process.stderr.write(lines.join('\n'));
  });
});
