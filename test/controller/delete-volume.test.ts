import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { failure } from '../csi/harness.ts';
import { capability, controllerOf, create } from './harness.ts';

const OWNER = { uid: 0, gid: 0, mode: 0o600 };

describe('DeleteVolume', () => {
  test('takes file and directory away in one step, and is fine with doing so again', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    const before = harness.pool.memory.publishes;
    await harness.controller.deleteVolume({ volume_id: 'v' });
    expect(harness.pool.memory.publishes - before).toBe(3); // one append
    for (let times = 0; times < 10; times += 1) {
      await harness.controller.deleteVolume({ volume_id: 'v' });
    }
    expect(harness.pool.replica.position).toBe(4);
    expect(harness.pool.replica.namespace.root.childCount).toBe(0);
  });

  test.each([['a'], ['a', 'b']])('refuses a volume that is attached to %s', async (...nodes) => {
    await using harness = await controllerOf();
    const { volume } = await harness.controller.createVolume(create('v'));
    for (const node_id of nodes) {
      await harness.controller.controllerPublishVolume({
        ...{
          volume_id: 'v',
          node_id,
          readonly: true,
          volume_context: volume?.volume_context ?? {},
        },
        volume_capability: capability('MULTI_NODE_READER_ONLY'),
      });
    }
    expect(await failure(harness.controller.deleteVolume({ volume_id: 'v' }))).toBe(
      `FAILED_PRECONDITION: volume v: attached to ${nodes.join(', ')}; detach it there, then ` +
        'delete it',
    );
    expect(harness.pool.paths()).toEqual(['v/data']);
  });

  test('says how much is in quarantine, and for whom it waits, when the pool is full', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    await harness.controller.deleteVolume({ volume_id: 'v' });
    const big = create('big', { capacity_range: { required_bytes: 4 * GiB } });
    expect(await failure(harness.controller.createVolume(big))).toMatch(
      /; 64 MiB more are in quarantine: 64 MiB of v, deleted 20\S+Z, wait for node \? \(nobody/,
    );
    const { available_capacity: available } = await harness.controller.getCapacity({});
    expect(Number(available)).toBe(harness.pool.replica.space.largestFreeBytes);
  });

  test('does not hand out the memory of a deleted volume yet', async () => {
    await using harness = await controllerOf();
    const before = harness.pool.replica.space.freeBytes;
    await harness.controller.createVolume(create('v'));
    await harness.controller.deleteVolume({ volume_id: 'v' });
    expect(harness.pool.replica.space.freeBytes).toBe(before - 64 * MiB);
  });

  test('takes away all that others put into the directory', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    await harness.pool.append((replica) => {
      const fmap = replica.space.find({ strips: 0 }, MiB);
      const file = { type: 'file', path: 'v/sub/f', sizeBytes: MiB, flags: 2, fmap, ...OWNER };
      const sub = { type: 'mkdir', path: 'v/sub', ...OWNER };
      return { entries: [sub, file] as NewEntry[], result: undefined };
    });
    await harness.controller.deleteVolume({ volume_id: 'v' });
    expect(harness.pool.replica.namespace.root.childCount).toBe(0);
  });

  test('takes away a directory that was left without a file', async () => {
    await using harness = await controllerOf();
    const mkdir: NewEntry = { type: 'mkdir', path: 'v', ...OWNER };
    await harness.pool.append(() => ({ entries: [mkdir], result: undefined }));
    await harness.controller.deleteVolume({ volume_id: 'v' });
    expect(harness.pool.replica.namespace.lookup('v')).toBeUndefined();
  });

  test.each(['unknown', '.', '..', '../v', 'v/data', '/v', 'v/', ' ', 'h-'])(
    'is fine with the unknown id "%s" and touches nothing',
    async (volume_id) => {
      await using harness = await controllerOf();
      await harness.controller.createVolume(create('v'));
      await harness.controller.deleteVolume({ volume_id });
      expect(harness.pool.paths()).toEqual(['v/data']);
      expect(harness.pool.replica.position).toBe(2);
    },
  );

  test.each([
    ['is too long', 'x'.repeat(200)],
    ['has control characters', 'v\u0000'],
  ])('refuses an id that %s', async (_, volume_id) => {
    await using harness = await controllerOf();
    const told = await failure(harness.controller.deleteVolume({ volume_id }));
    expect(told).toMatch(/^INVALID_ARGUMENT: volume_id: found/);
  });

  test('leaves a file alone that has the name of a volume', async () => {
    await using harness = await controllerOf();
    await harness.pool.append((replica) => {
      const fmap = replica.space.find({ strips: 0 }, MiB);
      const file: NewEntry = { type: 'file', path: 'v', sizeBytes: 1, flags: 2, fmap, ...OWNER };
      return { entries: [file], result: undefined };
    });
    await harness.controller.deleteVolume({ volume_id: 'v' });
    expect(harness.pool.paths()).toEqual(['v']);
  });

  test('refuses while nodes have the volume attached, and names them', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    const volume = { volume_id: 'v', volume_capability: capability('MULTI_NODE_READER_ONLY') };
    for (const node_id of ['a', 'c']) {
      await controller.controllerPublishVolume({ ...volume, node_id });
    }
    expect(await failure(controller.deleteVolume({ volume_id: 'v' }))).toBe(
      'FAILED_PRECONDITION: volume v: attached to a, c; detach it there, then delete it',
    );
    expect(harness.pool.paths()).toEqual(['v/data']);
    await controller.controllerUnpublishVolume({ volume_id: 'v' });
    await controller.deleteVolume({ volume_id: 'v' });
    expect(harness.pool.paths()).toEqual([]);
  });
});
