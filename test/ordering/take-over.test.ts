import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { Pool, type PoolOptions } from '../../src/pool/pool.ts';
import { ImageFile, readFacts } from '../support/vectors.ts';

afterEach(() => void jest.restoreAllMocks());

function flushesOfOpen(image: ImageFile, options: Partial<PoolOptions>): unknown[][] {
  const flush = jest.spyOn(Mapping.prototype, 'flush');
  using pool = Pool.open({ name: 'fabric0', device: image.path, writable: true, ...options });
  expect(pool.replica.position).toBe(8); // of b_tree_8g
  const calls = [...flush.mock.calls];
  flush.mockRestore();
  return calls;
}

/** What a flush is for is proven in owners.test.ts; here, that the product does it. */
describe('a pool that is opened', () => {
  test('to write flushes log and control area, until it is known to be closed', async () => {
    using image = new ImageFile('b_tree_8g');
    const systemUuid = readFacts('b_tree_8g').superblock.system_uuid;
    const area = [[MiB, MiB + 8 * MiB]];
    expect(flushesOfOpen(image, { systemUuid })).toEqual(area);
    {
      using pool = Pool.open({ name: 'p', device: image.path, writable: true, systemUuid });
      await pool.append(() => ({ entries: [], result: undefined }));
    }
    expect(flushesOfOpen(image, { systemUuid })).toEqual([]);
  });

  test('to read, or to serve files, flushes nothing', () => {
    using image = new ImageFile('b_tree_8g');
    expect(flushesOfOpen(image, { writable: false })).toEqual([]);
    expect(flushesOfOpen(image, {})).toEqual([]);
  });
});

test("a flush leaves the holes of a host's own file as they are", () => {
  const folder = mkdtempSync('/dev/shm/famfs-flush-');
  try {
    const path = join(folder, 'sparse');
    writeFileSync(path, '');
    truncateSync(path, 64 * MiB);
    using memory = Mapping.open(path, { writable: true });
    memory.flush(0, 64 * MiB);
    expect(statSync(path).blocks).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
