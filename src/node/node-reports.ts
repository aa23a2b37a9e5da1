import type { Logger } from 'pino';
import { codeOf, messageOf } from '../base/errors.ts';
import type { VolumeContext } from '../csi/volume-context.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { Complaint } from '../kubernetes/complaint.ts';
import type { EventReason, EventRecorder } from '../kubernetes/events.ts';
import {
  FAMFS_API_VERSION,
  type NodePoolStatus,
  type NodeSummary,
} from '../kubernetes/famfs-objects.ts';
import { type KubeObject, type ObjectReference, PATHS } from '../kubernetes/objects.ts';
import { StatusWriter } from '../kubernetes/status-writer.ts';
import type { MounterStatus, PoolStatus } from '../mounter/client.ts';
import type { Fabrics } from './fabrics.ts';

const LEAST_PAUSE_MS = 5_000;
const REPEAT_MS = 60_000;

export interface NodeReportsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly status: () => Promise<MounterStatus>;
  readonly fabrics: Fabrics;
  readonly recorder: EventRecorder;
  readonly log: Logger;
  readonly now?: () => number;
}

interface NodeStatus {
  readonly summary: NodeSummary;
  readonly pools: readonly NodePoolStatus[];
}

/**
 * What this node tells the cluster of itself: the status of its own FamfsNode object, and events on
 * its Node. `look` is called again and again; what could not be written is tried with the next.
 */
export class NodeReports {
  readonly #options: NodeReportsOptions;
  readonly #writer: StatusWriter<NodeStatus>;
  readonly #complaint: Complaint;
  #last: NodeStatus = statusOf([]);

  constructor(options: NodeReportsOptions) {
    const { client, nodeName: name, now } = options;
    this.#options = options;
    this.#complaint = new Complaint(options.log, `FamfsNode ${name}`);
    this.#writer = new StatusWriter({
      client,
      collection: PATHS.famfsNodes,
      name,
      make: () => this.#make(),
      leastPauseMs: LEAST_PAUSE_MS,
      repeatMs: REPEAT_MS,
      ...(now ? { now } : {}),
    });
  }

  /** Never throws. */
  async look(): Promise<void> {
    const { status } = this.#options;
    try {
      const found = await status();
      this.#last = statusOf(found.pools.map(poolStatus));
      this.#tell(found);
    } catch (error) {
      const message = messageOf(error);
      this.#last = statusOf(this.#last.pools.map((pool) => ({ ...pool, healthy: false, message })));
    }
    try {
      const stamp = { observedAt: new Date().toISOString() };
      if (await this.#writer.offer(this.#last, stamp)) this.#complaint.worked();
    } catch (error) {
      this.#complaint.failed(error);
    }
  }

  /** Says it on the Node where a volume was refused because the node has not the dax path. */
  async stageFailed({ pool, dataPath }: VolumeContext, error: unknown): Promise<void> {
    if (dataPath !== 'dax' || codeOf(error) !== 'PRECONDITION') return;
    const found = await this.#options.status().catch(() => undefined);
    const mount = found?.pools.find(({ name }) => name === pool)?.mount;
    if (mount?.dataPath === 'buffered') this.#warn('NodeWithoutDaxPath', pool, messageOf(error));
  }

  #tell(found: MounterStatus): void {
    for (const { name, memoryError } of found.pools) {
      if (memoryError !== undefined) {
        this.#warn('MemoryError', name, `pool ${name}: ${memoryError}; see docs/memory-errors.md`);
      }
    }
    for (const name of this.#options.fabrics.untold(found)) {
      this.#warn(
        'PoolMountedLate',
        name,
        `pool ${name} was mounted after kubelet had registered this node, so the scheduler does ` +
          "not know that the node reaches it: restart this node's famfs-csi-node pod",
      );
    }
  }

  #warn(reason: EventReason, pool: string, message: string): void {
    const { nodeName, recorder } = this.#options;
    recorder.warn({ reason, key: `${pool} on ${nodeName}`, message, about: () => this.#node() });
  }

  async #node(): Promise<ObjectReference> {
    const { client, nodeName: name } = this.#options;
    const { uid } = (await client.get<KubeObject>(PATHS.nodes, name)).metadata;
    return { apiVersion: 'v1', kind: 'Node', name, ...(uid === undefined ? {} : { uid }) };
  }

  /** Owned by the Node, so that it goes with it. */
  async #make(): Promise<KubeObject> {
    const { nodeName: name } = this.#options;
    const { uid = '' } = await this.#node();
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
    return {
      apiVersion: FAMFS_API_VERSION,
      kind: 'FamfsNode',
      metadata: { name, ownerReferences },
    };
  }
}

function statusOf(pools: readonly NodePoolStatus[]): NodeStatus {
  const each = (word: (pool: NodePoolStatus) => string | number | undefined) =>
    pools.map((pool) => word(pool) ?? '-').join(',');
  const summary = {
    pools: each(({ name }) => name),
    dataPath: each(({ dataPath }) => dataPath),
    generation: each(({ generation }) => generation),
    logPosition: each(({ logPosition }) => logPosition),
    healthy: each(({ healthy }) => `${healthy}`),
    openFiles: each(({ openFiles }) => openFiles),
    message: pools.flatMap(({ message }) => (message === '' ? [] : [message])).join('; '),
  };
  return { summary, pools };
}

function poolStatus(pool: PoolStatus): NodePoolStatus {
  const { name, mount, problem, memoryError, serverRestarts, usage } = pool;
  return {
    name,
    ...(mount && {
      fsUuid: mount.fsUuid,
      dataPath: mount.dataPath,
      generation: mount.generation,
      logPosition: mount.logPosition,
    }),
    healthy: mount !== undefined && problem === undefined,
    message: problem ?? '',
    ...(memoryError === undefined ? {} : { memoryError }),
    serverRestarts,
    ...(usage && { openFiles: usage.openFiles, volumes: usage.volumes }),
  };
}
