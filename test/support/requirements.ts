import { accessSync, constants, readFileSync } from 'node:fs';
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

/** Root of the machine itself, who can mount devices and become anybody. */
export const machineRoot: Requirement = () => {
  const [, outside, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  const all = process.getuid?.() === 0 && outside === '0' && Number(count) === 0xffff_ffff;
  return all ? undefined : 'only root, outside of any user namespace, can set it up';
};

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
