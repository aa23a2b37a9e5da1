import { describe, expect, test } from '@jest/globals';
import { holds, runsOr, timeoutMs } from './runs.ts';
import { anyLives, killedWhileStoring, powerLossAt, type Scenario } from './scenario.ts';
import { violationsOf } from './world.ts';

const RUNS = 1200;
const TAKEOVER_RUNS = 200;
/** More than the writer of `powerLossAt` makes, from its open to its last fence. */
const WRITER_STEPS = 330;

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

  test(
    'goes on, with one entry at each position, wherever its writer loses power',
    async () => {
      for (let step = 0; step < WRITER_STEPS; step++) {
        await expectNoViolation(powerLossAt(step, step));
        await expectNoViolation(powerLossAt(step, -step));
      }
    },
    timeoutMs(2 * WRITER_STEPS),
  );

  test(
    'goes on after a writer that was killed, on the same host first and then on another',
    () => holds(killedWhileStoring('none'), TAKEOVER_RUNS, expectNoViolation),
    timeoutMs(runsOr(TAKEOVER_RUNS)),
  );

  test.each(['power', 'clean', 'none'] as const)(
    'goes on after a writer that was killed, on another host (fence: %s)',
    (fence) => holds(killedWhileStoring(fence, true), TAKEOVER_RUNS, expectNoViolation),
    timeoutMs(runsOr(TAKEOVER_RUNS)),
  );
});
