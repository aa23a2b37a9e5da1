import { describe, expect, test } from '@jest/globals';
import type { RequestInitOf } from '../../src/csi/rpc.ts';
import { quantity } from '../../src/csi/validation.ts';
import { failure, type Harness, serve } from './harness.ts';

const anything = {
  Controller: { createVolume: () => ({}), controllerPublishVolume: () => ({}) },
  Node: { nodePublishVolume: () => ({}) },
};

async function refused(request: RequestInitOf<'Controller', 'CreateVolume'>): Promise<string> {
  await using harness = await serve(anything);
  return await failure(harness.client.controller.createVolume(request));
}

async function accepted(body: (harness: Harness) => Promise<unknown>): Promise<void> {
  await using harness = await serve(anything);
  expect(await body(harness)).toBeDefined();
}

describe('general limits of CSI', () => {
  test('refuse a string of more than 128 bytes', async () => {
    expect(await refused({ name: 'x'.repeat(129) })).toBe(
      'INVALID_ARGUMENT: name: found 129 bytes, expected at most 128',
    );
  });

  test('count bytes, not characters', async () => {
    expect(await refused({ name: 'é'.repeat(65) })).toContain('found 130 bytes');
    await accepted(({ client }) => client.controller.createVolume({ name: 'é'.repeat(64) }));
  });

  test('refuse a map of more than 4 KiB', async () => {
    const parameters = { key: 'x'.repeat(4094) };
    expect(await refused({ parameters })).toBe(
      'INVALID_ARGUMENT: parameters: found 4097 bytes in all, expected at most 4096',
    );
    await accepted(({ client }) =>
      client.controller.createVolume({ parameters: { key: 'x'.repeat(4093) } }),
    );
  });

  test.each([
    ['a scalar', { name: 'a\u0000b' }, 'name: found the control character U+0000'],
    ['a value of a map', { parameters: { pool: 'a\u001b[2J' } }, 'parameters.pool: found'],
    ['a key of a map', { parameters: { 'a\u0007': 'b' } }, 'parameters: found'],
  ])('refuse a control character in %s', async (_, request, expected) => {
    expect(await refused(request)).toContain(`INVALID_ARGUMENT: ${expected}`);
  });

  test('name the field inside a nested and repeated message', async () => {
    const flags = ['x'.repeat(4097)];
    const volume_capabilities = [{}, { mount: { mount_flags: flags } }];
    expect(await refused({ volume_capabilities })).toContain(
      'volume_capabilities[1].mount.mount_flags: found 4097 bytes',
    );
  });

  test('do not look into secrets', async () => {
    await accepted(({ client }) =>
      client.controller.createVolume({ secrets: { key: '\u0000'.repeat(5000) } }),
    );
  });

  test('permit paths as long as the system does, and node ids of 256 bytes', async () => {
    await accepted(({ client }) =>
      client.node.nodePublishVolume({ target_path: `/${'x'.repeat(4000)}` }),
    );
    await accepted(({ client }) =>
      client.controller.controllerPublishVolume({ node_id: 'n'.repeat(256) }),
    );
  });
});

describe('quantity', () => {
  test('takes what a number holds exactly', () => {
    expect(quantity('size', '9007199254740991')).toBe(Number.MAX_SAFE_INTEGER);
    expect(quantity('size', '0')).toBe(0);
  });

  test.each(['9007199254740992', '9223372036854775807', '-1', 'x'])('refuses %s', (wire) => {
    expect(() => quantity('capacity_range.required_bytes', wire)).toThrow(
      `capacity_range.required_bytes: found ${wire}, expected a number from 0 to 9007199254740991`,
    );
  });
});
