import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { KeyedLock } from '../../src/base/keyed-lock.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { StaticNodes } from '../../src/controller/nodes.ts';
import { VolumeAttachments } from '../../src/controller/volume-attachments.ts';
import { Volumes } from '../../src/controller/volumes.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { failure } from '../csi/harness.ts';
import { rejection } from '../support/caught.ts';
import {
  type ControllerHarness,
  capability,
  controllerOf,
  create,
  MemoryAttachments,
  type PublishInit,
} from './harness.ts';
import { MemoryPool } from './memory-pool.ts';

// A directory that the famfs tools made is a volume by its handle `<pool>/<directory>`. So is one
// of ours, once more: for readers on other nodes, since in Kubernetes a claim is for one writing
// node or for many reading ones.

const OWNER = { uid: 0, gid: 0, mode: 0o644 };
const READERS: PublishInit = {
  readonly: true,
  volume_capability: capability('MULTI_NODE_READER_ONLY'),
};

/** Makes directories, and in each a file of 1 MiB named `table`. */
async function addDirectories(pool: MemoryPool, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    await pool.append((replica) => {
      const fmap = replica.space.find({ strips: 0 }, MiB);
      const file = { type: 'file', path: `${path}/table`, sizeBytes: MiB, flags: 2, fmap };
      const entries = [
        { type: 'mkdir', path, ...OWNER },
        { ...file, ...OWNER },
      ] as NewEntry[];
      return { entries, result: undefined };
    });
  }
}

function publish(volume_id: string, node_id: string, change: PublishInit = {}): PublishInit {
  const volume_context = { dataPath: 'any' };
  return { volume_id, node_id, volume_capability: capability(), volume_context, ...change };
}

async function attach(harness: ControllerHarness, ...args: Parameters<typeof publish>) {
  return await harness.controller.controllerPublishVolume(publish(...args));
}

async function idsOf({ controller }: ControllerHarness, max_entries = 0, starting_token = '') {
  const { entries, next_token } = await controller.listVolumes({ max_entries, starting_token });
  return { ids: entries.map(({ volume }) => volume?.volume_id), next_token };
}

describe('a static handle', () => {
  test('is attached, described and detached like any volume', async () => {
    await using harness = await controllerOf();
    await addDirectories(harness.pool, 'sets', 'sets/faces');
    const reply = await attach(harness, 'fabric0/sets', 'a');
    expect(reply.publish_context).toEqual({ readonly: 'false' });
    const { controller } = harness;
    expect(await controller.controllerGetVolume({ volume_id: 'fabric0/sets' })).toMatchObject({
      // Its own file, and the one further down.
      volume: { volume_id: 'fabric0/sets', capacity_bytes: String(2 * MiB) },
      status: { published_node_ids: ['a'] },
    });
    const validated = await controller.validateVolumeCapabilities({
      volume_id: 'fabric0/sets/faces',
      volume_capabilities: [capability('MULTI_NODE_READER_ONLY')],
    });
    expect(validated.confirmed).not.toBeNull();
    await controller.controllerUnpublishVolume({ volume_id: 'fabric0/sets', node_id: 'a' });
    const { status } = await controller.controllerGetVolume({ volume_id: 'fabric0/sets' });
    expect(status?.published_node_ids).toEqual([]);
  });

  test.each([
    ['fabric0/none', 'pool fabric0 has no such directory'],
    ['fabric0/sets/table', 'pool fabric0 has no such directory'],
    ['fabric1/sets', 'the pools are fabric0'],
  ])('%s, which is no directory of a pool, is NOT_FOUND', async (volume_id, reason) => {
    await using harness = await controllerOf();
    await addDirectories(harness.pool, 'sets');
    expect(await failure(attach(harness, volume_id, 'a'))).toBe(
      `NOT_FOUND: volume ${volume_id}: ${reason}; correct the PersistentVolume's handle`,
    );
  });

  test.each(['fabric0/../sets', 'fabric0/.meta', 'fabric0//sets', 'fabric0/', '/sets', '../sets'])(
    'does not lead out of its pool, as in %s',
    async (volume_id) => {
      await using harness = await controllerOf();
      await addDirectories(harness.pool, 'sets');
      expect(await failure(attach(harness, volume_id, 'a'))).toMatch(/^NOT_FOUND: /);
    },
  );

  test.each(['fabric0/sets', 'fabric0/sets/faces'])(
    'is never deleted by us: DeleteVolume of %s is fine and touches nothing',
    async (volume_id) => {
      await using harness = await controllerOf();
      await addDirectories(harness.pool, 'sets', 'sets/faces');
      const before = harness.pool.replica.position;
      await harness.controller.deleteVolume({ volume_id });
      expect(harness.pool.replica.position).toBe(before);
      expect(harness.pool.paths()).toEqual(['sets/faces/table', 'sets/table']);
    },
  );

  test.each(['fabric0/v', 'fabric0/v/sub'])(
    'keeps the volume whose files it has from being deleted: %s',
    async (handle) => {
      await using harness = await controllerOf();
      await harness.controller.createVolume(create('v'));
      await addDirectories(harness.pool, 'v/sub');
      await attach(harness, handle, 'b', READERS);
      expect(await failure(harness.controller.deleteVolume({ volume_id: 'v' }))).toBe(
        `FAILED_PRECONDITION: volume v: attached to b (as ${handle}); detach it there, then ` +
          'delete it',
      );
      await harness.controller.controllerUnpublishVolume({ volume_id: handle, node_id: 'b' });
      await harness.controller.deleteVolume({ volume_id: 'v' });
      expect(harness.pool.paths()).toEqual([]);
    },
  );

  test('that is being attached holds off the deletion of the volume until it is', async () => {
    const pool = MemoryPool.make('a', GiB);
    await addDirectories(pool, 'v');
    let release = () => {};
    const attachments = new MemoryAttachments();
    const added = new Promise<void>((isAdding) => {
      const add = attachments.add.bind(attachments);
      attachments.add = async (attachment) => {
        isAdding();
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        await add(attachment);
      };
    });
    const locks = new KeyedLock(10_000);
    const volumes = new Volumes({ pools: [pool], attachments, locks });
    const nodes = new StaticNodes(['b']);
    const holders = new VolumeAttachments({ volumes, attachments, nodes, locks });
    const wanted = { nodeId: 'b', readonly: true, mode: 'MULTI_NODE_READER_ONLY' } as const;
    const attached = holders.attach({ volumeId: 'a/v', ...wanted, dataPath: 'any' });
    await added;
    const deleted = rejection(volumes.delete('v'));
    await nextTurn();
    release();
    await attached;
    expect((await deleted).code).toBe('PRECONDITION');
    expect(pool.paths()).toEqual(['v/table']);
  });

  test('keeps no volume of the same name in another pool, and none of a longer one', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)] as const;
    await using harness = await controllerOf({ pools });
    await harness.controller.createVolume(create('v', { parameters: { pool: 'a' } }));
    await harness.controller.createVolume(create('vv', { parameters: { pool: 'a' } }));
    await addDirectories(pools[1], 'v');
    await attach(harness, 'b/v', 'b');
    await attach(harness, 'a/vv', 'b');
    await harness.controller.deleteVolume({ volume_id: 'v' });
    expect(pools[0].paths()).toEqual(['vv/data']);
  });

  test('lets other nodes read what one node writes by the id of the volume', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    await attach(harness, 'v', 'a');
    await attach(harness, 'fabric0/v', 'b', READERS);
    await attach(harness, 'fabric0/v', 'c', READERS);
    const { status } = await harness.controller.controllerGetVolume({ volume_id: 'v' });
    expect(status?.published_node_ids).toEqual(['a']);
  });

  test.each([
    ['fabric0/v', 'v'],
    ['v', 'fabric0/v'],
    ['fabric0/v/sub', 'v'],
    ['v', 'fabric0/v/sub'],
  ])('lets no second node write: %s, then %s', async (first, second) => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    await addDirectories(harness.pool, 'v/sub');
    await attach(harness, first, 'a');
    expect(await failure(attach(harness, second, 'b'))).toBe(
      `FAILED_PRECONDITION: volume ${second}: attached writable to a as ${first}, and with ` +
        'dataPath any one node at a time may write; detach it there, or attach it read-only here',
    );
    // On one node they share the page cache.
    await attach(harness, second, 'a');
  });
});

