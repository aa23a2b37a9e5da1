import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import type { PoolReferences } from '../../src/mounter/client.ts';
import { systemUuid } from '../../src/pool/identity.ts';
import { Pool } from '../../src/pool/pool.ts';
import { countsOfTable } from '../kernel-model/counts.ts';
import { rejection } from '../support/caught.ts';
import { startPeer } from '../support/mapping-peer.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually, MAIN, TestCluster } from '../support/test-cluster.ts';

const SIZE = 2 * MiB;

let cluster: TestCluster;
let root: string;
let table: string;

/** The command line, as another process of the host. */
function famfs(command: string, ...args: string[]): string {
  const argv = [MAIN, command, cluster.local.fabric, ...args];
  return execFileSync(process.execPath, argv, { stdio: 'pipe', encoding: 'utf8' });
}

/** What the kernel of the one node refers to, once its server has followed the log. */
async function references(path?: string): Promise<PoolReferences> {
  const [node] = cluster.nodes;
  if (!node) throw new Error('no node');
  return node.mounter.references(POOL, 0, path === undefined ? {} : { path });
}

/** Makes a file of a volume, maps it, and deletes it, and its volume; returns its inode number. */
async function deleteMapped(volume: string) {
  famfs('mkdir', volume);
  famfs('create', `${volume}/data`, '--size', '2M', '--mode', '0666');
  const path = join(root, volume, 'data');
  const { ino } = statSync(path);
  const { fmap } = JSON.parse(famfs('map', `${volume}/data`, '--json'));
  const peer = await startPeer(path);
  await peer.ask('map');
  await peer.ask('store-word 4096 0badf00d');
  const { logPosition } = await references();
  famfs('rm', `${volume}/data`);
  famfs('rm', volume);
  return { path, ino, peer, extents: fmap.extents, deletedAt: logPosition + 2 };
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
    famfs('mkdir', 'live');
    famfs('create', 'live/data', '--size', '2M', '--mode', '0666');
    famfs('create', 'live/other', '--size', '2M');
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
    famfs('create', 'looked-at', '--size', '2M');
    const { ino } = statSync(join(root, 'looked-at'));
    expect(countsOfTable(table)[ino]).toEqual({ lookups: 1, opens: 0 });
    famfs('rm', 'looked-at');
    await references();
    await untilForgotten(ino);
    expect(statCode(join(root, 'looked-at'))).toBe('ENOENT');
    expect((await references('looked-at')).deletedCount).toBe(0);
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
    await appendFileOnSecondDevice(`${volume.id}/elsewhere`);
    const refused = (await rejection(cluster.publish(volume, 0))).message;
    expect(refused).toMatch(
      new RegExp(
        `FAILED_PRECONDITION.*volume ${volume.id}: file ${volume.id}/elsewhere: is on device 1 ` +
          'of the pool, which this node.s mounter does not have; this node has dataPath ' +
          'buffered .*; give the mounter of this node all devices of the pool',
      ),
    );
    famfs('rm', `${volume.id}/elsewhere`);
    const target = await cluster.publish(volume, 0);
    expect(statSync(join(target, 'data')).size).toBe(MiB);
  });
});

async function appendFileOnSecondDevice(path: string): Promise<void> {
  const { fabric: device } = cluster.local;
  using pool = Pool.open({ name: POOL, device, writable: true, systemUuid: systemUuid() });
  const place = { devindex: 1, offset: 2 * MiB, lengthBytes: SIZE };
  const facts = { sizeBytes: MiB, flags: 2, uid: 0, gid: 0, mode: 0o644 };
  await pool.append(() => ({
    entries: [
      {
        type: 'add-daxdev',
        sizeBytes: 64 * MiB,
        deviceUuid: '00000000-0000-4000-8000-00000000dddd',
        devindex: 1,
      },
      { type: 'file', path, ...facts, fmap: { type: 'simple', extents: [place] } },
    ],
    result: undefined,
  }));
}
