import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { holds, runsOr, timeoutMs } from './runs.ts';
import { anyLives, killedWhileStoring, powerLossAt, type Scenario } from './scenario.ts';
import { violationsOf } from './world.ts';

const RUNS = 1200;
const TAKEOVER_RUNS = 200;
/** More than the writer of `powerLossAt` makes, from its open to its last fence. */
const WRITER_STEPS = 130;

async function expectNoViolation(scenario: Scenario): Promise<void> {
  expect(await violationsOf(scenario)).toEqual([]);
}

/** The properties are put into words in oracle.ts, the fault model in incoherent-memory.ts. */
describe('the log on incoherent memory', () => {
  test(
    'shows every reader a prefix of complete entries, and all of them after quiet',
    () => holds(anyLives, RUNS, expectNoViolation),
    timeoutMs(runsOr(RUNS)),
  );

  test('goes on, with one entry at each position, wherever its writer loses power', async () => {
    for (let step = 0; step < WRITER_STEPS; step++) {
      await expectNoViolation(powerLossAt(step, step));
      await expectNoViolation(powerLossAt(step, -step));
    }
  });

  test(
    'goes on after a writer that was killed, on the same host first and then on another',
    () => holds(killedWhileStoring('none'), TAKEOVER_RUNS, expectNoViolation),
    timeoutMs(runsOr(TAKEOVER_RUNS)),
  );

  test.each(['power', 'clean'] as const)(
    'goes on after a writer that was killed, on another host when the first is fenced (%s)',
    (fence) => holds(killedWhileStoring(fence, true), TAKEOVER_RUNS, expectNoViolation),
    timeoutMs(runsOr(TAKEOVER_RUNS)),
  );

  /** Decision 0014: without a fence nothing is promised, and this is what may happen. */
  test('may lose entries when another host takes over from a killed writer unfenced', async () => {
    const scenarios = fc.sample(killedWhileStoring('none', true), { seed: 1, numRuns: 20 });
    const broken = new Set<string>();
    for (const scenario of scenarios) {
      for (const { property } of await violationsOf(scenario)) broken.add(property);
    }
    expect([...broken]).toContain('single');
  });
});
