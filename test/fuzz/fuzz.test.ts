import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { campaign, describeRun, type RunResult } from './campaign.ts';

/** A gate must not fail by chance: `npm run fuzz` is where new seeds are tried. */
const SEED = Number(process.env.FAMFS_FUZZ_SEED ?? 20260);
const OPTIONS = { seed: SEED, first: 0, cases: 20_000 };
const FORMAT = join(__dirname, '../../src/format');
const RUN_LIMIT_MS = 300_000;

/** Codes of faults and problems: every literal in capitals, but for the assertions' own. */
function codesOfTheFormat(): string[] {
  const codes = readdirSync(FORMAT).flatMap((name) => {
    const text = readFileSync(join(FORMAT, name), 'utf8');
    return [...text.matchAll(/'([A-Z][A-Z_]+)'/g)].map((match) => match[1] ?? '');
  });
  return [...new Set(codes)].filter((code) => code !== 'INTERNAL').sort();
}

describe('hostile bytes', () => {
  let result: RunResult;

  beforeAll(async () => {
    result = await campaign(OPTIONS);
  }, RUN_LIMIT_MS);

  test('break no promise in 20,000 cases', () => {
    expect(result.failure === undefined ? [] : describeRun(OPTIONS, result)).toEqual([]);
    expect(result.cases).toBe(OPTIONS.cases);
  });

  test('reach every code of the format', () => {
    const reached = new Set(Object.keys(result.counts).map((key) => key.replace(/^.*: /, '')));
    const codes = codesOfTheFormat();
    expect(codes).toEqual(expect.arrayContaining(['CORRUPT', 'EXTENT_OVERLAP', 'NO_SPACE']));
    expect(codes.filter((code) => !reached.has(code))).toEqual([]);
  });

  test('reach deep states too: files and directories that live, on several devices', () => {
    for (const state of ['files', 'interleaved files', 'directories', 'removed', 'devices']) {
      expect(result.counts[`reached: ${state}`] ?? 0).toBeGreaterThan(1000);
    }
  });
});
