import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MKFS_MUTANTS } from './mkfs-mutants.ts';
import { mkfsScenario, mkfsViolationsOf } from './mkfs-world.ts';
import { LOG_MUTANTS, type Mutant, TAKEOVER_MUTANTS } from './mutants.ts';
import { PROPERTIES, type Violation } from './oracle.ts';
import { timeoutMs } from './runs.ts';
import { anyLives, killedWhileStoring } from './scenario.ts';
import { type Orderings, violationsOf } from './world.ts';

/** The same runs for all mutants and for production; another seed must kill them too. */
const SEED = Number(process.env.FAMFS_SEED ?? 20260601);
const RUNS_MAX = 1500;

type Check<T> = (scenario: T, orderings?: Orderings) => Promise<readonly Violation[]>;

interface Kill {
  readonly mutant: Mutant;
  readonly runs: number;
  /** What else it broke in those runs. */
  readonly others: readonly string[];
}

const kills: Kill[] = [];

/** Runs until the mutant breaks its property; production must pass the same runs. */
async function kill<T>(mutant: Mutant, scenarios: readonly T[], check: Check<T>): Promise<Kill> {
  const broken = new Set<string>();
  for (const [at, scenario] of scenarios.entries()) {
    const violations = await check(scenario, mutant);
    for (const { property } of violations) broken.add(property);
    expect(await check(scenario)).toEqual([]);
    if (broken.has(mutant.breaks)) {
      const others = [...broken].filter((property) => property !== mutant.breaks).sort();
      return { mutant, runs: at + 1, others };
    }
  }
  throw new Error(`${mutant.name}: survived ${scenarios.length} runs of seed ${SEED}`);
}

function table(): string {
  const rows = kills.map(({ mutant, runs, others }) =>
    [mutant.name.padEnd(44), mutant.breaks.padEnd(9), `${runs}`.padStart(4), others.join(' ')]
      .join(' | ')
      .trimEnd(),
  );
  const head = `${'mutant'.padEnd(44)} | killed by | runs | also broke (seed ${SEED})`;
  const legend = Object.entries(PROPERTIES).map(([name, text]) => `${name.padEnd(9)}: ${text}`);
  return ['', head, '-'.repeat(head.length), ...rows, '', ...legend, ''].join('\n');
}

function killedOn<T>(mutants: readonly Mutant[], arbitrary: fc.Arbitrary<T>, check: Check<T>) {
  const scenarios = fc.sample(arbitrary, { seed: SEED, numRuns: RUNS_MAX });
  test.each(mutants)(
    '$name',
    async (mutant) => {
      kills.push(await kill(mutant, scenarios, check));
    },
    timeoutMs(RUNS_MAX),
  );
}

describe('a mutant of the ordering breaks what production keeps in the same runs', () => {
  killedOn(LOG_MUTANTS, anyLives, violationsOf);
  killedOn(TAKEOVER_MUTANTS, killedWhileStoring('none'), violationsOf);
  killedOn(MKFS_MUTANTS, mkfsScenario, mkfsViolationsOf);
});

// To the terminal itself: this is a result, not a log line.
afterAll(() => void process.stderr.write(table()));
