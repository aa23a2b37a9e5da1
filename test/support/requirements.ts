import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { describe, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';

/** What a test needs of the machine: undefined where it is there, else why not and what to do. */
export type Requirement = () => string | undefined;

export const fuse: Requirement = () => {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return `/dev/fuse cannot be opened (${codeOf(error)}): modprobe fuse, and run as root`;
  }
};

/** A command that is run with these arguments to see whether it is there. */
export function command(name: string, ...args: string[]): Requirement {
  return () => {
    const { error, status } = spawnSync(name, args);
    return status === 0 ? undefined : `${name} is missing (${codeOf(error) ?? `exit ${status}`})`;
  };
}

/**
 * `describe` where everything that is required is there. Where something is missing its tests are
 * skipped, which standard error says; with CI=true they fail, so that no CI passes without them.
 */
export function describeWith(
  requirements: readonly Requirement[],
  name: string,
  body: () => void,
): void {
  const missing = requirements.map((look) => look()).filter((reason) => reason !== undefined);
  if (missing.length === 0) {
    describe(name, body);
  } else if (process.env.CI === 'true') {
    describe(name, () => {
      test('has what it needs, which CI must have', () => {
        throw new Error(missing.join('; '));
      });
    });
  } else {
    process.stderr.write(`\n*** SKIPPED: ${name}: ${missing.join('; ')}\n\n`);
    describe.skip(name, body);
  }
}
