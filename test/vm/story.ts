import { test } from '@jest/globals';

let brokenAt: string | undefined;

/**
 * A test that stands on those before it: once one has failed, the rest say so instead of failing
 * for reasons of their own. `run` may return what it saw, for the one line that it prints.
 */
export function step(name: string, run: () => Promise<string | undefined>): void {
  test(name, async () => {
    if (brokenAt !== undefined) throw new Error(`not reached: "${brokenAt}" failed`);
    const begin = performance.now();
    try {
      const seen = await run();
      const seconds = ((performance.now() - begin) / 1000).toFixed(1).padStart(6);
      process.stderr.write(`ok ${seconds} s  ${name}${seen === undefined ? '' : `: ${seen}`}\n`);
    } catch (error) {
      brokenAt = name;
      process.stderr.write(`FAILED       ${name}\n`);
      throw error;
    }
  });
}
