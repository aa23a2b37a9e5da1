import type { Logger } from 'pino';
import { Fault } from '../../base/errors.ts';
import type { Attachments } from '../../controller/attachments.ts';
import { KubernetesAcks } from '../../controller/kubernetes-acks.ts';
import { KubernetesAttachments } from '../../controller/kubernetes-attachments.ts';
import { ClusterEvents } from '../../controller/kubernetes-events.ts';
import { KubernetesHosts } from '../../controller/kubernetes-hosts.ts';
import { KubernetesNodes } from '../../controller/kubernetes-nodes.ts';
import { KubernetesReports } from '../../controller/kubernetes-reports.ts';
import { Leases } from '../../controller/leadership.ts';
import type { Nodes } from '../../controller/nodes.ts';
import type { Quarantine } from '../../controller/quarantine.ts';
import type { VolumePool } from '../../controller/volume-pool.ts';
import type { ApiClient } from '../../kubernetes/api-client.ts';
import type { FamfsNode, FamfsPool } from '../../kubernetes/famfs-objects.ts';
import { Informer } from '../../kubernetes/informer.ts';
import {
  type CsiNode,
  type KubeObject,
  type Node,
  PATHS,
  type VolumeAttachment,
} from '../../kubernetes/objects.ts';
import type { TakeOverRules } from '../../pool/ownership.ts';
import { connectKubernetes, eventRecorder, poolLease, processIdentity } from './cluster.ts';
import { lookAgain } from './lifetime.ts';

/** How often a controller looks after its pools. */
export const LOOK_EVERY_MS = 2_000;
/** What a name must be that names an object of Kubernetes. */
const OBJECT_NAME = /^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/;

export interface ControllerClusterOptions {
  readonly pools: readonly string[];
  readonly namespace: string | undefined;
  readonly driverName: string;
  readonly log: Logger;
}

/** What the cluster is told of, and what is done before that with each look. */
interface Told {
  readonly pools: readonly VolumePool[];
  readonly events: ClusterEvents;
  readonly acks: KubernetesAcks;
  readonly quarantine: Quarantine;
  readonly look: () => Promise<void>;
}

/** A controller's side of Kubernetes: who is attached where, who leads, and what is told of it. */
export class ControllerCluster implements AsyncDisposable {
  readonly attachments: Attachments;
  readonly nodes: Nodes;
  readonly leases: Leases;
  readonly #options: ControllerClusterOptions;
  readonly #client: ApiClient;
  readonly #famfsNodes: Informer<FamfsNode>;
  readonly #famfsPools: Informer<FamfsPool>;
  readonly #kubeNodes: Informer<Node>;
  readonly #informers: readonly Informer<KubeObject>[];

  private constructor(options: ControllerClusterOptions, client: ApiClient, leases: Leases) {
    const { driverName, log } = options;
    this.#options = options;
    this.#client = client;
    this.leases = leases;
    const informer = <T extends KubeObject>(
      collection: string,
      keep: (object: KubeObject) => KubeObject = (object) => object,
    ) => new Informer<T>({ client, collection, log, keep });
    const volumeAttachments = informer<VolumeAttachment>(PATHS.volumeAttachments);
    const csiNodes = informer<CsiNode>(PATHS.csiNodes);
    this.#famfsNodes = informer<FamfsNode>(PATHS.famfsNodes);
    this.#famfsPools = informer<FamfsPool>(PATHS.famfsPools);
    this.#kubeNodes = informer<Node>(PATHS.nodes, relevantOf);
    const ours = [this.#famfsNodes, this.#famfsPools, this.#kubeNodes];
    this.#informers = [volumeAttachments, csiNodes, ...ours];
    const nodes = new KubernetesNodes(client, driverName, csiNodes);
    this.nodes = nodes;
    this.attachments = new KubernetesAttachments({
      client,
      driverName,
      nodes,
      informer: volumeAttachments,
      assertLeading: () => leases.assertLeading(),
    });
  }

  /** Nothing is asked of the API server yet. INVALID for a pool's name that no object can have. */
  static async connect(options: ControllerClusterOptions): Promise<ControllerCluster> {
    const bad = options.pools.find((name) => !OBJECT_NAME.test(name));
    if (bad !== undefined) {
      throw new Fault(
        'INVALID',
        `pool "${bad}": with --kubernetes a pool's name has at most 42 of a-z, 0-9 and "-"`,
      );
    }
    const client = await connectKubernetes();
    const { namespace, log } = options;
    const identity = processIdentity();
    const leases = await Promise.all(
      options.pools.map((pool) => poolLease(client, { pool, namespace, identity, log })),
    );
    return new ControllerCluster(options, client, new Leases(leases));
  }

  events(poolOf: (volumeId: string) => string | undefined): ClusterEvents {
    const { driverName, log } = this.#options;
    const client = this.#client;
    const recorder = eventRecorder(client, driverName, log);
    return new ClusterEvents({ client, recorder, nodes: this.#famfsNodes, poolOf });
  }

  /** Who may take a pool's log over: who holds its lease. */
  get takeOverRules(): TakeOverRules {
    const hosts = new KubernetesHosts(this.#kubeNodes);
    return {
      mayTakeOver: () => this.leases.assertLeading(),
      isFenced: (record) => hosts.isOver(record),
    };
  }

  acks(events: ClusterEvents): KubernetesAcks {
    return new KubernetesAcks({
      client: this.#client,
      famfsNodes: this.#famfsNodes,
      nodes: this.#kubeNodes,
      famfsPools: this.#famfsPools,
      log: this.#options.log,
      onOverride: (pool, node) => events.quarantineOverridden(pool, node),
    });
  }

  /** While this process leads, until the signal: keeps what the cluster is told up to date. */
  async report({ pools, events, acks, quarantine, look }: Told, signal: AbortSignal) {
    const { driverName, log } = this.#options;
    const client = this.#client;
    const nodes = this.#famfsNodes;
    const goneNodes = (pool: string) => acks.overridden(pool);
    const parts = { client, driverName, pools, nodes, events, quarantine, goneNodes, log };
    const reports = new KubernetesReports(parts);
    let isFirst = true;
    const lookAll = async () => {
      if (!this.leases.isLeading || !this.#famfsPools.isSynced) return;
      // Since when, the controller before has written down; it wrote no more once this one led.
      if (isFirst) this.#remember(pools, quarantine);
      isFirst = false;
      await look();
      await reports.look();
    };
    await lookAgain(lookAll, LOOK_EVERY_MS, signal);
  }

  #remember(pools: readonly VolumePool[], quarantine: Quarantine): void {
    for (const { name } of pools) {
      quarantine.remember(name, this.#famfsPools.items().get(name)?.status?.quarantine ?? []);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer[Symbol.asyncDispose]()));
    this.#client[Symbol.dispose]();
  }
}

/** A Node has much more in it than is asked for here. */
function relevantOf({ metadata, spec, status }: Node): Node {
  const { name, uid, resourceVersion } = metadata;
  const kept = {
    name,
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  const { taints } = spec ?? {};
  const { bootID } = status?.nodeInfo ?? {};
  return {
    metadata: kept,
    ...(taints === undefined ? {} : { spec: { taints } }),
    ...(bootID === undefined ? {} : { status: { nodeInfo: { bootID } } }),
  };
}
