import { KeyedLock } from '../../src/base/keyed-lock.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import type { Attachment, Attachments } from '../../src/controller/attachments.ts';
import { controllerService } from '../../src/controller/controller-service.ts';
import { StaticNodes } from '../../src/controller/nodes.ts';
import { VolumeAttachments } from '../../src/controller/volume-attachments.ts';
import { Volumes } from '../../src/controller/volumes.ts';
import type { AccessMode } from '../../src/csi/capability.ts';
import type { Client, RequestInitOf } from '../../src/csi/rpc.ts';
import { type Harness, serve } from '../csi/harness.ts';
import { expectClean, MemoryPool } from './memory-pool.ts';

export type CreateInit = RequestInitOf<'Controller', 'CreateVolume'>;
export type PublishInit = RequestInitOf<'Controller', 'ControllerPublishVolume'>;

export class MemoryAttachments implements Attachments {
  #all: Attachment[] = [];

  list(): readonly Attachment[] {
    return this.#all;
  }

  async add(attachment: Attachment): Promise<void> {
    this.#all.push(attachment);
  }

  async remove(volumeId: string, nodeId: string | undefined): Promise<void> {
    this.#all = this.#all.filter(
      (one) => one.volumeId !== volumeId || (nodeId !== undefined && one.nodeId !== nodeId),
    );
  }
}

export interface ControllerHarness extends Harness {
  readonly controller: Client<'Controller'>;
  readonly pools: readonly MemoryPool[];
  /** The first pool. */
  readonly pool: MemoryPool;
}

export interface ControllerOptions {
  readonly pools?: readonly MemoryPool[];
  readonly attachments?: Attachments;
  readonly lockPatienceMs?: number;
}

/** A controller on a unix socket with nodes a, b and c; on disposal its logs must be clean. */
export async function controllerOf(options: ControllerOptions = {}): Promise<ControllerHarness> {
  const pools = options.pools ?? [MemoryPool.make('fabric0', 4 * GiB)];
  const [pool] = pools;
  if (pool === undefined) throw new Error('a controller has at least one pool');
  const attachments = options.attachments ?? new MemoryAttachments();
  const locks = new KeyedLock(options.lockPatienceMs ?? 10_000);
  const volumes = new Volumes({ pools, attachments, locks });
  const nodes = new StaticNodes(['a', 'b', 'c']);
  const holders = new VolumeAttachments({ volumes, attachments, nodes, locks });
  const harness = await serve({ Controller: controllerService({ volumes, attachments: holders }) });
  const dispose = async () => {
    await harness[Symbol.asyncDispose]();
    pools.forEach(expectClean);
  };
  const { controller } = harness.client;
  return { ...harness, controller, pools, pool, [Symbol.asyncDispose]: dispose };
}

export function capability(mode: AccessMode = 'SINGLE_NODE_WRITER') {
  return { mount: {}, access_mode: { mode } };
}

/** A request that is served: 64 MiB, one writer. */
export function create(name: string, change: CreateInit = {}): CreateInit {
  return {
    name,
    capacity_range: { required_bytes: 64 * MiB },
    volume_capabilities: [capability()],
    ...change,
  };
}
