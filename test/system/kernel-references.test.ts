import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import type { Extent } from '../../src/format/extents.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import type { PoolReferences } from '../../src/mounter/client.ts';
import { systemUuid } from '../../src/pool/identity.ts';
import { Pool } from '../../src/pool/pool.ts';
import { countsOfTable } from '../kernel-model/counts.ts';
import { rejection } from '../support/caught.ts';
import { startPeer } from '../support/mapping-peer.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually, TestCluster } from '../support/test-cluster.ts';

const SIZE = 2 * MiB;

let cluster: TestCluster;
let root: string;
let table: string;
/** Behind superblock and log. */
let nextOffset = 10 * MiB;

const OWNER = { uid: 0, gid: 0 };

/** Entries in the log, by a writer that the mounter does not know of. */
async function append(...entries: readonly NewEntry[]): Promise<void> {
  const { fabric: device } = cluster.local;
  using pool = Pool.open({ name: POOL, device, writable: true, systemUuid: systemUuid() });
  await pool.append(() => ({ entries, result: undefined }));
}

/** A directory with files of 2 MiB, each in memory that none had before. */
async function makeVolume(volume: string, ...names: readonly string[]): Promise<Extent[]> {
  const places = names.map(() => {
    nextOffset += SIZE;
    return { devindex: 0, offset: nextOffset, lengthBytes: SIZE };
  });
  const files = names.map((name, at) => ({
    ...{ type: 'file' as const, path: `${volume}/${name}`, sizeBytes: SIZE, flags: 2, mode: 0o666 },
    ...OWNER,
    fmap: { type: 'simple' as const, extents: places.slice(at, at + 1) },
  }));
  await append({ type: 'mkdir', path: volume, ...OWNER, mode: 0o755 }, ...files);
  return places;
}

/** Deletes a volume with its one file; returns the log's position behind that. */
async function removeVolume(volume: string, name: string): Promise<number> {
  const { fabric: device } = cluster.local;
  using pool = Pool.open({ name: POOL, device, writable: true, systemUuid: systemUuid() });
  await pool.append(({ namespace }) => ({
    entries: [`${volume}/${name}`, volume].map((path) => ({
      type: 'delete',
      path,
      targetIndex: namespace.lookup(path)?.entryIndex ?? -1,
    })),
    result: undefined,
  }));
  return pool.replica.position;
}

/** What the kernel of the one node refers to, once its server has followed the log. */
async function references(path?: string): Promise<PoolReferences> {
  const [node] = cluster.nodes;
  if (!node) throw new Error('no node');
  return node.mounter.references(POOL, 0, path === undefined ? {} : { path });
}

/** Makes a file of a volume, maps it, and deletes both. */
async function deleteMapped(volume: string) {
  const extents = await makeVolume(volume, 'data');
  const path = join(root, volume, 'data');
  const { ino } = statSync(path);
  const peer = await startPeer(path);
  await peer.ask('map');
  await peer.ask('store-word 4096 0badf00d');
  return { path, ino, peer, extents, deletedAt: await removeVolume(volume, 'data') };
}

/** Nobody looks at the name meanwhile: that it expires does not make the kernel forget. */
async function untilForgotten(ino: number): Promise<void> {
  await eventually(`inode ${ino} is forgotten`, () =>
    countsOfTable(table)[ino] === undefined ? true : undefined,
  );
}

async function killServer(): Promise<void> {
  const { serverPid: pid, serverRestarts } = await cluster.poolStatus(0);
  process.kill(Number(pid), 'SIGKILL');
  await eventually('a successor serves', async () => {
    const status = await cluster.poolStatus(0);
    return status.mount && status.serverRestarts > serverRestarts ? true : undefined;
  });
}

