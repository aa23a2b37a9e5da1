import { afterAll, describe, expect, test } from '@jest/globals';
import { LEASE_TIMES, type LeaseRules } from '../../src/kubernetes/lease.ts';
import { LeaseWorld } from './lease-world.ts';

/** The same runs for production and for all mutants; another seed must do as well. */
const SEED = Number(process.env.FAMFS_SEED ?? 20261124);
const RUNS = 150;

interface Mutant extends Partial<LeaseRules> {
  readonly name: string;
}

const MUTANTS: readonly Mutant[] = [
  { name: 'acts on without a look at the deadline', mayAct: () => true },
  {
    name: 'stops later than others wait',
    validUntil: (sentAt, _, { durationMs }) => sentAt + durationMs * 1.3,
  },
  {
    name: 'counts a renewal from its answer on',
    validUntil: (_, answeredAt, { renewDeadlineMs }) => answeredAt + renewDeadlineMs,
  },
  {
    name: 'compares the time in the record with its own clock',
    freeFrom: ({ record }, { durationMs }) => Date.parse(record.spec?.renewTime ?? '') + durationMs,
  },
  { name: 'takes a held lease on the first sight', freeFrom: ({ changedAt }) => changedAt },
  {
    name: 'waits less than a holder may act',
    freeFrom: ({ changedAt }, { renewDeadlineMs }) => changedAt + renewDeadlineMs / 2,
  },
  {
    name: 'writes over whatever is there by now',
    base: ({ record }) => {
      const { resourceVersion: _, ...metadata } = record.metadata;
      return { ...record, metadata };
    },
  },
  { name: 'acts at once under a lease that it made', actsFrom: (createdAt) => createdAt },
];

const kills: string[] = [];

describe('a lease, in a world of pauses, kills, lost messages and wrong clocks', () => {
  test('is never held by two processes at once, and by one when all is well again', async () => {
    let tenures = 0;
    for (let run = 0; run < RUNS; run++) {
      const result = await new LeaseWorld(SEED + run).run();
      expect({ run, together: result.together }).toEqual({ run, together: [] });
      expect({ run, leads: result.leadsAtEnd }).toEqual({ run, leads: 1 });
      tenures += result.tenures;
    }
    // A world in which nobody ever loses the lease would prove nothing.
    expect(tenures).toBeGreaterThan(2 * RUNS);
  });

  test('has times that leave room for clocks whose rates are a tenth wrong, each', () => {
    const { durationMs, renewDeadlineMs } = LEASE_TIMES;
    // The holder's is slow, the other's fast.
    expect(renewDeadlineMs / 0.9).toBeLessThan(durationMs / 1.1);
  });

  test.each(MUTANTS)('is held by two when a process $name', async ({ name, ...rules }) => {
    for (let run = 0; run < RUNS; run++) {
      const { together } = await new LeaseWorld(SEED + run, rules).run();
      if (together.length > 0) {
        kills.push(`${name.padEnd(52)} | ${run + 1}`);
        return;
      }
    }
    throw new Error(`${name}: survived ${RUNS} runs of seed ${SEED}`);
  });
});

// To the terminal itself: this is a result, not a log line.
afterAll(() => {
  const head = `${'mutant: a process'.padEnd(52)} | killed in run (seed ${SEED})`;
  process.stderr.write(['', head, '-'.repeat(head.length), ...kills, '', ''].join('\n'));
});
