import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { codeOf, Fault, messageOf } from '../../src/base/errors.ts';
import type { LogPlace } from '../../src/base/log-place.ts';
import { decodeVolumeContext, type VolumeContext } from '../../src/csi/volume-context.ts';
import type { PoolMount } from '../../src/mounter/client.ts';
import type { MountInfo } from '../../src/native/mounts.ts';
import { type Mounts, NodeVolumes } from '../../src/node/node-volumes.ts';

const UUID = '20212223-2425-4627-a829-2a2b2c2d2e2f';
const POOL_DEVICE = '0:50';

/** A mount table in memory: what the kernel would list after each bind and unmount. */
class FakeMounts implements Mounts {
  table: MountInfo[] = [];
  calls: string[] = [];

  add(mountPoint: string, root: string, extra: Partial<MountInfo> = {}): void {
    this.table.push({
      mountId: 1,
      parentId: 0,
      device: POOL_DEVICE,
      root,
      mountPoint,
      options: ['rw'],
      fsType: 'fuse.famfs',
      source: 'fast',
      superOptions: [],
      ...extra,
    });
  }

  bindMount({ source, target, readOnly }: Parameters<Mounts['bindMount']>[0]): void {
    this.calls.push(`bind ${target}`);
    const over = this.table.findLast(({ mountPoint }) => source.startsWith(mountPoint));
    if (!over) throw new Fault('NOT_FOUND', `${source}: no mount`);
    const below = source.slice(over.mountPoint.length);
    const root = below === '' ? over.root : `${over.root === '/' ? '' : over.root}${below}`;
    const options = readOnly || over.options.includes('ro') ? ['ro'] : ['rw'];
    this.add(target, root, { options, device: over.device });
  }

  unmount(target: string): void {
    this.calls.push(`unmount ${target}`);
    const at = this.table.findLastIndex(({ mountPoint }) => mountPoint === target);
    if (at < 0) throw new Fault('NOT_FOUND', `${target}: not mounted`);
    this.table.splice(at, 1);
  }

  readMountInfo(): MountInfo[] {
    return [...this.table];
  }
}

let folder: string;
let mounts: FakeMounts;
let problem: string | undefined;
let volumes: NodeVolumes;
let mounted: PoolMount;
let askedFor: LogPlace[];
let askedAbout: string[];
const at = (...names: string[]) => join(folder, ...names);

const location: VolumeContext = {
  pool: 'fast',
  fsUuid: UUID,
  path: 'vol',
  logPosition: 7,
  logGeneration: 3,
  dataPath: 'any',
};
const stage = (more: object = {}) =>
  volumes.stage({
    volumeId: 'vol',
    stagingPath: at('staging'),
    location,
    readOnly: false,
    ...more,
  });
const publish = (more: object = {}) =>
  volumes.publish({
    volumeId: 'vol',
    stagingPath: at('staging'),
    targetPath: at('target'),
    location,
    readOnly: false,
    singleTarget: false,
    ...more,
  });
const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return `${codeOf(error)} ${messageOf(error)}`;
};

beforeEach(() => {
  problem = undefined;
  folder = mkdtempSync(join(tmpdir(), 'famfs-node-test-'));
  mkdirSync(at('pool', 'vol'), { recursive: true });
  writeFileSync(at('pool', 'vol', 'data'), 'x'.repeat(1000));
  mounts = new FakeMounts();
  mounts.add(at('pool'), '/');
  mounted = {
    mountPoint: at('pool'),
    dataPath: 'buffered',
    generation: 'buffered',
    dataPathReason: 'the pool is a file',
    fsUuid: UUID,
    logPosition: 7,
    logGeneration: 3,
  };
  askedFor = [];
  askedAbout = [];
  const poolMount = async (_pool: string, atLeast: LogPlace, { path }: { path: string }) => {
    askedFor.push(atLeast);
    askedAbout.push(path);
    return mounted;
  };
  volumes = new NodeVolumes({ poolMount, problemOf: async () => problem }, mounts);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a static handle', () => {
  const volumeId = 'fast/sets/faces';

  test('is staged, published, measured and taken away by its directory', async () => {
    mkdirSync(at('pool', 'sets', 'faces'), { recursive: true });
    writeFileSync(at('pool', 'sets', 'faces', 'table'), 'x'.repeat(500));
    const place = { ...decodeVolumeContext(volumeId, { dataPath: 'any' }), fsUuid: UUID };
    await stage({ volumeId, location: place });
    await publish({ volumeId, location: place });
    expect(mounts.table.slice(1).map(({ root }) => root)).toEqual(['/sets/faces', '/sets/faces']);
    // Bind mounts of the fake show no files; the directory itself stands for them.
    mounts.add(at('pool', 'sets', 'faces'), '/sets/faces');
    const { bytes, files } = await volumes.stats(volumeId, at('pool', 'sets', 'faces'));
    expect([bytes, files]).toEqual([500, 1]);
    await volumes.unpublish(volumeId, at('target'));
    await volumes.unstage(volumeId, at('staging'));
    expect(mounts.table.map(({ mountPoint }) => mountPoint)).toEqual([
      at('pool'),
      at('pool', 'sets', 'faces'),
    ]);
  });
});

