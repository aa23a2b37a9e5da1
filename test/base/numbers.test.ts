import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { codeOf } from '../../src/base/errors.ts';
import { layout } from '../../src/base/layout.ts';
import {
  formatSize,
  getU64,
  getU64OrInfinity,
  isPowerOfTwo,
  parseSize,
  setU64,
} from '../../src/base/numbers.ts';
import { formatUuid, parseUuid } from '../../src/base/uuid.ts';

const caught = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('numbers', () => {
  test('round-trip every safe integer as a little-endian u64', () => {
    const view = new DataView(new ArrayBuffer(8));
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        setU64(view, 0, value);
        expect(view.getBigUint64(0, true)).toBe(BigInt(value));
        expect(getU64(view, 0, 'x')).toBe(value);
      }),
    );
  });

  test('refuse a u64 above 2^53 − 1 as CORRUPT, and name the field', () => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, 2n ** 53n, true);
    const error = caught(() => getU64(view, 0, 'log_len'));
    expect(codeOf(error)).toBe('CORRUPT');
    expect(String(error)).toContain('log_len: found 9007199254740992');
    expect(getU64OrInfinity(view, 0)).toBe(Number.POSITIVE_INFINITY);
  });

  test('tell powers of two from their neighbours', () => {
    for (let power = 0; power < 53; power++) expect(isPowerOfTwo(2 ** power)).toBe(true);
    for (const value of [0, -1, 3, 2 ** 52 + 1, 2 ** 53 - 1, 0.5]) {
      expect(isPowerOfTwo(value)).toBe(false);
    }
  });

  test('parse sizes as users write them, and refuse the rest by name', () => {
    expect(parseSize('--size', '4096')).toBe(4096);
    expect(parseSize('--size', '64K')).toBe(65536);
    expect(parseSize('--size', '8MiB')).toBe(8388608);
    expect(parseSize('--size', '1g')).toBe(1073741824);
    for (const text of ['', '-1', '1.5G', '10X', '99999999T', '0x10']) {
      const error = caught(() => parseSize('--size', text));
      expect(codeOf(error)).toBe('INVALID');
      expect(String(error)).toContain(`--size: found "${text}"`);
    }
  });

  test('print sizes for people', () => {
    expect(formatSize(512)).toBe('512 B');
    expect(formatSize(1536)).toBe('1.5 KiB');
    expect(formatSize(2 ** 30)).toBe('1 GiB');
  });
});

describe('uuid', () => {
  test('round-trips in RFC 4122 text order', () => {
    const text = 'b0b1b2b3-b4b5-46b7-b8b9-babbbcbdbebf';
    const bytes = parseUuid('uuid', text);
    expect(bytes[0]).toBe(0xb0);
    expect(bytes[15]).toBe(0xbf);
    expect(formatUuid(bytes)).toBe(text);
  });

  test('refuses anything else by name', () => {
    const error = caught(() => parseUuid('--fs-uuid', 'b0b1'));
    expect(codeOf(error)).toBe('INVALID');
    expect(String(error)).toContain('--fs-uuid: found "b0b1"');
  });
});

describe('layout', () => {
  test('gives the offsets of a struct that its fields tile', () => {
    expect(layout('pair', 12, { a: [0, 8], b: [8, 4] })).toEqual({ size: 12, a: 0, b: 8 });
  });

  test('refuses a gap, an overlap and a wrong end when it is loaded', () => {
    expect(() => layout('gap', 12, { a: [0, 4], b: [8, 4] })).toThrow('gap.b is at 8+4');
    expect(() => layout('overlap', 8, { a: [0, 8], b: [4, 4] })).toThrow('overlap.b is at 4+4');
    expect(() => layout('short', 16, { a: [0, 8] })).toThrow('short ends at 8, expected 16');
  });
});
