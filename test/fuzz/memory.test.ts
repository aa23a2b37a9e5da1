import { beforeAll, describe, expect, test } from '@jest/globals';
import { HEAP_MAX_MIB, type HostileLog, replayHostileLogs } from './hostile-memory.ts';

const NAMES = [
  'a full log of unknown types',
  'a full log of rejected files with ugly paths',
  'a full log of files in sixteen pieces',
  'a full log of directories made and deleted',
  'a full log of rejected files in sixteen pieces',
  'a log of 64 MiB of duplicates and bad paths',
  'a log of 1 GiB of garbage',
];
const RUN_LIMIT_MS = 300_000;

describe('hostile logs', () => {
  const logs = new Map<string, HostileLog>();

  beforeAll(() => {
    for (const log of replayHostileLogs(NAMES)) logs.set(log.name, log);
  }, RUN_LIMIT_MS);

  test.each(NAMES)('%s: is replayed, checked and drawn in 200 MiB', (name) => {
    const log = logs.get(name);
    expect(log?.growthKiB).toBeLessThan(HEAP_MAX_MIB * 1024);
    expect(log?.reportBytes).toBeLessThan(2 ** 20);
    expect(log?.lines).toBeLessThan(80);
    expect(log?.kept).toBeLessThanOrEqual(1000);
  });

  test('are counted to the last entry, though only 1000 problems are kept', () => {
    expect(logs.get('a full log of unknown types')).toMatchObject({
      position: 15_420,
      applied: 0,
      problems: 15_420,
      kept: 1000,
    });
    expect(logs.get('a full log of files in sixteen pieces')).toMatchObject({
      position: 15_420,
      applied: 15_420,
      problems: 0,
    });
  });

  test('of garbage are left at the first entry', () => {
    expect(logs.get('a log of 1 GiB of garbage')).toMatchObject({ position: 0, problems: 2 });
  });
});
