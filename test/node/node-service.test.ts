import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { nodeService } from '../../src/node/node-service.ts';
import type { NodeVolumes } from '../../src/node/node-volumes.ts';
import { failure, serve } from '../csi/harness.ts';

const STAGE = {
  volume_id: 'v',
  staging_target_path: '/staging/v',
  volume_context: { pool: 'p', dataPath: 'any' },
  volume_capability: { mount: {}, access_mode: { mode: 'SINGLE_NODE_WRITER' } },
} as const;

/** A node plugin of which only what staging asks is there; `steps` has that in order. */
async function plugin(registered: () => Promise<void>) {
  const steps: string[] = [];
  const volumes = {
    stage: async () => {
      steps.push('staged');
    },
  } as unknown as NodeVolumes;
  const harness = await serve({
    Node: nodeService({
      nodeId: 'n1',
      volumes,
      topology: async () => ({ segments: {} }),
      registered: async (pool) => {
        steps.push(`register ${pool}`);
        await registered();
        steps.push('registered');
      },
    }),
  });
  return { harness, steps };
}

describe('NodeStageVolume', () => {
  test('stages nothing before the cluster knows that the node has the pool', async () => {
    const { harness, steps } = await plugin(async () => {});
    await using _ = harness;
    await harness.client.node.nodeStageVolume(STAGE);
    expect(steps).toEqual(['register p', 'registered', 'staged']);
  });

  test('stages nothing where that cannot be told', async () => {
    const { harness, steps } = await plugin(async () => {
      throw new Fault('UNAVAILABLE', 'pool p: the cluster does not know yet');
    });
    await using _ = harness;
    expect(await failure(harness.client.node.nodeStageVolume(STAGE))).toBe(
      'UNAVAILABLE: pool p: the cluster does not know yet',
    );
    expect(steps).toEqual(['register p']);
  });
});