describe('ListVolumes with static handles', () => {
  test('lists those that are attached, behind all others, page by page', async () => {
    await using harness = await controllerOf();
    for (const name of ['v1', 'v2']) await harness.controller.createVolume(create(name));
    await addDirectories(harness.pool, 'zoo', 'zoo/cats', 'unused');
    await attach(harness, 'fabric0/zoo/cats', 'a');
    await attach(harness, 'fabric0/v1', 'b', READERS);
    // Volumes by their inode numbers, which the names give.
    const all = ['zoo', 'v1', 'v2', 'unused', 'fabric0/v1', 'fabric0/zoo/cats'];
    expect(await idsOf(harness)).toEqual({ ids: all, next_token: '' });
    const pages: unknown[] = [];
    for (let token = ''; pages.length < 5; ) {
      const { ids, next_token } = await idsOf(harness, 2, token);
      pages.push(ids);
      token = next_token;
      if (token === '') break;
    }
    expect(pages).toEqual([all.slice(0, 2), all.slice(2, 4), all.slice(4, 6)]);
    const last = await idsOf(harness, 5);
    expect((await idsOf(harness, 5, last.next_token)).ids).toEqual(['fabric0/zoo/cats']);
  });

  test('leaves out one whose directory is gone, and goes on behind it', async () => {
    await using harness = await controllerOf();
    await addDirectories(harness.pool, 'one', 'two');
    for (const name of ['one', 'two']) await attach(harness, `fabric0/${name}`, 'a');
    const { next_token } = await idsOf(harness, 2);
    await harness.pool.append((replica) => {
      const doomed = ['one/table', 'one'].map((path) => replica.namespace.lookup(path));
      const entries = doomed.map((node) => ({
        type: 'delete' as const,
        targetIndex: node?.entryIndex ?? -1,
        path: node?.path ?? '',
      }));
      return { entries, result: undefined };
    });
    expect((await idsOf(harness, 0, next_token)).ids).toEqual(['fabric0/two']);
  });

  test('says ABORTED for a token that names no handle', async () => {
    await using harness = await controllerOf();
    const starting_token = Buffer.from('=v').toString('base64url');
    expect(await failure(harness.controller.listVolumes({ starting_token }))).toMatch(/^ABORTED: /);
  });
});
