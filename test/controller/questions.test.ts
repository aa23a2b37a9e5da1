import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import type { Client } from '../../src/csi/rpc.ts';
import { failure } from '../csi/harness.ts';
import { capability, controllerOf, create } from './harness.ts';
import { MemoryPool } from './memory-pool.ts';

type Controller = Client<'Controller'>;

async function page(controller: Controller, max_entries: number, starting_token = '') {
  const { entries, next_token } = await controller.listVolumes({ max_entries, starting_token });
  return { ids: entries.map((entry) => entry.volume?.volume_id ?? ''), next_token };
}

describe('ListVolumes', () => {
  test('lists every volume with its size and the nodes that have it', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v1'));
    await controller.createVolume(create('v2', { capacity_range: { required_bytes: 5 } }));
    await controller.controllerPublishVolume({
      volume_id: 'v2',
      node_id: 'b',
      volume_capability: capability(),
    });
    const { entries, next_token } = await controller.listVolumes({});
    expect(next_token).toBe('');
    expect(entries).toMatchObject([
      {
        volume: { volume_id: 'v1', capacity_bytes: String(64 * MiB) },
        status: { published_node_ids: [] },
      },
      { volume: { volume_id: 'v2', capacity_bytes: '5' }, status: { published_node_ids: ['b'] } },
    ]);
  });

  test('goes page by page through all pools', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)];
    await using harness = await controllerOf({ pools });
    for (const [name, pool] of Object.entries({ v1: 'a', v2: 'b', v3: 'a', v4: 'b', v5: 'a' })) {
      await harness.controller.createVolume(create(name, { parameters: { pool } }));
    }
    const first = await page(harness.controller, 2);
    const second = await page(harness.controller, 2, first.next_token);
    const third = await page(harness.controller, 2, second.next_token);
    // Pool by pool; within one by the inode numbers, which the names give.
    expect([first.ids, second.ids, third.ids].map(({ length }) => length)).toEqual([2, 2, 1]);
    const ids = [...first.ids, ...second.ids, ...third.ids];
    expect([ids.slice(0, 3).sort(), ids.slice(3).sort()]).toEqual([
      ['v1', 'v3', 'v5'],
      ['v2', 'v4'],
    ]);
    expect(third.next_token).toBe('');
  });

  test('neither repeats nor loses a volume when others come and go between pages', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    for (const name of ['v1', 'v2', 'v3', 'v4']) await controller.createVolume(create(name));
    const { ids: all } = await page(controller, 0);
    expect([...all].sort()).toEqual(['v1', 'v2', 'v3', 'v4']);
    const first = await page(controller, 2);
    expect(first.ids).toEqual(all.slice(0, 2));
    // The listed ones, the one that the token stands at, and new ones on both sides of it.
    for (const volume_id of all.slice(0, 3)) await controller.deleteVolume({ volume_id });
    for (const name of ['v5', 'v6', 'v7', 'v8']) await controller.createVolume(create(name));
    const { ids: rest } = await page(controller, 2, first.next_token);
    expect(rest).toContain(all[3]);
    expect(new Set(rest).size).toBe(rest.length);
    expect(rest.filter((id) => first.ids.includes(id))).toEqual([]);
  });

  test('goes on where it stopped when the log was compacted between pages', async () => {
    await using harness = await controllerOf();
    const { controller, pool } = harness;
    for (let at = 0; at < 20; at++) await controller.createVolume(create(`gone-${at}`));
    const kept = Array.from({ length: 20 }, (_, at) => `kept-${at}`);
    for (const name of kept) await controller.createVolume(create(name));
    const first = await page(controller, 20);
    for (let at = 0; at < 20; at++) await controller.deleteVolume({ volume_id: `gone-${at}` });
    await pool.compact();
    const second = await page(controller, 0, first.next_token);
    const seen = [...first.ids, ...second.ids].filter((id) => id.startsWith('kept'));
    expect(seen.sort()).toEqual([...kept].sort());
  });

  test('shows only volumes: no empty directory, hidden one, or file', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    const owner = { uid: 0, gid: 0, mode: 0o700 };
    await harness.pool.append((replica) => {
      const fmap = replica.space.find({ strips: 0 }, MiB);
      return {
        entries: [
          { type: 'mkdir', path: 'empty', ...owner },
          { type: 'file', path: 'file', sizeBytes: 1, flags: 2, fmap, ...owner },
        ],
        result: undefined,
      };
    });
    expect((await page(harness.controller, 0)).ids).toEqual(['v']);
  });
});

