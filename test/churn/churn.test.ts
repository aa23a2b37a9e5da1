import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { Scratch } from '../support/scratch.ts';
import { type ChurnOptions, type ChurnResult, churn } from './churn.ts';
import { failuresOf } from './verdict.ts';

let scratch: Scratch;

beforeEach(() => {
  scratch = new Scratch('/dev/shm');
});

afterEach(() => scratch[Symbol.dispose]());

function run(options: Partial<ChurnOptions>): Promise<ChurnResult> {
  const deviceBytes = 64 * GiB; // sparse: only the log is ever written
  const device = scratch.join('device');
  return churn({ device, seed: 1, cycles: 3000, deviceBytes, ...options });
}

/** `npm run churn` is the same for 200,000 volumes. */
describe('volumes of mixed sizes and layouts that come and go, three nodes using some', () => {
  test('leave no entry, no memory, no splinter of it, where the pool is reclaimed', async () => {
    const result = await run({ reclaimEvery: 50 });
    expect(failuresOf(result)).toEqual([]);
    expect(result.compactions).toBeGreaterThanOrEqual(3000 / 50);
    // As many as live, with what came since the last compaction.
    expect(result.entriesMax).toBeLessThan(2000);
    expect(result.opened).toBeGreaterThan(500);
  });

  test('never find memory full that was given back, with nobody who reclaims in time', async () => {
    const result = await run({});
    // Each compaction comes when all memory was used once: what lives is strewn over all of it.
    expect(failuresOf(result).filter((text) => !text.includes('in one piece'))).toEqual([]);
    expect(result.compactions).toBeGreaterThanOrEqual(4);
    expect(result.freeBytes).toBeGreaterThan(0.6 * 64 * GiB);
  });

  test('never find the log full, where they are so small that it fills first', async () => {
    const result = await run({ sizeMaxBytes: 2 * MiB, cycles: 6000 });
    expect(failuresOf(result)).toEqual([]);
    // An entry each for directory and file, and two for their deletion.
    expect(result.entriesMax).toBeGreaterThan(15_000);
    expect(result.compactions).toBeGreaterThanOrEqual(1);
  });
});
