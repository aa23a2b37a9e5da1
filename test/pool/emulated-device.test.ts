import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { caught } from '../support/caught.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-emulated-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('emulated device', () => {
  test('is a sparse file of zeroes that only its owner reads', () => {
    const path = join(folder, 'fabric');
    createEmulatedDevice(path, 2 ** 36);
    const { size, blocks, mode } = statSync(path);
    expect([size, mode & 0o777]).toEqual([2 ** 36, 0o600]);
    expect(blocks * 512).toBeLessThan(2 ** 20);
  });

  test('never takes the place of a file that is there', () => {
    const path = join(folder, 'fabric');
    createEmulatedDevice(path, 4096);
    expect(caught(() => createEmulatedDevice(path, 8192))).toEqual({
      code: 'EXISTS',
      message: `${path}: exists already; give another path or remove it first`,
    });
    expect(readFileSync(path)).toEqual(Buffer.alloc(4096));
  });

  test.each<[string, string, number]>([
    ['a folder that is missing', 'no/fabric', 4096],
    ['a size that no file can have', 'fabric', Number.MAX_SAFE_INTEGER],
  ])('is IO for %s, and leaves nothing', (_, name, sizeBytes) => {
    const path = join(folder, name);
    expect(caught(() => createEmulatedDevice(path, sizeBytes))).toEqual({
      code: 'IO',
      message: expect.stringMatching(/could not be made/),
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});