function statCode(path: string): string | undefined {
  try {
    statSync(path);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

describeWith([fuse], 'the kernel of a node', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start(1, 256 * MiB);
    root = join(cluster.nodes[0]?.local.mountRoot ?? '', POOL);
    table = `${root}.references`;
  });

  afterAll(() => cluster?.stop());

  test('refers to what of a volume is open or cached, which its server tells', async () => {
    await makeVolume('live', 'data', 'other');
    expect((await references('live')).volumes).toEqual([]);
    statSync(join(root, 'live', 'other'));
    const peer = await startPeer(join(root, 'live', 'data'));
    try {
      await peer.ask('map');
      const told = await references();
      // The directory, and both files.
      expect(told.volumes).toEqual([{ volume: 'live', cachedInodes: 3, openFiles: 1 }]);
      expect(told).toMatchObject({ volumeCount: 1, deleted: [], deletedCount: 0, logPosition: 3 });
      expect((await references('live/other')).volumes).toEqual([
        { volume: 'live', cachedInodes: 1, openFiles: 0 },
      ]);
    } finally {
      await peer.stop();
    }
    await eventually('it is closed', async () =>
      (await references('live')).volumes[0]?.openFiles === 0 ? true : undefined,
    );
  });

  test('forgets a file that another process deletes, with nobody looking for it', async () => {
    await makeVolume('looked', 'at');
    const path = join(root, 'looked', 'at');
    const { ino } = statSync(path);
    expect(countsOfTable(table)[ino]).toEqual({ lookups: 1, opens: 0 });
    await removeVolume('looked', 'at');
    await references();
    await untilForgotten(ino);
    expect(statCode(path)).toBe('ENOENT');
    expect((await references('looked')).deletedCount).toBe(0);
  });

  test('refers to a deleted file for as long as it is mapped, with its memory', async () => {
    const { path, ino, peer, extents, deletedAt } = await deleteMapped('gone');
    try {
      const told = await references('gone');
      expect(told.logPosition).toBe(deletedAt);
      expect(told).toMatchObject({ volumes: [], deletedCount: 1 });
      expect(told.deleted).toEqual([
        { volume: 'gone', ino, extents, lookups: expect.any(Number), openFiles: 1 },
      ]);
      expect((await references('live')).deleted).toEqual([]);
      await eventually('its name goes', () => statCode(path) === 'ENOENT' || undefined);
      // A page that was never touched is a READ of a file without a name.
      expect(await peer.ask('await-word 1048576 00000000')).toBe('saw 00000000');
      expect(await peer.ask('await-word 4096 0badf00d')).toBe('saw 0badf00d');
    } finally {
      await peer.stop();
    }
    await untilForgotten(ino);
    expect(await references('gone')).toMatchObject({ deleted: [], deletedCount: 0 });
  });

  test('does so over the death of its server, which the next one tells alike', async () => {
    const { ino, peer, extents } = await deleteMapped('outlives');
    try {
      await killServer();
      const file = { volume: 'outlives', ino, extents, openFiles: 1 };
      expect((await references('outlives')).deleted).toEqual([expect.objectContaining(file)]);
      await killServer();
      expect((await references()).deleted).toEqual([expect.objectContaining(file)]);
      expect(await peer.ask('await-word 4096 0badf00d')).toBe('saw 0badf00d');
    } finally {
      await peer.stop();
    }
    await untilForgotten(ino);
    expect((await references()).deleted).toEqual([]);
  });
});

describeWith([fuse], 'a volume with a file that this node cannot serve', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start(1, 256 * MiB);
  });

  afterAll(() => cluster?.stop());

  test('is refused when it is staged, with the file, the reason and what to do', async () => {
    const volume = await cluster.createVolume('far', MiB);
    const path = `${volume.id}/elsewhere`;
    const place = { devindex: 1, offset: 2 * MiB, lengthBytes: SIZE };
    const facts = { sizeBytes: MiB, flags: 2, ...OWNER, mode: 0o644 };
    const deviceUuid = '00000000-0000-4000-8000-00000000dddd';
    await append(
      { type: 'add-daxdev', sizeBytes: 64 * MiB, deviceUuid, devindex: 1 },
      { type: 'file', path, ...facts, fmap: { type: 'simple', extents: [place] } },
    );
    const refused = (await rejection(cluster.publish(volume, 0))).message;
    expect(refused).toMatch(
      new RegExp(
        `FAILED_PRECONDITION.*volume ${volume.id}: file ${path}: is on device 1 of the pool, ` +
          "which this node's mounter does not have; this node has dataPath buffered .*; give the " +
          'mounter of this node all devices of the pool',
      ),
    );
    // MKDIR and FILE of the volume, ADD_DAXDEV, then this one.
    await append({ type: 'delete', path, targetIndex: 3 });
    const target = await cluster.publish(volume, 0);
    expect(statSync(join(target, 'data')).size).toBe(MiB);
  });
});
