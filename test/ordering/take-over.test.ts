import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { entryOffset, LOG_OFFSET } from '../../src/format/log-header.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { Pool } from '../../src/pool/pool.ts';
import { ImageFile } from '../support/vectors.ts';

const ENTRIES = 8; // of b_tree_8g

afterEach(() => void jest.restoreAllMocks());

function flushesOfOpen(writable: boolean): unknown[][] {
  const flush = jest.spyOn(Mapping.prototype, 'flush');
  using image = new ImageFile('b_tree_8g');
  using pool = Pool.open({ name: 'fabric0', device: image.path, writable });
  expect(pool.replica.position).toBe(ENTRIES);
  return flush.mock.calls;
}

/** What a flush is for is proven in log-protocol.test.ts; here, that the product does it. */
describe('a pool that is opened', () => {
  test('to write flushes the part of its log that is free', () => {
    const tail = entryOffset(ENTRIES);
    expect(flushesOfOpen(true)).toEqual([[LOG_OFFSET + tail, 8 * MiB - tail]]);
  });

  test('to read flushes nothing', () => {
    expect(flushesOfOpen(false)).toEqual([]);
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
