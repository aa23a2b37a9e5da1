import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { configuredPools, parsePools, readPoolsFile } from '../../src/cli/pools-file.ts';
import { caught } from '../support/caught.ts';
import { Scratch } from '../support/scratch.ts';

const UUID = '0a1b2c3d-0000-4000-8000-00000000ABCD';
const pool = (name: string, path: string) => ({ name, devices: [{ path }] });
const parse = (value: unknown) => parsePools('--config F', JSON.stringify(value));
const refusal = (value: unknown) => caught(() => parse(value));

describe('the file of pools', () => {
  test('gives the least that it may say its defaults', () => {
    expect(parse({ pools: [pool('fast', '/dev/dax0.0')] })).toEqual([
      {
        name: 'fast',
        devices: ['/dev/dax0.0'],
        format: 'never',
        dataPath: 'auto',
        emulated: undefined,
      },
    ]);
  });

  test('takes several devices, by path and by uuid, and an emulated one', () => {
    const devices = [{ path: '/dev//dax0.0' }, { uuid: UUID }];
    const emulated = { sizeBytes: 64 * MiB, logSizeBytes: 16 * MiB };
    const pools = [
      { name: 'a', devices, format: 'ifBlank', dataPath: 'dax' },
      { ...pool('b', '/dev/shm/b'), emulated },
    ];
    expect(parse({ pools })).toEqual([
      {
        name: 'a',
        devices: ['/dev/dax0.0', `uuid:${UUID.toLowerCase()}`],
        format: 'ifBlank',
        dataPath: 'dax',
        emulated: undefined,
      },
      { name: 'b', devices: ['/dev/shm/b'], format: 'never', dataPath: 'auto', emulated },
    ]);
  });

  const good = pool('a', '/dev/dax0.0');
  const with_ = (more: object) => ({ pools: [good, { ...pool('b', '/dev/dax1.0'), ...more }] });
  const withEmulated = (emulated: object) => with_({ emulated });

  test.each<[string, unknown, string]>([
    ['a list', [], 'the file: found [], expected '],
    ['no pools', {}, 'pools: missing, expected a list of pools'],
    ['pools that are no list', { pools: 'a' }, 'pools: found "a", expected a list of pools'],
    ['an empty list of pools', { pools: [] }, 'pools: found [], expected at least one pool'],
    ['a key beside pools', { pools: [good], pool: 1 }, 'pool: unknown; '],
    ['an unknown key of a pool', with_({ colour: 'red' }), 'pools[1].colour: unknown; '],
    ['a pool without name', { pools: [{ devices: good.devices }] }, 'pools[0].name: missing, '],
    ['a name with a capital', with_({ name: 'B' }), 'pools[1].name: found "B", expected at most'],
    ['a name that ends with a dash', with_({ name: 'b-' }), 'pools[1].name: found "b-", '],
    ['a name of 41 letters', with_({ name: 'b'.repeat(41) }), 'pools[1].name: found "bb'],
    [
      'a name twice',
      with_({ name: 'a' }),
      'pools[1].name: "a" is given twice (also pools[0].name)',
    ],
    [
      'a pool without devices',
      { pools: [{ name: 'a' }] },
      'pools[0].devices: missing, expected at',
    ],
    ['an empty list of devices', with_({ devices: [] }), 'pools[1].devices'],
    [
      'a device that is text',
      with_({ devices: ['/dev/dax1.0'] }),
      'pools[1].devices[0]: found "/d',
    ],
    [
      'a device of nothing',
      with_({ devices: [{}] }),
      'pools[1].devices[0]: found {}, expected eith',
    ],
    [
      'a device by path and uuid',
      with_({ devices: [{ path: '/dev/dax1.0', uuid: UUID }] }),
      'pools[1].devices[0]: found {"path":"/dev/dax1.0","uuid"',
    ],
    [
      'an unknown key of a device',
      with_({ devices: [{ path: '/dev/dax1.0', node: 1 }] }),
      'pools[1].devices[0].node: unknown; ',
    ],
    [
      'a relative path',
      with_({ devices: [{ path: 'dax1.0' }] }),
      'pools[1].devices[0].path: found "dax1.0", expected an absolute path',
    ],
    [
      'a path that goes up',
      with_({ devices: [{ path: '/dev/../dax1.0' }] }),
      'pools[1].devices[0].path: found "/dev/../dax1.0", expected an absolute path without',
    ],
    [
      'a uuid that is none',
      with_({ devices: [{ uuid: 'x' }] }),
      'pools[1].devices[0].uuid: found "x", expected a uuid',
    ],
    [
      'a device of two pools, written in two ways',
      with_({ devices: [{ path: '/dev/./dax0.0' }] }),
      'pools[1].devices[0]: /dev/dax0.0 is given twice (also pools[0].devices[0]); a device has ',
    ],
    [
      'a device twice in one pool',
      with_({ devices: [{ path: '/dev/dax1.0' }, { path: '/dev/dax1.0' }] }),
      'pools[1].devices[1]: /dev/dax1.0 is given twice (also pools[1].devices[0])',
    ],
    [
      'another format',
      with_({ format: 'always' }),
      'pools[1].format: found "always", expected nev',
    ],
    [
      'ifBlank for memory that is found by its uuid',
      with_({ devices: [{ uuid: UUID }], format: 'ifBlank' }),
      'pools[1].format: found "ifBlank", expected never: blank memory has no uuid',
    ],
    [
      'another data path',
      with_({ dataPath: 'any' }),
      'pools[1].dataPath: found "any", expected au',
    ],
    ['an emulated pool without size', withEmulated({}), 'pools[1].emulated.sizeBytes: missing, '],
    [
      'a size as text',
      withEmulated({ sizeBytes: '1G' }),
      'pools[1].emulated.sizeBytes: found "1G", expected a number',
    ],
    ['a size of 0', withEmulated({ sizeBytes: 0 }), 'pools[1].emulated.sizeBytes: found 0, '],
    ['an unknown key of emulated', withEmulated({ size: 1 }), 'pools[1].emulated.size'],
    [
      'a log that is no power of two',
      withEmulated({ sizeBytes: MiB, logSizeBytes: 12 * MiB }),
      'pools[1].emulated.logSizeBytes: found 12582912, expected a power of two',
    ],
    [
      'an emulated pool of two devices',
      with_({
        devices: [{ path: '/a' }, { path: '/b' }],
        emulated: { sizeBytes: MiB },
      }),
      'pools[1].devices: found [{"path":"/a"},{"path":"/b"}], expected one path, of the file',
    ],
    [
      'an emulated pool by uuid',
      with_({ devices: [{ uuid: UUID }], emulated: { sizeBytes: MiB } }),
      'pools[1].devices: found [{"uuid"',
    ],
  ])('refuses %s by the name of the key', (_, value, expected) => {
    const { code, message } = refusal(value);
    expect([code, message.slice(0, `--config F: ${expected}`.length)]).toEqual([
      'INVALID',
      `--config F: ${expected}`,
    ]);
  });

  test('refuses text that is no JSON, and a file that is not there, by its name', () => {
    using scratch = new Scratch();
    expect(caught(() => parsePools('--config F', '{'))).toEqual({
      code: 'INVALID',
      message: expect.stringMatching(/^--config F: is no JSON \(/),
    });
    const file = join(scratch.path, 'none.json');
    expect(caught(() => readPoolsFile(file))).toEqual({
      code: 'INVALID',
      message: `--config ${file}: cannot be read (ENOENT)`,
    });
  });

  test('stands in for --pool, which is refused beside it, and one of them is needed', () => {
    expect(configuredPools({ pool: [1] })).toBeUndefined();
    for (const [options, found] of [
      [{ pool: [] }, 'neither'],
      [{ pool: [1], config: 'F' }, 'both'],
    ] as const) {
      expect(caught(() => configuredPools(options))).toEqual({
        code: 'INVALID',
        message: `--config, --pool: found ${found}, expected one of them`,
      });
    }
  });
});
