import { describe, expect, test } from '@jest/globals';
import {
  decodePublishContext,
  decodeVolumeContext,
  encodePublishContext,
  encodeVolumeContext,
} from '../../src/csi/volume-context.ts';

const context = {
  pool: 'fabric0',
  fsUuid: '00000000-0000-4000-8000-000000000001',
  path: 'pvc-1',
  logPosition: 7,
  logGeneration: 65536,
  dataPath: 'any',
} as const;

describe('volume context', () => {
  test('comes back as it was given, in strings', () => {
    const encoded = encodeVolumeContext(context);
    expect(encoded).toEqual({ ...context, logPosition: '7', logGeneration: '65536' });
    expect(decodeVolumeContext('pvc-1', encoded)).toEqual(context);
  });

  test('may be short in a PersistentVolume made by hand', () => {
    expect(decodeVolumeContext('v', { pool: 'p' })).toEqual({
      pool: 'p',
      fsUuid: '',
      path: 'v',
      logPosition: 0,
      logGeneration: 0,
      dataPath: 'dax',
    });
  });

  test('of a release before logs were rewritten is of generation 0', () => {
    const { logGeneration: _, ...old } = encodeVolumeContext(context);
    expect(decodeVolumeContext('pvc-1', old)).toEqual({ ...context, logGeneration: 0 });
  });

  test('has pool and directory from a static handle, which it may repeat and not deny', () => {
    const expected = {
      ...{ pool: 'p', fsUuid: '', path: 'sets/faces', dataPath: 'any' },
      ...{ logPosition: 0, logGeneration: 0 },
    };
    const handle = 'p/sets/faces';
    expect(decodeVolumeContext(handle, { dataPath: 'any' })).toEqual(expected);
    const again = { dataPath: 'any', pool: 'p', path: 'sets/faces' };
    expect(decodeVolumeContext(handle, again)).toEqual(expected);
    for (const [key, found, wanted] of [
      ['pool', 'q', 'p'],
      ['path', 'sets', 'sets/faces'],
    ] as const) {
      expect(() => decodeVolumeContext(handle, { [key]: found })).toThrow(
        expect.objectContaining({
          code: 'INVALID',
          message:
            `volume_context.${key}: found "${found}", the volume's handle says "${wanted}"; ` +
            'leave it out',
        }),
      );
    }
  });

  test.each([
    ['pool', { pool: '' }],
    ['logPosition', { logPosition: '-1' }],
    ['logPosition', { logPosition: '9007199254740992' }],
    ['logGeneration', { logGeneration: '1e3' }],
    ['dataPath', { dataPath: 'fast' }],
    ['path', { path: '../etc' }],
    ['path', { path: '/etc' }],
    ['path', { path: 'a/./b' }],
    ['path', { path: '' }],
  ])('is refused for a bad %s: %j', (key, change) => {
    const bad = { ...encodeVolumeContext(context), ...change };
    expect(() => decodeVolumeContext('v', bad)).toThrow(
      expect.objectContaining({
        code: 'INVALID',
        message: expect.stringContaining(`volume_context.${key}`),
      }),
    );
  });
});

describe('publish context', () => {
  test.each([true, false])('comes back as it was given: readonly %s', (readonly) => {
    expect(decodePublishContext(encodePublishContext({ readonly }))).toEqual({ readonly });
  });

  test('is writable when there is none, and INVALID when it is not ours', () => {
    expect(decodePublishContext({})).toEqual({ readonly: false });
    expect(() => decodePublishContext({ readonly: 'maybe' })).toThrow('publish_context.readonly');
  });
});
