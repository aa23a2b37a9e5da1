import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { fabricKey } from '../../src/csi/topology.ts';
import { failure } from '../csi/harness.ts';
import { controllerOf, create } from './harness.ts';
import { MemoryPool } from './memory-pool.ts';

const DRIVER = 'csi.famfs.io';

function placeOf(...pools: MemoryPool[]) {
  const keys = pools.map(({ fsUuid }) => fabricKey(DRIVER, fsUuid));
  return { segments: Object.fromEntries(keys.map((key) => [key, 'true'])) };
}

describe('topology', () => {
  test('is a label with the first digits of the uuid, valid as Kubernetes has labels', () => {
    const key = fabricKey(DRIVER, 'ABCDEF01-2345-4678-9abc-def012345678');
    expect(key).toBe('topology.csi.famfs.io/fabric-abcdef01');
    expect(key).toMatch(/^[a-z0-9.-]{1,253}\/[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
  });

  test('of a new volume is the fabric of its pool', async () => {
    await using harness = await controllerOf();
    const { volume } = await harness.controller.createVolume(create('v'));
    expect(volume?.accessible_topology).toEqual([placeOf(harness.pool)]);
  });

  test('that permits one of the nodes of the fabric is enough', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)];
    await using harness = await controllerOf({ pools });
    const [a, b] = pools as [MemoryPool, MemoryPool];
    const requisite = [placeOf(b), placeOf(a, b)];
    const init = { parameters: { pool: 'a' }, accessibility_requirements: { requisite } };
    const { volume } = await harness.controller.createVolume(create('v', init));
    expect(volume?.accessible_topology).toEqual([placeOf(a)]);
  });

  test('that permits no node of the fabric gets no volume, and leaves none', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)];
    await using harness = await controllerOf({ pools });
    const [a, b] = pools as [MemoryPool, MemoryPool];
    for (const places of [{ requisite: [placeOf(b)] }, { preferred: [placeOf(b)] }]) {
      const init = { parameters: { pool: 'a' }, accessibility_requirements: places };
      expect(await failure(harness.controller.createVolume(create('v', init)))).toBe(
        'RESOURCE_EXHAUSTED: accessibility_requirements: the pool is reached from nodes with ' +
          `${fabricKey(DRIVER, a.fsUuid)}=true, and the request permits none of them; use a pool ` +
          'of the fabric that those nodes are on, or let the pod run on others',
      );
    }
    expect((await harness.controller.listVolumes({})).entries).toEqual([]);
  });

  test('without places permits all', async () => {
    await using harness = await controllerOf();
    const init = { accessibility_requirements: { requisite: [], preferred: [] } };
    await harness.controller.createVolume(create('v', init));
  });
});

describe('GetCapacity', () => {
  test('is of the pools that are reached from there', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', 2 * GiB)];
    await using harness = await controllerOf({ pools });
    const [a, b] = pools as [MemoryPool, MemoryPool];
    const capacity = async (place: ReturnType<typeof placeOf> | null, pool?: string) => {
      const reply = await harness.controller.getCapacity({
        accessible_topology: place,
        parameters: pool === undefined ? {} : { pool },
      });
      expect(reply.maximum_volume_size?.value).toBe(reply.available_capacity);
      return Number(reply.available_capacity);
    };
    const [inA, inB] = [a, b].map((pool) => pool.replica.space.largestFreeBytes);
    expect(inB).toBeGreaterThan((inA ?? 0) + 512 * MiB);
    expect(await capacity(null)).toBe(inB);
    expect(await capacity(placeOf(a))).toBe(inA);
    expect(await capacity(placeOf(a, b))).toBe(inB);
    expect(await capacity(placeOf(a), 'b')).toBe(0);
    expect(await capacity(placeOf(b), 'b')).toBe(inB);
    expect(await capacity({ segments: {} })).toBe(0);
    expect(await capacity({ segments: { zone: 'true' } }, 'a')).toBe(0);
  });

  test('is what one volume can have, not the sum of the gaps', async () => {
    await using harness = await controllerOf({ pools: [MemoryPool.make('a', GiB)] });
    const reply = () => harness.controller.getCapacity({});
    const largest = Number((await reply()).maximum_volume_size?.value);
    const tooMuch = create('v', { capacity_range: { required_bytes: largest + 1 } });
    expect(await failure(harness.controller.createVolume(tooMuch))).toMatch(/^RESOURCE_EXHAUSTED/);
    await harness.controller.createVolume(
      create('v', { capacity_range: { required_bytes: largest } }),
    );
    expect((await reply()).available_capacity).toBe('0');
  });
});
