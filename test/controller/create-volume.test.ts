import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { failure } from '../csi/harness.ts';
import { controllerOf, create } from './harness.ts';
import { MemoryPool } from './memory-pool.ts';

describe('CreateVolume', () => {
  test('makes a directory with one file of exactly the size asked for', async () => {
    await using harness = await controllerOf();
    const range = { required_bytes: 1_000_001 };
    const reply = await harness.controller.createVolume(create('pvc-1', { capacity_range: range }));
    expect(reply.volume).toMatchObject({
      volume_id: 'pvc-1',
      capacity_bytes: '1000001',
      volume_context: {
        pool: 'fabric0',
        fsUuid: harness.pool.fsUuid,
        path: 'pvc-1',
        logPosition: '2',
        logGeneration: '0',
        dataPath: 'dax',
      },
    });
    const { namespace } = harness.pool.replica;
    expect(namespace.lookup('pvc-1')).toMatchObject({ kind: 'directory', mode: 0o777 });
    const file = { kind: 'file', sizeBytes: 1_000_001, mode: 0o666, uid: 0, gid: 0 };
    expect(namespace.lookup('pvc-1/data')).toMatchObject(file);
  });

  test('reveals directory and file in one step', async () => {
    await using harness = await controllerOf();
    const before = harness.pool.memory.stores;
    await harness.controller.createVolume(create('pvc-1'));
    // Both entries, then the owner's word, next_seqnum, next_index.
    expect(harness.pool.memory.stores - before).toBe(4);
  });

  test('does what the StorageClass says', async () => {
    const pools = [MemoryPool.make('a', 4 * GiB), MemoryPool.make('b', 16 * GiB)];
    await using harness = await controllerOf({ pools });
    const parameters = {
      pool: 'b',
      dataPath: 'any',
      fileName: 'weights.bin',
      mode: '0640',
      uid: '1000',
      gid: '2000',
      strips: '4',
      chunkSize: '4Mi',
      'csi.storage.k8s.io/pvc/name': 'claim',
      'csi.storage.k8s.io/pvc/namespace': 'default',
      'csi.storage.k8s.io/pv/name': 'pvc-1',
    };
    const reply = await harness.controller.createVolume(create('pvc-1', { parameters }));
    expect(reply.volume?.volume_context).toMatchObject({ pool: 'b', dataPath: 'any' });
    const { namespace } = pools[1]?.replica ?? harness.pool.replica;
    expect(namespace.lookup('pvc-1')).toMatchObject({ mode: 0o750, uid: 1000, gid: 2000 });
    expect(namespace.lookup('pvc-1/weights.bin')).toMatchObject({
      mode: 0o640,
      uid: 1000,
      gid: 2000,
      fmap: { type: 'interleaved', chunkBytes: 4 * MiB },
    });
    expect(pools[0]?.replica.position).toBe(0);
  });

  test.each([
    ['1 GiB when no size is asked for', {}, GiB],
    ['the limit when only a smaller limit is given', { limit_bytes: 5 * MiB }, 5 * MiB],
    ['what is required, not the limit', { required_bytes: MiB, limit_bytes: 2 * GiB }, MiB],
  ])('gives %s', async (_, capacity_range, expected) => {
    await using harness = await controllerOf();
    const { volume } = await harness.controller.createVolume(create('v', { capacity_range }));
    expect(volume?.capacity_bytes).toBe(String(expected));
  });

  test('gives the same reply again, however often and after whatever else was made', async () => {
    await using harness = await controllerOf();
    const first = await harness.controller.createVolume(create('pvc-1'));
    await harness.controller.createVolume(create('pvc-2'));
    const before = harness.pool.replica.position;
    for (let times = 0; times < 10; times += 1) {
      expect(await harness.controller.createVolume(create('pvc-1'))).toEqual(first);
    }
    expect(harness.pool.replica.position).toBe(before);
  });

  test('gives the volume that is there when its size is in the range', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    const capacity_range = { required_bytes: MiB, limit_bytes: GiB };
    const { volume } = await harness.controller.createVolume(create('v', { capacity_range }));
    expect(volume?.capacity_bytes).toBe(String(64 * MiB));
  });

  test.each([
    ['a larger size', { capacity_range: { required_bytes: 65 * MiB } }, /size 67108864.*required/],
    ['a smaller limit', { capacity_range: { limit_bytes: MiB } }, /size 67108864.*limit_bytes/],
    ['another pool', { parameters: { pool: 'b' } }, /in pool a, this request wants pool b/],
    ['another file', { parameters: { pool: 'a', fileName: 'x' } }, /file data.*wants x/],
    ['another mode', { parameters: { pool: 'a', mode: '600' } }, /mode 0666.*wants 0600/],
    ['another owner', { parameters: { pool: 'a', uid: '7' } }, /uid 0.*wants 7/],
  ])('says ALREADY_EXISTS when the name is asked for with %s', async (_, change, message) => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)];
    await using harness = await controllerOf({ pools });
    const parameters = { pool: 'a' };
    await harness.controller.createVolume(create('v', { parameters }));
    const call = harness.controller.createVolume(create('v', { parameters, ...change }));
    const told = await failure(call);
    expect(told).toMatch(/^ALREADY_EXISTS: name v: its volume v/);
    expect(told).toMatch(message);
    expect(pools.map((pool) => pool.replica.position)).toEqual([2, 0]);
  });

  test('completes a directory without a file that somebody left half-made', async () => {
    await using harness = await controllerOf();
    const mkdir = { type: 'mkdir', path: 'v', uid: 0, gid: 0, mode: 0o777 } as const;
    await harness.pool.append(() => ({ entries: [mkdir], result: undefined }));
    await harness.controller.createVolume(create('v'));
    expect(harness.pool.paths()).toEqual(['v/data']);
    expect(harness.pool.replica.position).toBe(2);
  });

  test('takes a name for its volume again after it was deleted', async () => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    await harness.controller.deleteVolume({ volume_id: 'v' });
    const { volume } = await harness.controller.createVolume(create('v'));
    expect(volume?.volume_context.logPosition).toBe('6');
    expect(harness.pool.paths()).toEqual(['v/data']);
  });

  test.each([
    ['a name with a path in it', '../x'],
    ['a name of the longest length', 'n'.repeat(128)],
    ['a hidden name', '.meta'],
    ['a name with spaces and other letters', 'größe und mehr'],
  ])('gives %s a hash for its id, the same every time', async (_, name) => {
    await using harness = await controllerOf();
    const first = await harness.controller.createVolume(create(name));
    expect(first.volume?.volume_id).toMatch(/^h-[0-9a-f]{38}$/);
    expect(await harness.controller.createVolume(create(name))).toEqual(first);
    expect(harness.pool.paths()).toEqual([`${first.volume?.volume_id}/data`]);
  });

  test('works with the longest file name that a path in the log has room for', async () => {
    await using harness = await controllerOf();
    const name = 'n'.repeat(40);
    const fileName = 'f'.repeat(38);
    await harness.controller.createVolume(create(name, { parameters: { fileName } }));
    expect(harness.pool.paths()).toEqual([`${name}/${fileName}`]);
  });
});
