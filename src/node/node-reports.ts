import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { codeOf, Fault, messageOf } from '../base/errors.ts';
import type { VolumeContext } from '../csi/volume-context.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { isMissing } from '../kubernetes/api-fault.ts';
import { Complaint } from '../kubernetes/complaint.ts';
import type { EventReason, EventRecorder } from '../kubernetes/events.ts';
import {
  FAMFS_API_VERSION,
  type FamfsNode,
  type NodePoolStatus,
  type NodeSummary,
} from '../kubernetes/famfs-objects.ts';
import { encodeInodes } from '../kubernetes/held-inodes.ts';
import { type KubeObject, type ObjectReference, PATHS } from '../kubernetes/objects.ts';
import { StatusWriter } from '../kubernetes/status-writer.ts';
import type { MounterStatus, PoolStatus } from '../mounter/client.ts';
import type { Fabrics } from './fabrics.ts';

const LEAST_PAUSE_MS = 5_000;
const REPEAT_MS = 60_000;
/** How long a volume's staging waits until the cluster knows that this node has the pool. */
const REGISTER_PATIENCE_MS = 10_000;
const REGISTER_PAUSE_MS = 200;

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
 *
 * The controller gives memory back by what stands there, so:
 * - A pool that this node has had mounted is in it from then on, and what was said last of its log
 *   and of what the kernel holds stays until the pool's server says more.
 * - So nothing is written before it is known what the plugin before this one wrote, and before the
 *   mounter has answered once.
 */
export class NodeReports {
  readonly #options: NodeReportsOptions;
  readonly #writer: StatusWriter<NodeStatus>;
  readonly #complaint: Complaint;
  /** Undefined until the mounter has answered. */
  #last: NodeStatus | undefined;
  /** What the plugin before this one has written; undefined: that could not be read yet. */
  #before: readonly NodePoolStatus[] | undefined;
  #looking: Promise<void> = Promise.resolve();

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

  /** Never throws. `isUrgent`: see `StatusWriter.offer`. */
  look(isUrgent = false): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookOnce(isUrgent));
    return this.#looking;
  }

  /**
   * Resolves once the cluster knows that this node has the pool: before that, no file of it may be
   * given to anybody here, since a controller that knows of no node gives memory back. UNAVAILABLE
   * when that cannot be written. A pool that the mounter does not have is for the caller to refuse.
   */
  async registered(pool: string, signal?: AbortSignal): Promise<void> {
    const end = performance.now() + REGISTER_PATIENCE_MS;
    await this.look();
    for (;;) {
      const found = this.#last?.pools.find(({ name }) => name === pool);
      if (this.#last !== undefined && found === undefined) return;
      const problem = await this.#notRegistered(pool, found?.fsUuid);
      if (problem === undefined) return;
      if (performance.now() >= end || signal?.aborted) {
        const { nodeName } = this.#options;
        throw new Fault(
          'UNAVAILABLE',
          `pool ${pool}: the cluster does not know yet that node ${nodeName} has it ` +
            `(${problem}); nothing of it is given out here before; retry`,
        );
      }
      await delay(REGISTER_PAUSE_MS);
      await this.look(true);
    }
  }

  /** Why the object does not say yet that this node has the pool; asked anew of the server. */
  async #notRegistered(pool: string, fsUuid: string | undefined): Promise<string | undefined> {
    if (fsUuid === undefined) return 'it is not mounted';
    try {
      const { client, nodeName } = this.#options;
      const { status } = await client.get<FamfsNode>(PATHS.famfsNodes, nodeName);
      const there = status?.pools?.find(({ name }) => name === pool);
      return there?.fsUuid === fsUuid ? undefined : `FamfsNode ${nodeName} does not say so`;
    } catch (error) {
      return messageOf(error);
    }
  }

  async #lookOnce(isUrgent: boolean): Promise<void> {
    try {
      this.#before ??= await this.#readBefore();
      this.#last = await this.#ask(this.#last?.pools ?? this.#before);
      if (this.#last === undefined) return;
      const stamp = { observedAt: new Date().toISOString() };
      if (await this.#writer.offer(this.#last, stamp, isUrgent)) this.#complaint.worked();
    } catch (error) {
      this.#complaint.failed(error);
    }
  }

  /** What the mounter says now, and of what it does not say, what is known: see above. */
  async #ask(before: readonly NodePoolStatus[]): Promise<NodeStatus | undefined> {
    try {
      const found = await this.#options.status();
      this.#tell(found);
      return statusOf(merged(before, found.pools));
    } catch (error) {
      if (this.#last === undefined) return undefined;
      const message = messageOf(error);
      return statusOf(before.map((pool) => ({ ...pool, healthy: false, message })));
    }
  }

  async #readBefore(): Promise<readonly NodePoolStatus[]> {
    const { client, nodeName } = this.#options;
    try {
      const { status } = await client.get<FamfsNode>(PATHS.famfsNodes, nodeName);
      return status?.pools ?? [];
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
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

/** Of pools that are not served now, what was said last; of those that never were, nothing. */
function merged(
  before: readonly NodePoolStatus[],
  found: readonly PoolStatus[],
): readonly NodePoolStatus[] {
  const now = found.map((pool) => {
    const last = before.find(({ name }) => name === pool.name);
    return poolStatus(pool, last);
  });
  const message = "this node's mounter does not have it any more";
  const dropped = before
    .filter(({ name, fsUuid }) => fsUuid !== undefined && !now.some((one) => one.name === name))
    .map((pool) => ({ name: pool.name, ...saidOf(pool), healthy: false, message }));
  return [...now, ...dropped];
}

/** What the controller goes by. */
function saidOf(pool: NodePoolStatus | undefined) {
  const { fsUuid, logPosition, logGeneration, heldInodes } = pool ?? {};
  return {
    ...(fsUuid === undefined ? {} : { fsUuid }),
    ...(logPosition === undefined ? {} : { logPosition }),
    ...(logGeneration === undefined ? {} : { logGeneration }),
    ...(heldInodes === undefined ? {} : { heldInodes }),
  };
}

function poolStatus(pool: PoolStatus, last: NodePoolStatus | undefined): NodePoolStatus {
  const { name, mount, problem, memoryError, serverRestarts, usage } = pool;
  const { heldInodes } = usage ?? {};
  const said = mount && {
    fsUuid: mount.fsUuid,
    dataPath: mount.dataPath,
    generation: mount.generation,
    logPosition: mount.logPosition,
    logGeneration: mount.logGeneration,
    ...(heldInodes && { heldInodes: encodeInodes(heldInodes) }),
  };
  return {
    name,
    ...(said ?? saidOf(last)),
    healthy: mount !== undefined && problem === undefined,
    message: problem ?? '',
    ...(memoryError === undefined ? {} : { memoryError }),
    serverRestarts,
    ...(usage && { openFiles: usage.openFiles, volumes: usage.volumes }),
  };
}
