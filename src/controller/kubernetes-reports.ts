import type { Logger } from 'pino';
import { messageOf } from '../base/errors.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { isMissing } from '../kubernetes/api-fault.ts';
import { Complaint } from '../kubernetes/complaint.ts';
import {
  FAMFS_API_VERSION,
  type FamfsNode,
  type FamfsPoolStatus,
  type NodePoolStatus,
} from '../kubernetes/famfs-objects.ts';
import type { Informer } from '../kubernetes/informer.ts';
import { type KubeObject, PATHS } from '../kubernetes/objects.ts';
import { StatusWriter } from '../kubernetes/status-writer.ts';
import type { ClusterEvents } from './kubernetes-events.ts';
import { poolFacts, readable } from './pool-facts.ts';
import type { Quarantine } from './quarantine.ts';
import type { VolumePool } from './volume-pool.ts';

const LEAST_PAUSE_MS = 5_000;
const REPEAT_MS = 10 * 60_000;
/** What an object has room for, and people patience. */
const QUARANTINE_VOLUMES_MAX = 50;
const WAITS_MAX = 8;

export interface ReportsOptions {
  readonly client: ApiClient;
  readonly driverName: string;
  readonly pools: readonly VolumePool[];
  readonly nodes: Informer<FamfsNode>;
  readonly events: ClusterEvents;
  readonly quarantine: Quarantine;
  /** Nodes that count as gone for a pool since an operator says so. */
  readonly goneNodes?: (pool: string) => readonly string[];
  readonly log: Logger;
  readonly now?: () => number;
}

/**
 * What the leading controller tells the cluster of its pools: the status of each FamfsPool object,
 * the label with each node's data path, and events. `look` is called again and again; it writes
 * what has changed, and what could not be written is tried with the next look.
 */
export class KubernetesReports {
  readonly #options: ReportsOptions;
  readonly #writers: ReadonlyMap<VolumePool, StatusWriter<FamfsPoolStatus>>;
  readonly #complaints = new Map<string, Complaint>();
  /** By node: the labels that it was seen to have, or was given, last. */
  readonly #labels = new Map<string, string>();

  constructor(options: ReportsOptions) {
    this.#options = options;
    this.#writers = new Map(options.pools.map((pool) => [pool, this.#writerOf(pool.name)]));
  }

  /** Never throws. */
  async look(): Promise<void> {
    const { pools, nodes } = this.#options;
    if (!nodes.isSynced) return;
    const known = [...nodes.items().values()];
    for (const pool of pools) {
      const status = this.#statusOf(pool, known);
      this.#tell(pool, status, known);
      await this.#try(`FamfsPool ${pool.name}`, () => this.#writers.get(pool)?.offer(status));
    }
    const names = new Set([...known.map(({ metadata }) => metadata.name), ...this.#labels.keys()]);
    for (const name of names) {
      await this.#try(`labels of node ${name}`, () => this.#label(name, nodes.items().get(name)));
    }
  }

  #statusOf(pool: VolumePool, nodes: readonly FamfsNode[]): FamfsPoolStatus {
    const { quarantine, goneNodes = () => [] } = this.#options;
    const gone = goneNodes(pool.name);
    return { ...poolStatus(pool, nodes, quarantine), goneNodes: gone };
  }

  async #try(what: string, write: () => Promise<unknown> | undefined): Promise<void> {
    const complaint = this.#complaints.get(what) ?? new Complaint(this.#options.log, what);
    this.#complaints.set(what, complaint);
    try {
      if ((await write()) !== false) complaint.worked();
    } catch (error) {
      complaint.failed(error);
    }
  }

