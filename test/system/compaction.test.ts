import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { CONTIGUOUS } from '../../src/format/allocator.ts';
import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import type { DeadFile, Replica } from '../../src/format/replica.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { systemUuid } from '../../src/pool/identity.ts';
import { Pool } from '../../src/pool/pool.ts';
import { checkOf } from '../support/heap-memory.ts';
import { type Peer, startPeer } from '../support/mapping-peer.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually, MAIN, TestCluster } from '../support/test-cluster.ts';

const DYING_ADDON = join(__dirname, '..', 'support', 'dying-addon.mjs');
const OWNER = { uid: 0, gid: 0 };
const FABRIC_BYTES = 128 * MiB;
const FILES_BYTES = FABRIC_BYTES - 10 * MiB;
const KEPT_BYTES = 4 * MiB;

let cluster: TestCluster;

const rootOf = (node: number) => join(cluster.nodes[node]?.local.mountRoot ?? '', POOL);

/** Work by a writer that no mounter knows of, opened for it alone. */
async function withPool<T>(
  work: (pool: Pool) => Promise<T>,
  isReleased: (dead: DeadFile) => boolean = () => false,
): Promise<T> {
  const { fabric: device } = cluster.local;
  const identity = { writable: true, systemUuid: systemUuid() };
  using pool = Pool.open({ name: POOL, device, ...identity, isReleased });
  return await work(pool);
}

function append(plan: (replica: Replica) => NewEntry[]): Promise<void> {
  return withPool((pool) =>
    pool.append((replica) => ({ entries: plan(replica), result: undefined })),
  );
}

async function makeVolume(volume: string, sizeBytes: number): Promise<readonly Extent[]> {
  await append(({ space }) => {
    const fmap = space.find(CONTIGUOUS, sizeBytes);
    const file = { path: `${volume}/data`, sizeBytes, flags: 2, mode: 0o666, fmap };
    return [
      { type: 'mkdir', path: volume, ...OWNER, mode: 0o755 },
      { type: 'file', ...file, ...OWNER },
    ];
  });
  return extentsOf(`${volume}/data`);
}

function removeVolume(volume: string): Promise<void> {
  return append(({ namespace }) =>
    [`${volume}/data`, volume].map((path) => {
      return { type: 'delete', path, targetIndex: namespace.lookup(path)?.entryIndex ?? -1 };
    }),
  );
}

async function extentsOf(path: string): Promise<readonly Extent[]> {
  return await withPool(async ({ replica }) => {
    const node = replica.namespace.lookup(path);
    return node?.kind === 'file' ? fmapExtents(node.fmap) : [];
  });
}

/** Inode numbers that a kernel of the fabric refers to, by each mounter's own word. */
async function heldInodes(): Promise<Set<number>> {
  const told = await Promise.all(cluster.nodes.map(({ mounter }) => mounter.references(POOL, 0)));
  return new Set(told.flatMap(({ deleted }) => deleted.map(({ ino }) => ino)));
}

/** Compacts as a controller does: what a node refers to stays in quarantine. */
async function compact(): Promise<void> {
  const held = await heldInodes();
  await withPool(
    (pool) => pool.compact(),
    ({ node }) => !held.has(node.ino),
  );
}

/** The command, ended at a store; undefined: it was done before. */
function compactUntil(stores: number): NodeJS.Signals | undefined {
  const args = ['--import', DYING_ADDON, MAIN, 'compact', cluster.local.fabric];
  const env = { ...process.env, FAMFS_TEST_DIE_AT: String(stores) };
  const { signal, status, stderr } = spawnSync(process.execPath, args, { env });
  if (signal === null && status !== 0) throw new Error(`compact: ${stderr}`);
  return signal ?? undefined;
}