describe('node stages', () => {
  test('binds the volume once the mounter has followed the log to its position', async () => {
    await stage();
    expect(askedFor).toEqual([{ generation: 3, position: 7 }]);
    expect(mounts.table.at(-1)).toMatchObject({ mountPoint: at('staging'), root: '/vol' });
  });

  test('does nothing when the volume is staged already', async () => {
    await stage();
    await stage();
    expect(mounts.calls).toEqual([`bind ${at('staging')}`]);
  });

  test('replaces what a dead mount of the pool left', async () => {
    mounts.add(at('staging'), '/vol', { device: '0:49' });
    await stage();
    expect(mounts.calls).toEqual([`unmount ${at('staging')}`, `bind ${at('staging')}`]);
  });

  test('refuses a node without the dax path when the volume asks for it', async () => {
    const text = await failure(stage({ location: { ...location, dataPath: 'dax' } }));
    expect(text).toMatch(/^PRECONDITION volume vol: asks for dataPath dax, .*the pool is a file/);
    expect(mounts.calls).toEqual([]);
  });

  test('refuses a pool that was formatted anew under the same name', async () => {
    mounted = { ...mounted, fsUuid: '30313233-3435-4637-b839-3a3b3c3d3e3f' };
    expect(await failure(stage())).toMatch(/^PRECONDITION pool fast: on this node it is 3031/);
  });

  test('refuses a volume with a file that the node cannot serve, before it binds it', async () => {
    const refusals = [
      { path: 'vol/striped', reason: 'its chunks of 65536 bytes are not aligned to 2097152' },
      { path: 'vol/other', reason: 'is on device 1, only 1 can be used' },
    ];
    mounted = { ...mounted, dataPath: 'dax', generation: 'pull', refusals };
    expect(await failure(stage())).toBe(
      'PRECONDITION volume vol: file vol/striped: its chunks of 65536 bytes are not aligned to ' +
        '2097152, and at least 1 more; this node has dataPath dax (pull); use a node whose ' +
        'kernel is push2, or make the volume anew with chunks of 2 MiB or more, in a pool with ' +
        'an alloc unit of 2 MiB, on its first device',
    );
    expect(mounts.calls).toEqual([]);
    expect(askedAbout).toEqual(['vol']);
  });

  test('says NOT_FOUND for a volume that the log does not have', async () => {
    const gone = { volumeId: 'gone', location: { ...location, path: 'gone' } };
    expect(await failure(stage(gone))).toMatch(/^NOT_FOUND volume gone/);
  });

  test('never touches a mount that is not ours', async () => {
    mounts.add(at('staging'), '/', { fsType: 'ext4', device: '8:1' });
    expect(await failure(stage())).toMatch(/^PRECONDITION .*a ext4 file system is mounted here/);
    expect(await failure(volumes.unstage('vol', at('staging')))).toMatch(/^PRECONDITION/);
    expect(mounts.calls).toEqual([]);
  });

  test('unstages twice, and unstages what was never staged', async () => {
    await stage();
    await volumes.unstage('vol', at('staging'));
    await volumes.unstage('vol', at('staging'));
    await volumes.unstage('other', at('nowhere', 'at', 'all'));
    expect(mounts.table).toHaveLength(1);
  });
});