describe('ControllerGetVolume', () => {
  test('describes the volume, and does not know an unknown one', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    expect(await harness.controller.controllerGetVolume({ volume_id: 'v' })).toMatchObject({
      volume: { volume_id: 'v', capacity_bytes: String(64 * MiB) },
      status: { published_node_ids: [] },
    });
    for (const volume_id of ['x', '../v']) {
      const told = await failure(harness.controller.controllerGetVolume({ volume_id }));
      expect(told).toMatch(/^NOT_FOUND: volume .*: no such volume in fabric0/);
    }
  });
});

describe('ValidateVolumeCapabilities', () => {
  const capabilities = [capability('MULTI_NODE_MULTI_WRITER')];

  test('confirms what the volume can serve, with what was asked', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    const { volume } = await controller.createVolume(create('v'));
    const reply = await controller.validateVolumeCapabilities({
      volume_id: 'v',
      volume_capabilities: capabilities,
      volume_context: volume?.volume_context ?? {},
    });
    expect(reply.message).toBe('');
    expect(reply.confirmed).toMatchObject({
      volume_capabilities: capabilities,
      volume_context: volume?.volume_context,
    });
  });

  test.each([
    ['a mode that the data path cannot keep', { volume_context: { dataPath: 'any' } }, /close-to/],
    ['another pool', { volume_context: { pool: 'x' } }, /volume_context\.pool: found "x"/],
    ['a parameter that does not exist', { parameters: { size: '1' } }, /parameters\.size/],
    ['volumeMode Block', { volume_capabilities: [{ block: {} }] }, /\.block: /],
  ])('answers with a reason, not an error, to %s', async (_, change, reason) => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    const request = { volume_id: 'v', volume_capabilities: capabilities, ...change };
    const reply = await harness.controller.validateVolumeCapabilities(request);
    expect(reply.confirmed).toBeNull();
    expect(reply.message).toMatch(reason);
  });

  test('does not know an unknown volume, and needs capabilities', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    const unknown = { volume_id: 'v', volume_capabilities: capabilities };
    expect(await failure(controller.validateVolumeCapabilities(unknown))).toMatch(/^NOT_FOUND: /);
    expect(await failure(controller.validateVolumeCapabilities({ volume_id: 'v' }))).toMatch(
      /^INVALID_ARGUMENT: volume_capabilities: missing/,
    );
  });
});

describe('GetCapacity', () => {
  test('tells the largest volume that can be made, and that one can', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    const before = await controller.getCapacity({});
    expect(before.available_capacity).toBe(String(4 * GiB - 10 * MiB));
    expect(before.maximum_volume_size?.value).toBe(before.available_capacity);
    const capacity_range = { required_bytes: before.available_capacity };
    await controller.createVolume(create('v', { capacity_range }));
    expect((await controller.getCapacity({})).available_capacity).toBe('0');
  });

  test('tells it of the pool and the layout that are named, or else of the best pool', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', 8 * GiB)];
    await using harness = await controllerOf({ pools });
    const capacity = async (parameters: Record<string, string>) =>
      Number((await harness.controller.getCapacity({ parameters })).available_capacity);
    expect(await capacity({ pool: 'a' })).toBe(GiB - 10 * MiB);
    expect(await capacity({})).toBe(8 * GiB - 10 * MiB);
    expect(await capacity({ pool: 'b', strips: '4' })).toBe(
      pools[1]?.replica.space.largestAllocatable({ strips: 4, buckets: 4, chunkBytes: 2 * MiB }),
    );
  });

  test('is nothing for block volumes', async () => {
    await using harness = await controllerOf();
    const volume_capabilities = [{ block: {} }];
    const reply = await harness.controller.getCapacity({ volume_capabilities });
    expect(reply.available_capacity).toBe('0');
  });
});

describe('ControllerGetCapabilities', () => {
  test('names what is there, and nothing that is not', async () => {
    await using harness = await controllerOf();
    const { capabilities } = await harness.controller.controllerGetCapabilities({});
    expect(capabilities.map((one) => one.rpc?.type).sort()).toEqual([
      'CREATE_DELETE_VOLUME',
      'GET_CAPACITY',
      'GET_VOLUME',
      'LIST_VOLUMES',
      'LIST_VOLUMES_PUBLISHED_NODES',
      'PUBLISH_READONLY',
      'PUBLISH_UNPUBLISH_VOLUME',
      'SINGLE_NODE_MULTI_WRITER',
      'VOLUME_CONDITION',
    ]);
    const told = await failure(harness.controller.controllerExpandVolume({ volume_id: 'v' }));
    expect(told).toMatch(/^UNIMPLEMENTED/);
  });
});
