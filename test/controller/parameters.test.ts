import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { parseParameters } from '../../src/controller/parameters.ts';
import { isVolumeId, volumeIdOf } from '../../src/controller/volume-id.ts';

describe('StorageClass parameters', () => {
  test('have defaults that any pod can use', () => {
    expect(parseParameters({})).toEqual({
      pool: undefined,
      dataPath: 'dax',
      fileName: 'data',
      mode: 0o666,
      uid: 0,
      gid: 0,
      layout: { strips: 0 },
    });
  });

  test.each(['0', '1'])('lay the file out in one piece for %s strips', (strips) => {
    expect(parseParameters({ strips }).layout).toEqual({ strips: 0 });
  });

  test('spread a file over strips, in chunks of 2 MiB unless told otherwise', () => {
    const chunkBytes = 2 * MiB;
    expect(parseParameters({ strips: '16' }).layout).toEqual({
      strips: 16,
      buckets: 16,
      chunkBytes,
    });
    for (const chunkSize of ['8Mi', '8MiB', '8M', String(8 * MiB)]) {
      expect(parseParameters({ strips: '2', chunkSize }).layout).toMatchObject({
        chunkBytes: 8 * MiB,
      });
    }
  });

  test.each([
    ['an empty pool', { pool: '' }, 'parameters.pool: found "", expected the name of a pool'],
    ['a data path', { dataPath: 'fast' }, 'parameters.dataPath: found "fast", expected dax or any'],
    [
      'a file name with a path',
      { fileName: 'a/b' },
      'parameters.fileName: found "a/b", expected a',
    ],
    ['the parent', { fileName: '..' }, 'parameters.fileName: found "..", expected'],
    ['a hidden file', { fileName: '.meta' }, 'parameters.fileName: found ".meta", expected'],
    ['an empty file name', { fileName: '' }, 'parameters.fileName: found "", expected'],
    ['39 bytes', { fileName: `${'é'.repeat(19)}x` }, 'expected at most 38 bytes'],
    [
      'a mode in decimal',
      { mode: '999' },
      'parameters.mode: found "999", expected permission bits',
    ],
    ['setuid', { mode: '4755' }, 'parameters.mode: found "4755"'],
    ['a user by name', { uid: 'root' }, 'parameters.uid: found "root", expected a number'],
    ['the id that means none', { gid: '4294967295' }, 'parameters.gid: found "4294967295"'],
    ['17 strips', { strips: '17' }, 'parameters.strips: found "17", expected'],
    [
      'a chunk without strips',
      { chunkSize: '4Mi' },
      'parameters.chunkSize: found "4Mi" for a cont',
    ],
    ['a small chunk', { strips: '2', chunkSize: '1Mi' }, 'expected a power of two of at least 2'],
    ['an odd chunk', { strips: '2', chunkSize: '6Mi' }, 'expected a power of two of at least 2'],
    ['no size', { strips: '2', chunkSize: 'big' }, 'parameters.chunkSize: found "big", expected'],
    ['an unknown key', { Pool: 'a' }, 'parameters.Pool: unknown, expected one of pool, dataPath'],
    [
      'unknown metadata',
      { 'csi.storage.k8s.io/other': 'a' },
      'parameters.csi.storage.k8s.io/other: unknown',
    ],
  ])('refuse %s', (_, parameters, message) => {
    expect(() => parseParameters(parameters)).toThrow(
      expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(message) }),
    );
  });
});

describe('volume id', () => {
  test.each(['pvc-0d3e', 'a', 'A.b_c-9', 'x'.repeat(40), '-'])('is the name %s itself', (name) => {
    expect(volumeIdOf(name)).toBe(name);
  });

  test.each(['.', '..', '.a', 'a/b', '../x', 'a b', 'x'.repeat(41), 'é', 'a\n', ''])(
    'is a hash for %j',
    (name) => {
      expect(volumeIdOf(name)).toMatch(/^h-[0-9a-f]{38}$/);
      expect(isVolumeId(volumeIdOf(name))).toBe(true);
      expect(isVolumeId(name)).toBe(false);
    },
  );

  test('tells apart long names that begin alike', () => {
    expect(volumeIdOf(`${'x'.repeat(120)}1`)).not.toBe(volumeIdOf(`${'x'.repeat(120)}2`));
  });
});
