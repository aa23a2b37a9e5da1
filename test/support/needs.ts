import { spawnSync } from 'node:child_process';
import { test } from '@jest/globals';

type Body = () => void | Promise<void>;

/**
 * `test`, for a machine that lacks nothing. Where something is missing, said in `missing`, the test
 * is skipped and its name tells; in CI (`CI=true`), which installs it, that is a failure.
 */
export function testUnless(missing: string | undefined): (name: string, body: Body) => void {
  if (missing === undefined) return (name, body) => test(name, body);
  if (process.env.CI !== 'true') return (name, body) => test.skip(`${name}: ${missing}`, body);
  return (name) =>
    test(name, () => {
      throw new Error(`${missing}; CI has to have it`);
    });
}

/** Undefined where the command is on the PATH, else what to say of it. */
export function missingCommand(name: string): string | undefined {
  return spawnSync(name, ['--version']).error === undefined ? undefined : `${name} is missing`;
}
