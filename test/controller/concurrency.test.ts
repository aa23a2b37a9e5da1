import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { fmapExtents } from '../../src/format/extents.ts';
import { failure, gate } from '../csi/harness.ts';
import { controllerOf, create, MemoryAttachments } from './harness.ts';
import { expectClean, MemoryPool } from './memory-pool.ts';

describe('concurrent requests', () => {
  test('64 creates at once make 64 volumes apart from each other, in few batches', async () => {
    await using harness = await controllerOf({ pools: [MemoryPool.make('p', 8 * GiB)] });
    const { controller, pool } = harness;
    const names = Array.from({ length: 64 }, (_, at) => `pvc-${at}`);
    const before = pool.memory.publishes;
    const replies = await Promise.all(names.map((name) => controller.createVolume(create(name))));
    expect(new Set(replies.map((reply) => reply.volume?.volume_id))).toEqual(new Set(names));
    expect(pool.paths()).toEqual(names.map((name) => `${name}/data`).sort());
    expect(pool.replica.position).toBe(128);
    expect((pool.memory.publishes - before) / 2).toBeLessThan(32);
    const extents = [...pool.replica.namespace.files()]
      .flatMap((file) => fmapExtents(file.fmap))
      .sort((a, b) => a.offset - b.offset);
    for (const [at, extent] of extents.slice(1).entries()) {
      const before = extents[at];
      expect((before?.offset ?? 0) + (before?.lengthBytes ?? 0)).toBeLessThanOrEqual(extent.offset);
    }
  });

  test('creates of one name at once make one volume and get the same reply', async () => {
    await using harness = await controllerOf();
    const calls = Array.from({ length: 10 }, () => harness.controller.createVolume(create('v')));
    const [first, ...others] = await Promise.all(calls);
    for (const other of others) expect(other).toEqual(first);
    expect(harness.pool.replica.position).toBe(2);
  });

  test('two controllers that create one name make one volume', async () => {
    const pool = MemoryPool.make('p', GiB);
    await using one = await controllerOf({ pools: [pool] });
    await using other = await controllerOf({ pools: [pool.reopened()] });
    const first = await one.controller.createVolume(create('v'));
    expect(await other.controller.createVolume(create('v'))).toEqual(first);
    expect(pool.follow()).toBe(2);
  });

  test('creates and deletes of the same names in any order leave a clean log', async () => {
    await using harness = await controllerOf({ pools: [MemoryPool.make('p', 16 * GiB)] });
    const { controller } = harness;
    const calls = Array.from({ length: 60 }, (_, at) => {
      const name = `v${at % 7}`;
      return at % 3 === 2
        ? controller.deleteVolume({ volume_id: name })
        : controller.createVolume(create(name));
    });
    await Promise.all(calls);
    expectClean(harness.pool);
  });

  test('answers ABORTED to who waits too long for a busy volume', async () => {
    const asked = gate();
    const reply = gate();
    class SlowAttachments extends MemoryAttachments {
      override async remove(): Promise<void> {
        asked.open();
        await reply.promise;
      }
    }
    const attachments = new SlowAttachments();
    await using harness = await controllerOf({ attachments, lockPatienceMs: 20 });
    await harness.controller.createVolume(create('v'));
    const slow = harness.controller.controllerUnpublishVolume({ volume_id: 'v' });
    await asked.promise;
    const told = await failure(harness.controller.deleteVolume({ volume_id: 'v' }));
    expect(told).toMatch(/^ABORTED: v: another operation on it is running/);
    reply.open();
    await slow;
    await harness.controller.deleteVolume({ volume_id: 'v' });
  });
});

describe('a controller that dies while it writes', () => {
  test('leaves one volume and no leak once the create is retried, whenever it died', async () => {
    const range = { capacity_range: { required_bytes: 64 * MiB } };
    let died = 0;
    for (let stores = 0; stores < 5; stores += 1) {
      const pool = MemoryPool.make('p', GiB);
      const free = pool.replica.space.freeBytes;
      {
        await using dying = await controllerOf({ pools: [pool] });
        pool.memory.dieAfter(stores);
        const first = dying.controller.createVolume(create('v', range));
        await first.catch(() => {
          died += 1;
        });
      }
      const survivor = pool.reopened();
      expectClean(survivor);
      await using successor = await controllerOf({ pools: [survivor] });
      const { volume } = await successor.controller.createVolume(create('v', range));
      expect(volume?.volume_id).toBe('v');
      expect(survivor.paths()).toEqual(['v/data']);
      expect(survivor.replica.space.freeBytes).toBe(free - 64 * MiB);
      expect(survivor.replica.position).toBe(2);
    }
    expect(died).toBe(4); // before the entries, the owner's word, next_seqnum, next_index
  });
});

describe('a pool that cannot be read', () => {
  test('does not make its volumes look deleted', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)];
    await using harness = await controllerOf({ pools });
    const { controller } = harness;
    await controller.createVolume(create('v1', { parameters: { pool: 'a' } }));
    await controller.createVolume(create('v2', { parameters: { pool: 'b' } }));
    const [broken] = pools;
    if (broken === undefined) throw new Error('no pool');
    const { follow } = broken;
    broken.follow = () => {
      throw new Error('bus error');
    };
    expect(await failure(controller.deleteVolume({ volume_id: 'v1' }))).toMatch(/^INTERNAL: /);
    expect(await failure(controller.deleteVolume({ volume_id: 'x' }))).toMatch(/^INTERNAL: /);
    expect(await failure(controller.listVolumes({}))).toMatch(/^INTERNAL: /);
    await controller.deleteVolume({ volume_id: 'v2' });
    broken.follow = follow;
    expect(broken.paths()).toEqual(['v1/data']);
  });
});