describe('node publishes', () => {
  beforeEach(() => stage());

  test('binds the staged volume to a target that it makes', async () => {
    await publish({ readOnly: true });
    expect(existsSync(at('target'))).toBe(true);
    expect(mounts.table.at(-1)).toMatchObject({ mountPoint: at('target'), options: ['ro'] });
  });

  test('does nothing when the target has it, and refuses another read-only flag', async () => {
    await publish();
    await publish();
    expect(mounts.calls.filter((call) => call.startsWith('bind'))).toHaveLength(2);
    expect(await failure(publish({ readOnly: true }))).toMatch(
      /^EXISTS .*asked for \/vol read-only/,
    );
  });

  test('refuses a volume that is not staged there', async () => {
    const text = await failure(publish({ volumeId: 'other' }));
    expect(text).toMatch(/^PRECONDITION staging_target_path .*call NodeStageVolume first/);
  });

  test('refuses a writable target of a volume that is attached for reading', async () => {
    await volumes.unstage('vol', at('staging'));
    await stage({ readOnly: true });
    expect(await failure(publish())).toMatch(/^PRECONDITION volume vol: is attached .* reading/);
  });

  test('allows SINGLE_NODE_SINGLE_WRITER one target, and that one again', async () => {
    await publish({ singleTarget: true });
    await publish({ singleTarget: true });
    const second = publish({ singleTarget: true, targetPath: at('second') });
    expect(await failure(second)).toMatch(/^PRECONDITION .*it is published at .*target/);
  });

  test('returns success when the target is already unpublished', async () => {
    await publish();
    await volumes.unpublish('vol', at('target'));
    expect(existsSync(at('target'))).toBe(false);
    await volumes.unpublish('vol', at('target'));
    expect(mounts.table).toHaveLength(2);
  });

  test('removes the target that a crash left unmounted', async () => {
    mkdirSync(at('target'));
    await volumes.unpublish('vol', at('target'));
    expect(existsSync(at('target'))).toBe(false);
  });

  test('stages anew what is staged through a mount of the pool that has died', async () => {
    mounts.table = [];
    mounts.add(at('staging'), '/vol', { device: '0:49', options: ['ro'] });
    mounts.add(at('target'), '/vol', { device: '0:49', options: ['ro'] });
    mounts.add(at('pool'), '/');
    await publish({ readOnly: true });
    expect(mounts.calls.slice(1)).toEqual([
      `unmount ${at('staging')}`,
      `bind ${at('staging')}`,
      `unmount ${at('target')}`,
      `bind ${at('target')}`,
    ]);
    expect(mounts.table.map(({ device }) => device)).toEqual(Array(3).fill(POOL_DEVICE));
    expect(mounts.table.slice(1).map(({ options }) => options)).toEqual([['ro'], ['ro']]);
  });

  test('asks no mounter for what is staged through the pool as it is mounted', async () => {
    askedFor = [];
    await publish();
    expect(askedFor).toEqual([]);
  });

  test('does not remove files that somebody wrote below the bare target', async () => {
    mkdirSync(at('target'));
    writeFileSync(at('target', 'stray'), 'not of the volume');
    expect(await failure(volumes.unpublish('vol', at('target')))).toMatch(
      /^PRECONDITION target_path/,
    );
    expect(existsSync(at('target', 'stray'))).toBe(true);
  });
});

describe('node stats', () => {
  test('gives the size of the files of a volume', async () => {
    await stage();
    mkdirSync(at('staging'), { recursive: true });
    writeFileSync(at('staging', 'data'), 'x'.repeat(1000));
    const stats = await volumes.stats('vol', at('staging'));
    expect(stats).toEqual({ bytes: 1000, files: 1, problem: undefined });
  });

  test('says what is wrong with the pool of the volume on this node', async () => {
    await stage();
    mkdirSync(at('staging'), { recursive: true });
    problem = 'its memory failed';
    expect((await volumes.stats('vol', at('staging'))).problem).toBe('its memory failed');
  });

  test('says NOT_FOUND for another volume, and for a path that is no mount of it', async () => {
    await stage();
    expect(await failure(volumes.stats('other', at('staging')))).toMatch(/^NOT_FOUND/);
    expect(await failure(volumes.stats('vol', at('target')))).toMatch(/^NOT_FOUND/);
    expect(await failure(volumes.stats('vol', at('pool')))).toMatch(/^NOT_FOUND/);
  });

  test('says NOT_FOUND for a relative path, even of where the volume is', async () => {
    await stage();
    const path = relative(process.cwd(), at('staging'));
    expect(await failure(volumes.stats('vol', path))).toBe(
      `NOT_FOUND volume_path ${path}: volume vol is not mounted here`,
    );
  });
});
