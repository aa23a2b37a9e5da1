import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeInodes, encodeInodes } from '../../src/kubernetes/held-inodes.ts';

describe('inode numbers in an object', () => {
  test('come back as they were given, in order', () => {
    const inodes = fc.uniqueArray(fc.integer({ min: 16, max: 2 ** 52 }));
    fc.assert(
      fc.property(inodes, (given) => {
        const sorted = [...given].sort((one, other) => one - other);
        expect(decodeInodes(encodeInodes(given))).toEqual(sorted);
      }),
    );
  });

  test('of 4096 files take 20 KB at most where they are side by side', () => {
    const side = Array.from({ length: 4096 }, (_, at) => 2576 + 512 * at);
    expect(encodeInodes(side).length).toBeLessThan(20_000);
  });

  test.each(['.', 'A', '1..2', '-1', '1.', ' ', 'zzzzzzzzzzzz', 'zzzzzzzzzzz'])(
    'are not made of "%s", which is unknown and not nothing',
    (text) => {
      expect(decodeInodes(text)).toBeUndefined();
    },
  );
});
