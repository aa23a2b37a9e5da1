import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { failure } from '../csi/harness.ts';
import { type CreateInit, capability, controllerOf, create } from './harness.ts';
import { MemoryPool } from './memory-pool.ts';

const content = { volume_content_source: { snapshot: { snapshot_id: 's' } } };

/** Rows: what is wrong, the request, what the message must say. */
const INVALID: [string, CreateInit, RegExp][] = [
  ['no name', create(''), /name: missing/],
  ['a name of 200 characters', create('x'.repeat(200)), /name: found 200 bytes.*at most 128/],
  ['a control character in the name', create('a\u0007b'), /name: found the control char.*U\+0007/],
  ['no capability', create('v', { volume_capabilities: [] }), /volume_capabilities: missing/],
  [
    'volumeMode Block',
    create('v', { volume_capabilities: [{ ...capability(), mount: null, block: {} }] }),
    /volume_capabilities\[0\]\.block: .*use volumeMode: Filesystem/,
  ],
  [
    'several writing nodes on the buffered path',
    create('v', {
      volume_capabilities: [capability('MULTI_NODE_MULTI_WRITER')],
      parameters: { dataPath: 'any' },
    }),
    /access_mode\.mode: found MULTI_NODE_MULTI_WRITER.*dataPath any/,
  ],
  [
    'an unknown parameter',
    create('v', { parameters: { size: '1' } }),
    /parameters\.size: unknown, expected one of pool, dataPath, fileName/,
  ],
  [
    'an unknown pool',
    create('v', { parameters: { pool: 'x' } }),
    /parameters\.pool: found "x", expected one of fabric0/,
  ],
  [
    'a required size above the limit',
    create('v', { capacity_range: { required_bytes: 2, limit_bytes: 1 } }),
    /capacity_range: found required_bytes 2 above limit_bytes 1/,
  ],
  [
    'a negative size',
    create('v', { capacity_range: { required_bytes: -1 } }),
    /capacity_range\.required_bytes: found -1, expected a number from 0/,
  ],
  [
    'a size that a number does not hold',
    create('v', { capacity_range: { limit_bytes: '9007199254740993' } }),
    /capacity_range\.limit_bytes: found 9007199254740993, expected/,
  ],
  ['a source to copy from', create('v', content), /volume_content_source: .*not supported/],
  [
    'parameters that could be changed later',
    create('v', { mutable_parameters: { iops: '1' } }),
    /mutable_parameters\.iops: .*VolumeAttributesClass/,
  ],
];

