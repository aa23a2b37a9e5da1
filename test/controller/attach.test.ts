import { describe, expect, test } from '@jest/globals';
import type { AccessMode } from '../../src/csi/capability.ts';
import { failure } from '../csi/harness.ts';
import {
  capability,
  controllerOf,
  create,
  MemoryAttachments,
  type PublishInit,
} from './harness.ts';

function publish(node_id: string, change: PublishInit = {}): PublishInit {
  const volume_context = { pool: 'fabric0', dataPath: 'dax' };
  return { volume_id: 'v', node_id, volume_capability: capability(), volume_context, ...change };
}

function asMode(mode: AccessMode, dataPath = 'dax'): PublishInit {
  return { volume_capability: capability(mode), volume_context: { pool: 'fabric0', dataPath } };
}

describe('ControllerPublishVolume', () => {
  test('attaches, says so again when asked again, and tells the node of read-only', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    for (let times = 0; times < 10; times += 1) {
      const reply = await controller.controllerPublishVolume(publish('a', { readonly: true }));
      expect(reply.publish_context).toEqual({ readonly: 'true' });
    }
    const { status } = await controller.controllerGetVolume({ volume_id: 'v' });
    expect(status?.published_node_ids).toEqual(['a']);
  });

  test.each([
    ['the request', { readonly: true }],
    ['the access mode', asMode('MULTI_NODE_READER_ONLY')],
    ['a mount flag', { volume_capability: { ...capability(), mount: { mount_flags: ['ro'] } } }],
  ])('is read-only when %s says so', async (_, change) => {
    await using harness = await controllerOf();
    await harness.controller.createVolume(create('v'));
    const reply = await harness.controller.controllerPublishVolume(publish('a', change));
    expect(reply.publish_context).toEqual({ readonly: 'true' });
  });

  test('does not know an unknown volume or node', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    expect(await failure(controller.controllerPublishVolume(publish('a')))).toBe(
      'NOT_FOUND: volume v: no such volume in fabric0; create it first',
    );
    await controller.createVolume(create('v'));
    expect(await failure(controller.controllerPublishVolume(publish('x')))).toMatch(
      /^NOT_FOUND: node x: not a node/,
    );
  });

  test('is no success again where another node has come to hold it, too', async () => {
    const attachments = new MemoryAttachments();
    await using harness = await controllerOf({ attachments });
    const { controller } = harness;
    await controller.createVolume(create('v'));
    await controller.controllerPublishVolume(publish('a'));
    // A controller that had lost its lease wrote this down late.
    const mode = 'SINGLE_NODE_WRITER';
    await attachments.add({ volumeId: 'v', nodeId: 'b', readonly: false, mode });
    for (const node of ['a', 'b']) {
      expect(await failure(controller.controllerPublishVolume(publish(node)))).toMatch(
        /^FAILED_PRECONDITION: volume v: attached to [ab], and SINGLE_NODE_WRITER permits one/,
      );
    }
    await controller.controllerUnpublishVolume({ volume_id: 'v', node_id: 'a' });
    await controller.controllerPublishVolume(publish('b'));
  });

  test('says ALREADY_EXISTS when the node has it in another way', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    await controller.controllerPublishVolume(publish('a'));
    for (const change of [{ readonly: true }, asMode('MULTI_NODE_SINGLE_WRITER')]) {
      const told = await failure(controller.controllerPublishVolume(publish('a', change)));
      expect(told).toMatch(/^ALREADY_EXISTS: volume v: attached to a as SINGLE_NODE_WRITER, wri/);
    }
  });

  /** Rows: mode, data path and readonly of node a; the same of node b; the reason against b. */
  test.each<[string, PublishInit, PublishInit, RegExp]>([
    ['SINGLE_NODE on both', {}, {}, /attached to a, and SINGLE_NODE_WRITER permits one node/],
    [
      'SINGLE_NODE on the first',
      asMode('SINGLE_NODE_READER_ONLY'),
      asMode('MULTI_NODE_READER_ONLY'),
      /attached to a, and SINGLE_NODE_READER_ONLY permits one node/,
    ],
    [
      'SINGLE_NODE on the second',
      asMode('MULTI_NODE_READER_ONLY'),
      asMode('SINGLE_NODE_SINGLE_WRITER'),
      /attached to a, and SINGLE_NODE_SINGLE_WRITER permits one node/,
    ],
    [
      'two writers in MULTI_NODE_SINGLE_WRITER',
      asMode('MULTI_NODE_SINGLE_WRITER'),
      asMode('MULTI_NODE_SINGLE_WRITER'),
      /attached writable to a, and the access modes .* permit one writing node/,
    ],
    [
      'two writers on the buffered path',
      asMode('MULTI_NODE_SINGLE_WRITER', 'any'),
      asMode('MULTI_NODE_SINGLE_WRITER', 'any'),
      /attached writable to a, and with dataPath any one node at a time may write/,
    ],
  ])('refuses a second node for %s, naming the first', async (_, first, second, reason) => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    await controller.controllerPublishVolume(publish('a', first));
    const told = await failure(controller.controllerPublishVolume(publish('b', second)));
    expect(told).toMatch(/^FAILED_PRECONDITION: volume v: /);
    expect(told).toMatch(reason);
    await controller.controllerUnpublishVolume({ volume_id: 'v', node_id: 'a' });
    await controller.controllerPublishVolume(publish('b', second));
  });

  test.each<[string, PublishInit, PublishInit]>([
    [
      'several writers on the dax path',
      asMode('MULTI_NODE_MULTI_WRITER'),
      asMode('MULTI_NODE_MULTI_WRITER'),
    ],
    [
      'a reader beside the writer',
      asMode('MULTI_NODE_SINGLE_WRITER', 'any'),
      { ...asMode('MULTI_NODE_SINGLE_WRITER', 'any'), readonly: true },
    ],
    ['readers', asMode('MULTI_NODE_READER_ONLY', 'any'), asMode('MULTI_NODE_READER_ONLY', 'any')],
  ])('permits %s', async (_, first, second) => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    await controller.controllerPublishVolume(publish('a', first));
    await controller.controllerPublishVolume(publish('b', second));
    const { status } = await controller.controllerGetVolume({ volume_id: 'v' });
    expect(status?.published_node_ids).toEqual(['a', 'b']);
  });

  test('lets one of two nodes that come at once have a volume of one node', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    const calls = ['a', 'b'].map((node) => controller.controllerPublishVolume(publish(node)));
    const results = await Promise.allSettled(calls);
    expect(results.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('ControllerUnpublishVolume', () => {
  test.each([
    ['an unknown volume', { volume_id: 'x', node_id: 'a' }],
    ['an id that no volume can have', { volume_id: '../x', node_id: 'a' }],
    ['an unknown node', { volume_id: 'v', node_id: 'x' }],
    ['a node that has not got it', { volume_id: 'v', node_id: 'b' }],
  ])('is fine with %s and detaches nothing else', async (_, request) => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    await controller.controllerPublishVolume(publish('a'));
    await controller.controllerUnpublishVolume(request);
    const { status } = await controller.controllerGetVolume({ volume_id: 'v' });
    expect(status?.published_node_ids).toEqual(['a']);
  });

  test('detaches from all nodes when none is named', async () => {
    await using harness = await controllerOf();
    const { controller } = harness;
    await controller.createVolume(create('v'));
    for (const node of ['a', 'b']) {
      await controller.controllerPublishVolume(publish(node, asMode('MULTI_NODE_READER_ONLY')));
    }
    await controller.controllerUnpublishVolume({ volume_id: 'v' });
    const { status } = await controller.controllerGetVolume({ volume_id: 'v' });
    expect(status?.published_node_ids).toEqual([]);
  });
});