function fill(path: string, byte: number): void {
  const fd = openSync(path, 'r+');
  try {
    const bytes = Buffer.alloc(statSync(path).size, byte);
    writeSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

function firstBytes(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(8);
    readSync(fd, bytes, 0, 8, 0);
    return bytes.toString('hex');
  } finally {
    closeSync(fd);
  }
}

/** Every path on a node's mount, with its inode number and how its bytes begin. */
function mountedFiles(node: number): string[] {
  const root = rootOf(node);
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const bytes = entry.isFile() ? firstBytes(path) : '';
      return `${path.slice(root.length)} ${statSync(path).ino} ${bytes}`;
    })
    .sort();
}

async function killServer(node: number): Promise<void> {
  const { serverPid: pid } = await cluster.poolStatus(node);
  process.kill(Number(pid), 'SIGKILL');
}

async function untilServed(node: number, restartsBefore: number): Promise<void> {
  await eventually('a successor serves', async () => {
    const { mount, serverRestarts } = await cluster.poolStatus(node);
    return mount && serverRestarts > restartsBefore ? true : undefined;
  });
}

/** Maps a file on node 0, with a word at its start and another one that the memory has, too. */
async function mapped(volume: string): Promise<{ peer: Peer; ino: number }> {
  const path = join(rootOf(0), volume, 'data');
  fill(path, 0xa5);
  const { ino } = statSync(path);
  const peer = await startPeer(path);
  await peer.ask('map');
  await peer.ask('store-word 4096 0badf00d');
  return { peer, ino };
}

function expectClean(): void {
  using memory = Mapping.open(cluster.local.fabric, { writable: false });
  expect(checkOf(memory)).toMatchObject({ usable: true, problems: [] });
}

