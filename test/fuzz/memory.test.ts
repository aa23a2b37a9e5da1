import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  HOSTILE_LOGS,
  type HostileLog,
  MEMORY_MAX_MIB,
  replayHostileLogs,
} from './hostile-memory.ts';

const RUN_LIMIT_MS = 300_000;

describe('hostile logs', () => {
  const logs = new Map<string, HostileLog>();

  beforeAll(() => {
    for (const log of replayHostileLogs(HOSTILE_LOGS)) logs.set(log.name, log);
  }, RUN_LIMIT_MS);

  test.each(HOSTILE_LOGS)('%s: is replayed, checked and drawn in 200 MiB', (name) => {
    const log = logs.get(name);
    expect(log?.growthKiB).toBeLessThan(MEMORY_MAX_MIB * 1024);
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
