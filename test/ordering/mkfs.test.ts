import { describe, expect, test } from '@jest/globals';
import { type MkfsScenario, mkfsScenario, mkfsViolationsOf } from './mkfs-world.ts';
import { holds, runsOr, timeoutMs } from './runs.ts';

const RUNS = 800;
/** More than mkfs makes. */
const MKFS_STEPS = 40;

async function expectNoViolation(scenario: MkfsScenario): Promise<void> {
  expect(await mkfsViolationsOf(scenario)).toEqual([]);
}

describe('mkfs over an old pool on incoherent memory', () => {
  test(
    'leaves the old pool, none or the new one, and nobody takes one for the other',
    () => holds(mkfsScenario, RUNS, expectNoViolation),
    timeoutMs(runsOr(RUNS)),
  );

  const common = { killAt: null, logMiB: 8 } as const;

  /** What was found before mkfs took the magic away first, and followers looked for it again. */
  test.each<[story: string, MkfsScenario]>([
    [
      'a follower of the old pool applied entries of the new one on top',
      {
        ...common,
        ...{ seed: 1041707419, entries: 1, followers: [0, 0], host: 1 },
        ...{ end: 'power', endAt: 9, later: 2 },
      },
    ],
    [
      'an idle writer of the old pool appended to the new one, with the space of the old',
      {
        ...common,
        ...{ seed: -2089455902, entries: 1, followers: [2], host: 1, logMiB: 16 },
        ...{ end: 'stop', endAt: 5, later: 1 },
      },
    ],
    [
      'who opened the pool meanwhile got the old superblock with the empty new log',
      {
        ...common,
        ...{ seed: -1808686367, entries: 3, followers: [2], host: 0 },
        ...{ end: 'stop', endAt: 29, later: 0 },
      },
    ],
    [
      'a power loss left the old pool without its name',
      {
        ...common,
        ...{ seed: 26, entries: 4, followers: [0], host: 2 },
        ...{ end: 'power', endAt: 16, later: 3 },
      },
    ],
    [
      'a power loss left half a superblock, which looks like damage',
      {
        ...common,
        ...{ seed: 342731643, entries: 3, followers: [1, 1], host: 1 },
        ...{ end: 'power', endAt: 7, later: 1 },
      },
    ],
  ])('never again: %s', (_, scenario) => expectNoViolation(scenario));

  test('is as good wherever it ends, step by step', async () => {
    const story = { ...common, entries: 2, followers: [1, 2], host: 0, later: 3 } as const;
    for (let endAt = 0; endAt < MKFS_STEPS; endAt++) {
      await expectNoViolation({ ...story, seed: endAt, end: 'power', endAt });
      await expectNoViolation({ ...story, seed: -endAt, end: 'kill', endAt });
    }
  });
});
