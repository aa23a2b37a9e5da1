import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MiB } from '../../src/base/numbers.ts';
import {
  decodeLogHeader,
  encodeLogHeader,
  entryOffset,
  logCapacity,
} from '../../src/format/log-header.ts';
import { caught } from '../support/caught.ts';
import { bitFlips, logHeader, sealed, withU64 } from './arbitraries.ts';

const CRC_OFFSET = 24;
const VALID = { logLengthBytes: 8 * MiB, lastIndex: 15419, nextSeqnum: 8, nextIndex: 8 };
const IMAGE = encodeLogHeader(VALID);

describe('log header', () => {
  test('round-trips', () => {
    fc.assert(
      fc.property(logHeader, (value) => {
        const bytes = encodeLogHeader(value);
        expect(bytes.length).toBe(48);
        expect(decodeLogHeader(bytes)).toEqual(value);
      }),
    );
  });

  test('with a flipped bit is CORRUPT, but for the two words that every append changes', () => {
    for (const { at, bytes } of bitFlips(IMAGE)) {
      const { nextSeqnum, nextIndex } = VALID;
      try {
        const decoded = decodeLogHeader(bytes);
        const kept = at < 40 ? { nextIndex } : { nextSeqnum };
        expect(decoded).toMatchObject({ logLengthBytes: 8 * MiB, lastIndex: 15419, ...kept });
        if (at < 32) throw new Error(`decodes with a flipped bit in byte ${at}`);
      } catch (error) {
        expect(error).toMatchObject({ code: 'CORRUPT' });
      }
    }
  });

  test.each<[string, number, bigint, RegExp]>([
    ['a magic of zero', 0, 0n, /magic is 0x0, expected 0xbadcafef00d/],
    ['a last_index that its length denies', 16, 15420n, /last_index is 15420.*gives 15419/],
    ['a length of 2^53', 8, 2n ** 53n, /length: found 9007199254740992/],
    ['a last_index of 2^64 - 1', 16, 2n ** 64n - 1n, /last_index: found 18446744073709551615/],
    ['a next_index beyond the log', 40, 15421n, /next_index is 15421, the log holds 15420/],
    ['a next_index of 2^53', 40, 2n ** 53n, /next_index: found 9007199254740992/],
    ['a next_seqnum of 2^53', 32, 2n ** 53n, /next_seqnum: found 9007199254740992/],
  ])('rejects %s', (_, offset, value, message) => {
    const bytes = sealed(withU64(IMAGE, offset, value), CRC_OFFSET);
    expect(caught(() => decodeLogHeader(bytes))).toEqual({
      code: 'CORRUPT',
      message: expect.stringMatching(message),
    });
  });

  test('accepts the next_index of a full log', () => {
    expect(decodeLogHeader(withU64(IMAGE, 40, 15420n)).nextIndex).toBe(15420);
  });

  test.each([
    [8, 15_420],
    [16, 30_840],
    [256, 493_447],
  ])('of a log of %i MiB leaves room for %i entries', (length, capacity) => {
    expect(logCapacity(length * MiB)).toBe(capacity);
    expect(entryOffset(capacity)).toBeLessThanOrEqual(length * MiB);
    expect(entryOffset(capacity + 1)).toBeGreaterThan(length * MiB);
  });
});