describeWith([fuse], 'mounts of two nodes, while the log is compacted', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start(2, FABRIC_BYTES);
  });

  afterAll(() => cluster?.stop());

  test('leave a deleted file its memory for as long as a pod maps it, and not longer', async () => {
    const [place] = await makeVolume('mapped', KEPT_BYTES);
    const { peer, ino } = await mapped('mapped');
    try {
      await removeVolume('mapped');
      await eventually(
        'its name goes',
        () => codeOf(statError('mapped')) === 'ENOENT' || undefined,
      );
      for (let round = 0; round < 6; round++) {
        await compact();
        // All that is free, on the other node: had the deleted file's memory gone, it were in it.
        const volumes = ['big', 'small'].map((name) => `${name}-${round}`);
        for (const [at, volume] of volumes.entries()) {
          await makeVolume(volume, at === 0 ? FILES_BYTES / 2 : await largestFree());
          fill(join(rootOf(1), volume, 'data'), 0x10 + round);
        }
        expect(await peer.ask('await-word 4096 0badf00d')).toBe('saw 0badf00d');
        // A page that was not touched yet is read from the memory.
        const page = 64 * 1024 * (2 + round);
        expect(await peer.ask(`await-word ${page} a5a5a5a5`)).toBe('saw a5a5a5a5');
        for (const volume of volumes) await removeVolume(volume);
        expect(await heldInodes()).toContain(ino);
        await eventually('the other node forgets', async () => {
          return (await heldInodes()).size === 1 || undefined;
        });
      }
      expect(bytesAt(place)).toBe('a5'.repeat(8));
    } finally {
      await peer.stop();
    }
    await eventually('it is forgotten', async () => !(await heldInodes()).has(ino) || undefined);
    await compact();
    const [again] = await makeVolume('reused', KEPT_BYTES);
    expect(again).toEqual(place);
    const path = join(rootOf(0), 'reused', 'data');
    expect(statSync(path)).toMatchObject({ ino, size: KEPT_BYTES });
    fill(join(rootOf(1), 'reused', 'data'), 0x77);
    expect(firstBytes(path)).toBe('77'.repeat(8));
    await removeVolume('reused');
    expectClean();
  });

  test('go on with the same inodes and open files when a server dies at any time', async () => {
    await makeVolume('kept', KEPT_BYTES);
    await makeVolume('gone', KEPT_BYTES);
    const { peer, ino } = await mapped('kept');
    const doomed = await mapped('gone');
    try {
      await removeVolume('gone');
      await heldInodes();
      const before = mountedFiles(0);
      let page = 1;
      const expectSame = async () => {
        page += 2;
        expect(statSync(join(rootOf(0), 'kept', 'data')).ino).toBe(ino);
        expect(mountedFiles(0)).toEqual(before);
        for (const each of [peer, doomed.peer]) {
          expect(await each.ask('await-word 4096 0badf00d')).toBe('saw 0badf00d');
          const offset = 64 * 1024 * page;
          expect(await each.ask(`await-word ${offset} a5a5a5a5`)).toBe('saw a5a5a5a5');
        }
        expect(await heldInodes()).toContain(doomed.ino);
      };
      // Before, and after: the successor replays the log that the other process wrote.
      for (const order of [
        ['kill', 'compact'],
        ['compact', 'kill'],
      ]) {
        const { serverRestarts } = await cluster.poolStatus(0);
        for (const step of order) await (step === 'kill' ? killServer(0) : compact());
        await untilServed(0, serverRestarts);
        await expectSame();
      }
      // In the middle: there is no log for who starts now, until the controller has finished it.
      const { serverRestarts } = await cluster.poolStatus(0);
      expect(compactUntil(await storesUntilRewritten())).toBe('SIGKILL');
      await killServer(0);
      await untilServed(0, serverRestarts);
      await expectSame();
    } finally {
      // Without a log there is no server, and without one no process ends that has a file of it.
      await append(() => []);
      await peer.stop();
      await doomed.peer.stop();
    }
    expectClean();
  });

  test('show the same files whatever store the compacting process is killed at', async () => {
    const names = Array.from({ length: 6 }, (_, at) => `live-${at}`);
    for (const [at, name] of names.entries()) {
      await makeVolume(name, 2 * MiB);
      fill(join(rootOf(at % 2), name, 'data'), 0x30 + at);
    }
    const before = mountedFiles(0);
    expect(before.filter((line) => line.includes('live-'))).toHaveLength(12);
    expect(mountedFiles(1)).toEqual(before);
    let deaths = 0;
    for (let stores = 0; stores < 100; stores += 0.5) {
      const end = compactUntil(stores);
      for (const node of [0, 1]) {
        await cluster.nodes[node]?.mounter.references(POOL, 0); // it has followed the log
        expect([stores, mountedFiles(node)]).toEqual([stores, before]);
      }
      await append(() => []); // finishes it
      for (const node of [0, 1]) {
        await cluster.nodes[node]?.mounter.references(POOL, 0);
        expect([stores, mountedFiles(node)]).toEqual([stores, before]);
      }
      expectClean();
      if (end === undefined) break;
      deaths++;
    }
    expect(deaths).toBeGreaterThanOrEqual(16);
    expect(deaths).toBeLessThan(199);
  }, 180_000);
});

function statError(volume: string): unknown {
  try {
    return statSync(join(rootOf(0), volume, 'data')) && undefined;
  } catch (error) {
    return error;
  }
}

function largestFree(): Promise<number> {
  return withPool(async ({ replica }) => replica.space.largestFreeBytes);
}

function bytesAt(place: Extent | undefined): string {
  using memory = Mapping.open(cluster.local.fabric, { writable: false });
  return Buffer.from(memory.read(place?.offset ?? 0, 8)).toString('hex');
}

/** How many stores a compaction makes until a reader that opens the pool finds no log. */
async function storesUntilRewritten(): Promise<number> {
  for (let stores = 1; stores < 100; stores++) {
    compactUntil(stores);
    using memory = Mapping.open(cluster.local.fabric, { writable: false });
    const isRewritten = checkOf(memory).log.entries === 0;
    await append(() => []);
    if (isRewritten) return stores;
  }
  throw new Error('no store left the log to be rewritten');
}
