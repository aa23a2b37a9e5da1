import fc from 'fast-check';

/** Runs of a property: `usual`, or what FAMFS_RUNS says. */
export function runsOr(usual: number): number {
  return Number(process.env.FAMFS_RUNS ?? usual);
}

/** Jest's limit for so many runs; far above what they take. */
export function timeoutMs(runs: number): number {
  return Math.max(300_000, runs * 100);
}

/**
 * Checks an asynchronous property. A failure prints seed and path; to run just that case again:
 * FAMFS_SEED=<seed> FAMFS_PATH=<path> npx jest <file>. FAMFS_SEED alone repeats all the runs.
 */
export async function holds<T>(
  arbitrary: fc.Arbitrary<T>,
  usual: number,
  predicate: (value: T) => Promise<void>,
): Promise<void> {
  const { FAMFS_SEED: seed, FAMFS_PATH: path } = process.env;
  await fc.assert(fc.asyncProperty(arbitrary, predicate), {
    numRuns: runsOr(usual),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path, endOnFailure: true }),
  });
}
