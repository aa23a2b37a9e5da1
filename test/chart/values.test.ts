import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parsePools } from '../../src/cli/pools-file.ts';
import { PARAMETER_NAMES, parseParameters } from '../../src/controller/parameters.ts';
import { packageVersion } from '../../src/csi/package.ts';
import {
  CHART,
  EMULATED,
  find,
  HELM_BUILD_MS,
  helm,
  ON_DEVICE,
  refusal,
  render,
  type Values,
} from '../support/helm.ts';
import { describeWith } from '../support/requirements.ts';

const device = (name: string, path: string) => ({ name, devices: [{ path }] });
const pools = (...all: unknown[]): Values => ({ pools: all });
const good = device('a', '/dev/dax0.0');
const withClass = (change: object): Values => ({
  ...EMULATED,
  storageClasses: [{ name: 'famfs', ...change }],
});

describeWith([helm], 'the values of the chart', () => {
  test.each<[string, Values, RegExp]>([
    ['no pool at all', {}, /pools: empty, expected at least one pool; set pools\[0\]\.name/],
    ['an unknown key', { ...EMULATED, pool: [] }, /additional properties 'pool' not allowed/],
    [
      'a misspelt key',
      { ...EMULATED, image: { tga: '1' } },
      /'\/image': additional properties 'tga'/,
    ],
    ['a pool without devices', pools({ name: 'a' }), /'\/pools\/0': missing property 'devices'/],
    [
      'an empty list of devices',
      pools({ name: 'a', devices: [] }),
      /'\/pools\/0\/devices': minItems/,
    ],
    [
      'a pool on devices and emulated',
      pools({ ...good, emulated: { size: '1Gi' } }),
      /'\/pools\/0': 'oneOf' failed, subschemas 0, 1 matched/,
    ],
    [
      'a pool without a name',
      pools({ devices: good.devices }),
      /'\/pools\/0': missing property 'name'/,
    ],
    [
      'an unknown key of a pool',
      pools({ ...good, fromat: 'never' }),
      /'\/pools\/0': additional properties 'fromat' not allowed/,
    ],
    [
      'two pools on one device',
      pools(good, device('b', '/dev/dax0.0')),
      /pools\[1\]\.devices\[0\]: \/dev\/dax0\.0 is given twice \(also pools\[0\]\.devices\[0\]\)/,
    ],
    [
      'a device twice in a pool',
      pools({ name: 'a', devices: [{ path: '/dev/dax0.0' }, { path: '/dev/dax0.0' }] }),
      /'\/pools\/0\/devices': items at 0 and 1 are equal/,
    ],
    [
      'a device by path and uuid',
      pools({ name: 'a', devices: [{ path: '/dev/dax0.0', uuid: 'x' }] }),
      /'\/pools\/0\/devices\/0': maxProperties/,
    ],
    [
      'two pools of one name',
      pools(good, device('a', '/dev/dax1.0')),
      /pools\[1\]\.name: "a" is given twice \(also pools\[0\]\)/,
    ],
    [
      'a pool with the name of the emulated one',
      { ...EMULATED, ...pools(device('famfs', '/dev/dax0.0')) },
      /emulatedFabric\.poolName: "famfs" is given twice \(also pools\[0\]\)/,
    ],
    [
      'ifBlank for memory that is found by its uuid',
      pools({
        name: 'a',
        devices: [{ uuid: `${'0'.repeat(8)}${'-0000'.repeat(3)}-${'0'.repeat(12)}` }],
        format: 'ifBlank',
      }),
      /pools\[0\]\.format: ifBlank is for a first device that is given by its path/,
    ],
    [
      'another format',
      pools({ ...good, format: 'always' }),
      /'\/pools\/0\/format': value must be one/,
    ],
    [
      'another data path',
      pools({ ...good, dataPath: 'any' }),
      /'\/pools\/0\/dataPath': value must be/,
    ],
    [
      'a size without a unit that Kubernetes knows',
      { emulatedFabric: { enabled: true, size: '1G' } },
      /'\/emulatedFabric\/size'/,
    ],
    [
      'a fabric too small for a pool',
      { emulatedFabric: { enabled: true, size: '8Mi' } },
      /emulatedFabric\.size: 8Mi is too small, expected 12Mi or more/,
    ],
    [
      'an emulated pool too small',
      pools({ name: 'a', emulated: { size: '1Mi' } }),
      /pools\[0\]\.emulated\.size: 1Mi is too small/,
    ],
    [
      'a class of a pool that is not there',
      withClass({ parameters: { pool: 'fast' } }),
      /storageClasses\[0\]\.parameters\.pool: "fast" is no pool, expected one of famfs/,
    ],
    [
      'an unknown parameter of a class',
      withClass({ parameters: { dataPaths: 'any' } }),
      /'\/storageClasses\/0\/parameters': additional properties 'dataPaths' not allowed/,
    ],
    [
      'two classes of one name',
      { ...EMULATED, storageClasses: [{ name: 'x' }, { name: 'x' }] },
      /storageClasses\[1\]\.name: "x" is given twice/,
    ],
    [
      'a controller that is root',
      { ...EMULATED, controller: { runAsUser: 0 } },
      /runAsUser': minimum/,
    ],
    ['the group of root', { ...EMULATED, metaGid: 0 }, /'\/metaGid': minimum/],
    ['a relative directory', { ...EMULATED, kubeletDir: 'kubelet' }, /'\/kubeletDir'/],
    ['an identity that is none', { ...EMULATED, systemUuid: 'me' }, /'\/systemUuid'/],
    [
      'an unknown key deep inside',
      { ...EMULATED, sidecars: { attacher: { image: { name: 'x' } } } },
      /'\/sidecars\/attacher\/image': additional properties 'name' not allowed/,
    ],
  ])(
    'refuse %s by the name of the key',
    (_, values, reason) => {
      expect(refusal(values)).toMatch(reason);
    },
    HELM_BUILD_MS,
  );

  test('become pools that controller and mounter take as they are', () => {
    const values: Values = {
      emulatedFabric: { enabled: true, poolName: 'try', size: '2Gi', dir: '/dev/shm/famfs' },
      pools: [
        { ...good, format: 'ifBlank', dataPath: 'dax' },
        { name: 'b', devices: [{ uuid: '0A1b2c3d-0000-4000-8000-00000000abcd' }] },
        { name: 'c', emulated: { size: '64Mi', logSize: '16Mi' } },
      ],
    };
    const { data } = find(render(values), 'ConfigMap', 'famfs-csi-pools');
    const pool = { format: 'never', dataPath: 'auto', emulated: undefined };
    expect(parsePools('pools.json', data['pools.json'])).toEqual([
      { ...pool, name: 'a', devices: ['/dev/dax0.0'], format: 'ifBlank', dataPath: 'dax' },
      { ...pool, name: 'b', devices: ['uuid:0a1b2c3d-0000-4000-8000-00000000abcd'] },
      {
        ...pool,
        name: 'c',
        devices: ['/dev/shm/famfs/c.fabric'],
        format: 'ifBlank',
        emulated: { sizeBytes: 64 * 2 ** 20, logSizeBytes: 16 * 2 ** 20 },
      },
      {
        ...pool,
        name: 'try',
        devices: ['/dev/shm/famfs/try.fabric'],
        format: 'ifBlank',
        emulated: { sizeBytes: 2 * 2 ** 30 },
      },
    ]);
  });

  test.each<[string, Values, string]>([
    ['any where the pool is emulated', EMULATED, 'any'],
    ['dax where it is on a device', ON_DEVICE, 'dax'],
    ['any where it is buffered', pools({ ...good, dataPath: 'buffered' }), 'any'],
    ['what is asked for', withClass({ parameters: { dataPath: 'dax' } }), 'dax'],
  ])('give the class famfs the data path %s', (_, values, dataPath) => {
    const { parameters, provisioner } = find(render(values), 'StorageClass', 'famfs');
    expect([provisioner, parameters.dataPath]).toEqual(['csi.famfs.io', dataPath]);
    expect(parseParameters(parameters)).toMatchObject({ dataPath, pool: parameters.pool });
  });

  test('know the parameters of a class that the controller knows', () => {
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'));
    const { properties } = schema.definitions.storageClass.properties.parameters;
    expect(Object.keys(properties).sort()).toEqual([...PARAMETER_NAMES].sort());
  });

  test('make one identity of a release for ever, and another for another release', () => {
    const uuidOf = (values: Values, release?: string) =>
      render(values, release).find(({ kind }) => kind === 'ConfigMap')?.data.system_uuid;
    const uuid = uuidOf(EMULATED);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uuidOf(ON_DEVICE)).toBe(uuid);
    expect(uuidOf(EMULATED, 'other')).not.toBe(uuid);
    const given = 'AAAAAAAA-0000-4000-8000-000000000000';
    expect(uuidOf({ ...EMULATED, systemUuid: given })).toBe(given.toLowerCase());
  });

  test('are of the version of the driver', () => {
    const chart = readFileSync(join(CHART, 'Chart.yaml'), 'utf8');
    const version = packageVersion();
    expect(chart).toContain(`\nversion: ${version}\n`);
    expect(chart).toContain(`\nappVersion: ${version}\n`);
  });
});