describe('CreateVolume with bad input', () => {
  test.each(INVALID)('refuses %s and makes nothing', async (_, request, message) => {
    await using harness = await controllerOf();
    const told = await failure(harness.controller.createVolume(request));
    expect(told).toMatch(/^INVALID_ARGUMENT: /);
    expect(told).toMatch(message);
    expect(harness.pool.replica.position).toBe(0);
  });

  test('needs the pool to be named when there are several', async () => {
    const pools = [MemoryPool.make('a', GiB), MemoryPool.make('b', GiB)];
    await using harness = await controllerOf({ pools });
    const told = await failure(harness.controller.createVolume(create('v')));
    expect(told).toBe('INVALID_ARGUMENT: parameters.pool: missing, expected one of a, b');
  });

  test('tells the largest size that would fit when the pool is full', async () => {
    await using harness = await controllerOf({ pools: [MemoryPool.make('p', 64 * MiB)] });
    const capacity_range = { required_bytes: GiB };
    const call = harness.controller.createVolume(create('v', { capacity_range }));
    const largest = 54 * MiB; // the device less superblock and log
    expect(await failure(call)).toBe(
      'RESOURCE_EXHAUSTED: capacity_range.required_bytes: found 1073741824 (1 GiB), but the ' +
        `largest volume that fits pool p now is ${largest} bytes (54 MiB); ask for less, or use ` +
        'another pool',
    );
    expect(harness.pool.replica.position).toBe(0);
    const fitting = { required_bytes: largest };
    await harness.controller.createVolume(create('v', { capacity_range: fitting }));
    expect((await harness.controller.getCapacity({})).available_capacity).toBe('0');
  });

  test('tells which log is full, and leaves no half of a volume', async () => {
    await using harness = await controllerOf();
    const { pool } = harness;
    const { capacity } = pool.replica;
    const reserved = 128; // for deletions
    const entries = Array.from(
      { length: capacity - reserved - 1 },
      (_, at) => ({ type: 'mkdir', path: `d${at}`, uid: 0, gid: 0, mode: 0o700 }) as const,
    );
    await pool.append(() => ({ entries, result: undefined }));
    const told = await failure(harness.controller.createVolume(create('v')));
    expect(told).toMatch(/^RESOURCE_EXHAUSTED: pool fabric0: log: 2 more entries do not fit, 1 of/);
    expect(pool.replica.namespace.lookup('v')).toBeUndefined();
    expect((await harness.controller.getCapacity({})).available_capacity).toBe('0');
  });

  test('refuses a name that a file of the pool has', async () => {
    await using harness = await controllerOf();
    await harness.pool.append((replica) => {
      const fmap = replica.space.find({ strips: 0 }, MiB);
      const file = { path: 'v', sizeBytes: MiB, flags: 2, uid: 0, gid: 0, mode: 0o600, fmap };
      return { entries: [{ type: 'file', ...file }], result: undefined };
    });
    const told = await failure(harness.controller.createVolume(create('v')));
    expect(told).toMatch(/^ALREADY_EXISTS: volume v: the pool's root has a file of this name/);
  });
});

describe('other requests with bad input', () => {
  test.each([
    'deleteVolume',
    'controllerGetVolume',
    'controllerPublishVolume',
    'controllerUnpublishVolume',
    'validateVolumeCapabilities',
  ] as const)('%s needs a volume id', async (method) => {
    await using harness = await controllerOf();
    const told = await failure(harness.controller[method]({}));
    expect(told).toBe('INVALID_ARGUMENT: volume_id: missing, expected the id of a volume');
  });

  test.each([
    ['no node', { volume_id: 'v', volume_capability: capability() }, /node_id: missing/],
    ['no capability', { volume_id: 'v', node_id: 'a' }, /volume_capability: missing/],
    [
      'an unknown data path',
      {
        volume_id: 'v',
        node_id: 'a',
        volume_capability: capability(),
        volume_context: { dataPath: 'fast' },
      },
      /volume_context\.dataPath: found "fast", expected dax or any/,
    ],
  ])('ControllerPublishVolume refuses %s', async (_, request, message) => {
    await using harness = await controllerOf();
    const told = await failure(harness.controller.controllerPublishVolume(request));
    expect(told).toMatch(/^INVALID_ARGUMENT: /);
    expect(told).toMatch(message);
  });

  test('GetCapacity refuses an unknown pool and an unknown parameter', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    expect(await failure(controller.getCapacity({ parameters: { pool: 'x' } }))).toMatch(
      /^INVALID_ARGUMENT: parameters\.pool: found "x"/,
    );
    expect(await failure(controller.getCapacity({ parameters: { size: '1' } }))).toMatch(
      /^INVALID_ARGUMENT: parameters\.size: unknown/,
    );
  });

  test('ListVolumes answers ABORTED to a token that is not its own', async () => {
    await using harness = await controllerOf();
    for (const starting_token of ['invalid-token', Buffer.from('x/1').toString('base64url')]) {
      const told = await failure(harness.controller.listVolumes({ starting_token }));
      expect(told).toMatch(/^ABORTED: starting_token: found ".*list again from the start/);
    }
    const told = await failure(harness.controller.listVolumes({ max_entries: -1 }));
    expect(told).toBe('INVALID_ARGUMENT: max_entries: found -1, expected 0 or more');
  });
});
