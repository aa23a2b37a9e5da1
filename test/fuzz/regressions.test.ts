import { describe, expect, test } from '@jest/globals';
import { parseParameters } from '../../src/controller/parameters.ts';
import { decodeVolumeContext } from '../../src/csi/volume-context.ts';
import { encodeLogEntry } from '../../src/format/log-entry.ts';
import { decodeLogHeader } from '../../src/format/log-header.ts';
import { Replica } from '../../src/format/replica.ts';
import { decodeSuperblock } from '../../src/format/superblock.ts';
import { decodeRequest, faultOf, parseLine } from '../../src/mounter/protocol.ts';
import { caught } from '../support/caught.ts';
import { makeSuperblock, UNIT_BYTES } from './media.ts';

/*
 * What the fuzzer found, each as the least case that showed it.
 */

describe('log header', () => {
  test('of too few bytes is CORRUPT', () => {
    // DataView threw a RangeError: no Fault, so whoever asked saw a bug of ours.
    for (const length of [0, 7, 8, 40, 47]) {
      const { code, message } = caught(() => decodeLogHeader(new Uint8Array(length)));
      expect([code, message]).toEqual([
        'CORRUPT',
        `log header: found ${length} bytes, expected 48`,
      ]);
    }
  });
});

describe('secondary devices', () => {
  const uuids = ['a', 'b', 'c'].map((digit) => `20212223-2425-4627-a829-2a2b2c2d2e2${digit}`);
  const deviceBytes = 2 ** 40;
  const superblock = decodeSuperblock(
    makeSuperblock({ logBytes: 2 ** 23, unitBytes: UNIT_BYTES, deviceBytes }),
  );

  function replayed(sizes: readonly number[]): Replica {
    const replica = new Replica(superblock);
    sizes.forEach((sizeBytes, at) => {
      const device = { sizeBytes, deviceUuid: uuids[at] ?? '', devindex: at + 1 };
      replica.apply(encodeLogEntry(at, { type: 'add-daxdev', ...device }));
    });
    return replica;
  }

  test('that make a pool larger than numbers can count are rejected', () => {
    // Each size was below 2^53 and so accepted; their sum was rounded, and free, allocated and
    // total no longer agreed: statfs and check told sizes that were off.
    const replica = replayed([2 ** 53 - 1, 2 ** 52, 2 ** 52]);
    expect(replica.problems.map(({ index, code }) => [index, code])).toEqual([
      [0, 'DAXDEV_SIZE'],
      [1, 'DAXDEV_INDEX'],
      [2, 'DAXDEV_INDEX'],
    ]);
    expect(replica.space.freeBytes).toBe(deviceBytes - 5 * UNIT_BYTES);
  });

  test('are accepted up to the last byte that can be counted', () => {
    const most = Number.MAX_SAFE_INTEGER - deviceBytes;
    expect(replayed([most]).problems).toEqual([]);
    expect(replayed([most]).space.freeBytes).toBe(most - UNIT_BYTES + deviceBytes - 5 * UNIT_BYTES);
    expect(replayed([most + 1]).problems).toMatchObject([{ index: 0, code: 'DAXDEV_SIZE' }]);
  });
});

describe('volume context', () => {
  test.each(['.meta', '.meta/.log', 'a\0b', 'x'.repeat(80)])('refuses the path %j', (path) => {
    // `.meta` of a pool's mount is its superblock and log: a PersistentVolume made by hand with
    // that path, or whose volume id is that, would have given them to a pod.
    const fault = { code: 'INVALID', message: expect.stringContaining('volume_context.path') };
    expect(caught(() => decodeVolumeContext('pvc-1', { pool: 'fast', path }))).toMatchObject(fault);
    expect(caught(() => decodeVolumeContext(path, { pool: 'fast' }))).toMatchObject(fault);
  });

  test('takes paths that only look like it', () => {
    for (const path of ['.metadata', 'a/.meta', 'x'.repeat(79)]) {
      expect(decodeVolumeContext('pvc-1', { pool: 'fast', path }).path).toBe(path);
    }
  });
});

describe('parameters', () => {
  test.each(['a\0b', 'a\u001b[2Jb', 'a\u007f', 'a\u0085', '\u009b'])(
    'refuse the file name %j',
    (fileName) => {
      // Only line ends and tabs were refused: NUL failed later, as a path that no log may hold,
      // and escape sequences became names that `ls` in a pod sends to a terminal.
      expect(caught(() => parseParameters({ fileName }))).toMatchObject({
        code: 'INVALID',
        message: expect.stringContaining('parameters.fileName'),
      });
    },
  );
});

describe("the mounter's socket", () => {
  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty', 'NO_SUCH_CODE'])(
    'makes IO of the code %s that a peer reports',
    (code) => {
      // `code in CODES` also found what every object inherits; such a code has no gRPC status.
      expect(faultOf({ code, message: 'm' }).code).toBe('IO');
    },
  );

  test('calls a line that is no JSON INVALID, not a bug of ours', () => {
    // It was answered INTERNAL, and logged as an error with a stack.
    expect(caught(() => parseLine('{"v":1,')).code).toBe('INVALID');
  });

  test('refuses a version that is a deep list with a short message', () => {
    // It was printed into the message: JSON.stringify overflowed the stack.
    const message = parseLine(`{"v":${'['.repeat(9000)}${']'.repeat(9000)}}`);
    expect(caught(() => decodeRequest(message))).toEqual({
      code: 'UNSUPPORTED',
      message:
        'mounter protocol: found version one of type object, expected 1; ' +
        'run node plugin and mounter of one release',
    });
  });
});