  #writerOf(name: string): StatusWriter<FamfsPoolStatus> {
    const { client, now } = this.#options;
    const object = { apiVersion: FAMFS_API_VERSION, kind: 'FamfsPool', metadata: { name } };
    return new StatusWriter({
      client,
      collection: PATHS.famfsPools,
      name,
      make: async () => object,
      leastPauseMs: LEAST_PAUSE_MS,
      repeatMs: REPEAT_MS,
      ...(now ? { now } : {}),
    });
  }

  #tell({ name }: VolumePool, status: FamfsPoolStatus, nodes: readonly FamfsNode[]): void {
    const { events } = this.#options;
    if (status.health !== 'Healthy') events.poolDamaged(name, status.message);
    for (const { metadata, status: own } of nodes) {
      const memoryError = own?.pools?.find((one) => one.name === name)?.memoryError;
      if (memoryError !== undefined) events.memoryError(name, metadata.name, memoryError);
    }
  }

  /**
   * `<driver>/data-path`, or `<driver>/<pool>.data-path` each where there are several pools; taken
   * away where a node has a pool no more.
   */
  async #label(name: string, node: FamfsNode | undefined): Promise<void> {
    const { client, log } = this.#options;
    const wanted = this.#wantedLabels(node?.status?.pools ?? []);
    const text = JSON.stringify(wanted);
    if (this.#labels.get(name) === text) return;
    try {
      const there = (await client.get<KubeObject>(PATHS.nodes, name)).metadata.labels ?? {};
      const stale = Object.keys(there).filter((key) => this.#isOurs(key) && !(key in wanted));
      const labels = { ...Object.fromEntries(stale.map((key) => [key, null])), ...wanted };
      const differs = Object.entries(labels).some(([key, value]) => there[key] !== value);
      if (differs) {
        await client.patch(PATHS.nodes, name, { metadata: { labels } });
        log.info({ node: name, labels }, 'node labelled');
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    if (node === undefined) this.#labels.delete(name);
    else this.#labels.set(name, text);
  }

  #wantedLabels(pools: readonly NodePoolStatus[]): Record<string, string> {
    const { driverName, pools: ours } = this.#options;
    const mounted = pools.filter(({ name }) => ours.some((pool) => pool.name === name));
    const key = (pool: string) =>
      ours.length === 1 ? `${driverName}/data-path` : `${driverName}/${pool}.data-path`;
    return Object.fromEntries(
      mounted.flatMap(({ name, dataPath }) => (dataPath ? [[key(name), dataPath]] : [])),
    );
  }

  #isOurs(key: string): boolean {
    const [prefix, name = ''] = key.split('/');
    return prefix === this.#options.driverName && /(^|\.)data-path$/.test(name);
  }
}

/** The status of a pool's FamfsPool object. Never throws: a pool that is unreadable says so. */
export function poolStatus(
  pool: VolumePool,
  nodes: readonly FamfsNode[],
  quarantine: Quarantine,
): FamfsPoolStatus {
  const perNode = nodes
    .flatMap(({ metadata, status }) => {
      const found = status?.pools?.find(({ name }) => name === pool.name);
      if (found === undefined) return [];
      const { dataPath, logPosition, logGeneration, healthy } = found;
      return [
        {
          name: metadata.name,
          ...(dataPath === undefined ? {} : { dataPath }),
          ...(logPosition === undefined ? {} : { logPosition }),
          ...(logGeneration === undefined ? {} : { logGeneration }),
          healthy,
        },
      ];
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
  const healthyNodes = `${perNode.filter(({ healthy }) => healthy).length}/${perNode.length}`;
  try {
    const facts = poolFacts(pool);
    const { name: _, condition, ...figures } = facts;
    const volumes = quarantine.of(pool);
    return {
      ...figures,
      ...readable(facts),
      quarantine: volumes.slice(0, QUARANTINE_VOLUMES_MAX).map(({ waitsFor, ...volume }) => ({
        ...volume,
        waitsFor: waitsFor.slice(0, WAITS_MAX).map(({ node, reason }) => ({ node, reason })),
      })),
      quarantinedVolumes: volumes.length,
      health: condition.abnormal ? 'Damaged' : 'Healthy',
      message: condition.abnormal ? condition.message : '',
      healthyNodes,
      nodes: perNode,
    };
  } catch (error) {
    const message = `pool ${pool.name}: ${messageOf(error)}`;
    return { health: 'Unreadable', message, healthyNodes, nodes: perNode };
  }
}
