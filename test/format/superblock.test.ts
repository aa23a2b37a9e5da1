import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isFault } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  FLAG_SECONDARY,
  SUPERBLOCK_BYTES,
  type Superblock,
} from '../../src/format/superblock.ts';
import { caught } from '../support/caught.ts';
import { bitFlips, sealed, superblock, withU64 } from './arbitraries.ts';

const CRC_OFFSET = 96;

const VALID: Superblock = {
  logOffset: 2 * MiB,
  logLengthBytes: 8 * MiB,
  allocUnitBytes: 2 * MiB,
  omfMajor: 2,
  omfMinor: 2,
  fsUuid: 'b0b1b2b3-b4b5-46b7-b8b9-babbbcbdbebf',
  deviceUuid: 'c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf',
  systemUuid: '5f5e5d5c-1111-4222-8333-0123456789ab',
  flags: 1,
  deviceSizeBytes: 4 * GiB,
  deviceName: '/dev/dax0.0',
};
const IMAGE = encodeSuperblock(VALID);

/** VALID with one u64 changed, the crc right again. */
function changed(offset: number, value: bigint): Uint8Array {
  const bytes = withU64(IMAGE, offset, value);
  return offset < CRC_OFFSET ? sealed(bytes, CRC_OFFSET) : bytes;
}

describe('superblock', () => {
  test('round-trips', () => {
    const check = (value: Superblock) => {
      const bytes = encodeSuperblock(value);
      expect(bytes.length).toBe(200);
      expect(decodeSuperblock(bytes)).toEqual(value);
    };
    fc.assert(fc.property(superblock, check));
    check({ ...VALID, deviceName: '\ufeffa name that begins with a byte order mark' });
    check({ ...VALID, deviceName: 'n'.repeat(63) });
  });

  test('with a flipped bit is rejected, or differs in what the crc does not cover', () => {
    const fields: Record<string, number[]> = {};
    for (const { at, bytes } of bitFlips(IMAGE)) {
      let decoded: Superblock;
      try {
        decoded = decodeSuperblock(bytes);
      } catch (error) {
        if (!isFault(error)) throw error;
        const expected = at < 8 ? 'NOT_FAMFS' : 'CORRUPT';
        if (error.code !== expected) throw new Error(`bit of byte ${at}: ${error.code}`);
        continue;
      }
      const names = Object.keys(VALID) as (keyof Superblock)[];
      const differing = names.filter((name) => decoded[name] !== VALID[name]);
      for (const name of [...differing, ...(differing.length === 0 ? ['none'] : [])]) {
        fields[name] = [...(fields[name] ?? []), at];
      }
    }
    const span = (at: number[] | undefined) => [Math.min(...(at ?? [])), Math.max(...(at ?? []))];
    expect(span(fields.flags)).toEqual([104, 107]);
    expect(span(fields.deviceSizeBytes)).toEqual([112, 118]);
    expect(span(fields.deviceName)).toEqual([136, 147]);
    expect(span(fields.none)).toEqual([108, 199]); // pad, unused uuid, what follows the name's NUL
    expect(Object.keys(fields).length).toBe(4);
  });

  test('of a secondary device says how long the log is, which is not on it', () => {
    const secondary = { ...VALID, flags: FLAG_SECONDARY, deviceSizeBytes: 4 * MiB };
    expect(decodeSuperblock(encodeSuperblock(secondary))).toEqual(secondary);
    const primary = { ...secondary, flags: 0 };
    expect(caught(() => decodeSuperblock(encodeSuperblock(primary))).code).toBe('CORRUPT');
  });

  test('rejects a zeroed device as NOT_FAMFS, not as CORRUPT', () => {
    expect(caught(() => decodeSuperblock(new Uint8Array(SUPERBLOCK_BYTES)))).toEqual({
      code: 'NOT_FAMFS',
      message: expect.stringContaining('magic is 0x0, expected 0x87b282ff'),
    });
  });

  test.each([0, 7, 199])('rejects %i bytes of one as NOT_FAMFS', (length) => {
    expect(caught(() => decodeSuperblock(IMAGE.subarray(0, length))).code).toBe('NOT_FAMFS');
  });

  test.each<[string, number, bigint, string, RegExp]>([
    ['another version', 8, 47n, 'UNSUPPORTED', /version 47/],
    ['another major', 40, 3n + (2n << 32n), 'UNSUPPORTED', /OMF major 3/],
    ['an allocation unit of 8 KiB', 32, 8192n, 'UNSUPPORTED', /alloc_unit is 8192/],
    ['a log elsewhere', 16, 4194304n, 'CORRUPT', /the log is at 4194304/],
    ['a log of 4 MiB', 24, 4194304n, 'CORRUPT', /4194304 bytes; expected/],
    ['a log of 9 MiB', 24, 9437184n, 'CORRUPT', /9437184 bytes; expected/],
    ['a log of 2^53', 24, 2n ** 53n, 'CORRUPT', /log_len: found 9007199254740992/],
    ['a log_offset of 2^64 - 1', 16, 2n ** 64n - 1n, 'CORRUPT', /log_offset: found 1844674407/],
    ['an alloc_unit of 2^53', 32, 2n ** 53n, 'CORRUPT', /alloc_unit: found 9007199254740992/],
    ['a device of 2^53', 112, 2n ** 53n, 'CORRUPT', /device size: found 9007199254740992/],
    ['a device that ends in the log', 112, 10485759n, 'CORRUPT', /its log ends at 10485760/],
  ])('rejects %s', (_, offset, value, code, message) => {
    expect(caught(() => decodeSuperblock(changed(offset, value)))).toEqual({
      code,
      message: expect.stringMatching(message),
    });
  });

  test('accepts a later minor version and an allocation unit of 4096', () => {
    expect(decodeSuperblock(changed(40, 2n + (99n << 32n))).omfMinor).toBe(99);
    expect(decodeSuperblock(changed(32, 4096n)).allocUnitBytes).toBe(4096);
  });

  test.each<[string, Partial<Superblock>, RegExp]>([
    ['a name of 64 bytes', { deviceName: 'n'.repeat(64) }, /found 64 bytes, expected at most 63/],
    ['a name of 32 characters, 64 bytes', { deviceName: 'é'.repeat(32) }, /found 64 bytes/],
    ['a uuid that is none', { fsUuid: 'x' }, /fs uuid: found "x"/],
  ])('is not written with %s', (_, change, message) => {
    expect(caught(() => encodeSuperblock({ ...VALID, ...change }))).toEqual({
      code: 'INVALID',
      message: expect.stringMatching(message),
    });
  });
});
