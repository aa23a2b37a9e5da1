import { join } from 'node:path';
import { leftovers } from '../../src/cli/demo/leftovers.ts';
import { LocalCluster, type LocalNode, POOL } from '../../src/cli/demo/local-cluster.ts';
import { type CsiClient, connectCsi } from '../../src/csi/client.ts';
import { MounterClient, type PoolStatus } from '../../src/mounter/client.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { systemUuid } from '../../src/pool/identity.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { drawLogs } from './logs.ts';

export const MAIN = join(__dirname, '..', '..', 'dist', 'main.js');

export interface TestVolume {
  readonly id: string;
  readonly context: Record<string, string>;
}

const CAPABILITY = {
  mount: { fs_type: '' },
  access_mode: { mode: 'MULTI_NODE_SINGLE_WRITER' },
} as const;

/**
 * Polls until `look` gives a value; fails with the last reason when that takes too long, and at
 * once for a reason that `isFinal`.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  patienceMs = 20_000,
  { everyMs = 20, isFinal = (_: unknown): boolean => false } = {},
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  let reason: unknown = 'no value';
  while (Date.now() < deadline) {
    try {
      const value = await look();
      if (value !== undefined) return value;
    } catch (error) {
      if (isFinal(error)) throw error;
      reason = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`${what}: not within ${patienceMs} ms: ${String(reason)}`);
}

/** The real processes of `LocalCluster`, with clients to talk to them. Nodes are mounted. */
export class TestCluster {
  readonly local: LocalCluster;
  readonly controller: CsiClient;
  readonly nodes: { local: LocalNode; csi: CsiClient; mounter: MounterClient }[];

  private constructor(nodes: number, options: { reclaims?: boolean }) {
    this.local = new LocalCluster({ main: MAIN, nodes, ...options });
    this.controller = connectCsi(this.local.controllerSocket, { waitForReady: true });
    this.nodes = this.local.nodes.map((local) => ({
      local,
      csi: connectCsi(local.csiSocket, { waitForReady: true }),
      mounter: new MounterClient(local.mounterSocket),
    }));
  }

  static async start(
    nodes: number,
    fabricBytes: number,
    options: { reclaims?: boolean } = {},
  ): Promise<TestCluster> {
    const cluster = new TestCluster(nodes, options);
    try {
      createEmulatedDevice(cluster.local.fabric, fabricBytes);
      {
        using memory = Mapping.open(cluster.local.fabric, { writable: true });
        mkfs(memory, { deviceName: 'test', systemUuid: systemUuid() });
      }
      cluster.local.startController();
      for (const { local } of cluster.nodes) {
        cluster.local.startMounter(local);
        cluster.local.startNode(local);
      }
      await eventually('the controller answers', () => cluster.controller.identity.probe({}));
      for (const { mounter, csi } of cluster.nodes) {
        await eventually('the pool is mounted', () => mounter.poolMount(POOL, 0));
        await eventually('the node plugin answers', () => csi.identity.probe({}));
      }
      return cluster;
    } catch (error) {
      process.stderr.write(drawLogs(cluster.local.logs));
      await cluster.stop();
      throw error;
    }
  }

  async createVolume(name: string, sizeBytes: number): Promise<TestVolume> {
    const { volume } = await this.controller.controller.createVolume({
      name,
      capacity_range: { required_bytes: sizeBytes },
      volume_capabilities: [CAPABILITY],
      parameters: { pool: POOL, dataPath: 'any', mode: '0666' },
    });
    if (!volume) throw new Error('CreateVolume: no volume in the reply');
    return { id: volume.volume_id, context: volume.volume_context };
  }

  /** Attaches, stages and publishes on a node; returns the target path. */
  async publish(volume: TestVolume, node: number, readonly = false): Promise<string> {
    const { local, csi } = this.#node(node);
    const common = {
      volume_id: volume.id,
      volume_capability: CAPABILITY,
      volume_context: volume.context,
    };
    const attached = await this.controller.controller.controllerPublishVolume({
      ...common,
      node_id: local.name,
      readonly,
    });
    const staged = {
      ...common,
      publish_context: attached.publish_context,
      staging_target_path: this.stagingPath(volume, node),
    };
    await csi.node.nodeStageVolume(staged);
    const target = join(local.kubeletDir, 'pods', volume.id);
    await csi.node.nodePublishVolume({ ...staged, target_path: target, readonly });
    return target;
  }

  async unpublish(volume: TestVolume, node: number): Promise<void> {
    const { local, csi } = this.#node(node);
    const id = { volume_id: volume.id };
    await csi.node.nodeUnpublishVolume({
      ...id,
      target_path: join(local.kubeletDir, 'pods', volume.id),
    });
    await csi.node.nodeUnstageVolume({
      ...id,
      staging_target_path: this.stagingPath(volume, node),
    });
    await this.controller.controller.controllerUnpublishVolume({ ...id, node_id: local.name });
  }

  stagingPath(volume: TestVolume, node: number): string {
    return join(this.#node(node).local.kubeletDir, 'staging', volume.id);
  }

  async poolStatus(node: number): Promise<PoolStatus> {
    const [pool] = (await this.#node(node).mounter.status()).pools;
    if (!pool) throw new Error('the mounter has no pool');
    return pool;
  }

  /** Stops everything; throws when something is left behind. */
  async stop(): Promise<void> {
    this.controller.close();
    for (const { csi } of this.nodes) csi.close();
    await this.local.stop();
    await eventually('nothing is left behind', () => {
      const left = leftovers(this.local);
      if (left.length > 0) throw new Error(left.join(', '));
      return true;
    });
  }

  #node(at: number) {
    const node = this.nodes[at];
    if (!node) throw new Error(`the cluster has no node ${at}`);
    return node;
  }
}
