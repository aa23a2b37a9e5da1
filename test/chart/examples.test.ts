import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { load } from 'js-yaml';
import { ACCESS_MODES } from '../../src/csi/capability.ts';
import { DRIVER_NAME } from '../../src/csi/identity.ts';
import { decodeVolumeContext } from '../../src/csi/volume-context.ts';
import { parseStaticHandle } from '../../src/csi/volume-handle.ts';
import { type KubeObject, parseObjects } from '../support/helm.ts';
import { missingCommand, testUnless } from '../support/requirements.ts';

const ROOT = join(__dirname, '..', '..');
const FOLDER = join(ROOT, 'docs', 'examples');
const read = (...names: string[]) => readFileSync(join(ROOT, ...names), 'utf8');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
const objectsOf = (name: string) => parseObjects(read('docs', 'examples', name));

/** The pods of the objects; those of a StatefulSet with the volumes of its claims. */
function podsOf(objects: readonly KubeObject[]): KubeObject['spec'][] {
  return objects.flatMap(({ kind, spec }) => {
    const pod = kind === 'Pod' ? spec : spec?.template?.spec;
    if (pod?.containers === undefined) return [];
    const claimed = (spec.volumeClaimTemplates ?? []).map(({ metadata }: KubeObject) => metadata);
    return [{ ...pod, volumes: [...(pod.volumes ?? []), ...claimed] }];
  });
}

/** What the cluster test applies is tried here first, as far as that goes without a cluster. */
describe('the examples', () => {
  test('are these', () => {
    expect(files.sort()).toEqual([
      'dataset.yaml',
      'ephemeral.yaml',
      'quickstart.yaml',
      'readers.yaml',
      'statefulset.yaml',
      'static.yaml',
    ]);
  });

  test.each(files)('%s mounts only volumes that it has', (name) => {
    for (const { containers, volumes } of podsOf(objectsOf(name))) {
      const there = volumes.map((volume: KubeObject) => volume.name);
      const mounted = containers.flatMap((one: KubeObject) =>
        one.volumeMounts.map((mount: KubeObject) => mount.name),
      );
      expect(mounted.filter((volume: string) => !there.includes(volume))).toEqual([]);
    }
  });

  test.each(files)('%s asks for the class famfs, or for a volume by a handle', (name) => {
    const objects = objectsOf(name);
    const claims = objects.filter(({ kind }) => kind === 'PersistentVolumeClaim');
    const templates = objects.flatMap(({ spec }) => spec?.volumeClaimTemplates ?? []);
    const ephemeral = podsOf(objects).flatMap(({ volumes }) =>
      volumes.flatMap((one: KubeObject) => one.ephemeral?.volumeClaimTemplate ?? []),
    );
    const specs = [...claims, ...templates, ...ephemeral].map(({ spec }) => spec);
    expect(specs.length).toBeGreaterThan(0);
    for (const { storageClassName, volumeName, accessModes } of specs) {
      expect([storageClassName, volumeName === undefined]).toEqual(
        storageClassName === 'famfs' ? ['famfs', true] : ['', false],
      );
      // The class of an emulated fabric takes no other.
      expect(['ReadWriteOnce', 'ReadOnlyMany']).toContain(accessModes[0]);
    }
    for (const { kind, spec } of objects) {
      if (kind !== 'PersistentVolume') continue;
      const { driver, volumeHandle, volumeAttributes } = spec.csi;
      expect(driver).toBe(DRIVER_NAME);
      const { pool, path } = decodeVolumeContext(volumeHandle, volumeAttributes);
      expect(parseStaticHandle(volumeHandle)).toEqual({ pool, path });
      expect(pool).toBe('famfs');
    }
  });

  testUnless(missingCommand('python3'))('are Python that compiles, in every container', () => {
    const scripts = files.flatMap((name) =>
      podsOf(objectsOf(name)).flatMap(({ containers }) =>
        containers.map(({ command, args }: KubeObject) => [name, command[0], args[0]]),
      ),
    );
    expect(scripts.length).toBeGreaterThan(8);
    for (const [name, command, script] of scripts) {
      const input = String(script);
      const check = 'import ast, sys; ast.parse(sys.stdin.read())';
      const { status, stderr } = spawnSync(command, ['-c', check], { input, encoding: 'utf8' });
      expect([name, status, stderr]).toEqual([name, 0, '']);
    }
  });
});

describe('testdriver.yaml', () => {
  const { StorageClass, DriverInfo } = load(read('test', 'e2e', 'testdriver.yaml')) as KubeObject;

  test('names the driver and its class', () => {
    expect([DriverInfo.Name, StorageClass.FromExistingClassName]).toEqual([DRIVER_NAME, 'famfs']);
  });

  test('says of each capability whether it is there, as the services do', () => {
    const services =
      read('src', 'controller', 'controller-service.ts') + read('src', 'node', 'node-service.ts');
    const says = (capability: string) => services.includes(`'${capability}'`);
    expect(ACCESS_MODES).toContain('SINGLE_NODE_SINGLE_WRITER');
    expect(DriverInfo.Capabilities).toMatchObject({
      capacity: says('GET_CAPACITY'),
      snapshotDataSource: says('CREATE_DELETE_SNAPSHOT'),
      pvcDataSource: says('CLONE_VOLUME'),
      controllerExpansion: says('EXPAND_VOLUME'),
      volumeMountGroup: says('VOLUME_MOUNT_GROUP'),
      readWriteOncePod: true,
      block: false,
      RWX: false,
    });
  });
});
