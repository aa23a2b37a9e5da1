import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Fault } from '../../base/errors.ts';
import type { Attachments } from '../../controller/attachments.ts';
import { KubernetesAttachments } from '../../controller/kubernetes-attachments.ts';
import { ClusterEvents } from '../../controller/kubernetes-events.ts';
import { KubernetesNodes } from '../../controller/kubernetes-nodes.ts';
import { KubernetesReports } from '../../controller/kubernetes-reports.ts';
import { Leases } from '../../controller/leadership.ts';
import type { Nodes } from '../../controller/nodes.ts';
import type { VolumePool } from '../../controller/volume-pool.ts';
import type { ApiClient } from '../../kubernetes/api-client.ts';
import type { FamfsNode } from '../../kubernetes/famfs-objects.ts';
import { Informer } from '../../kubernetes/informer.ts';
import {
  type CsiNode,
  type KubeObject,
  PATHS,
  type VolumeAttachment,
} from '../../kubernetes/objects.ts';
import { connectKubernetes, eventRecorder, poolLease, processIdentity } from './cluster.ts';

const LOOK_EVERY_MS = 2_000;
/** What a name must be that names an object of Kubernetes. */
const OBJECT_NAME = /^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/;

export interface ControllerClusterOptions {
  readonly pools: readonly string[];
  readonly namespace: string | undefined;
  readonly driverName: string;
  readonly log: Logger;
}

/** A controller's side of Kubernetes: who is attached where, who leads, and what is told of it. */
export class ControllerCluster implements AsyncDisposable {
  readonly attachments: Attachments;
  readonly nodes: Nodes;
  readonly leases: Leases;
  readonly #options: ControllerClusterOptions;
  readonly #client: ApiClient;
  readonly #famfsNodes: Informer<FamfsNode>;
  readonly #informers: readonly Informer<KubeObject>[];

  private constructor(options: ControllerClusterOptions, client: ApiClient, leases: Leases) {
    const { driverName, log } = options;
    this.#options = options;
    this.#client = client;
    this.leases = leases;
    const informer = <T extends KubeObject>(collection: string) =>
      new Informer<T>({ client, collection, log });
    const volumeAttachments = informer<VolumeAttachment>(PATHS.volumeAttachments);
    const csiNodes = informer<CsiNode>(PATHS.csiNodes);
    this.#famfsNodes = informer<FamfsNode>(PATHS.famfsNodes);
    this.#informers = [volumeAttachments, csiNodes, this.#famfsNodes];
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

  /** While this process leads, until the signal: keeps what the cluster is told up to date. */
  async report(
    pools: readonly VolumePool[],
    events: ClusterEvents,
    signal: AbortSignal,
  ): Promise<void> {
    const { driverName, log } = this.#options;
    const client = this.#client;
    const nodes = this.#famfsNodes;
    const reports = new KubernetesReports({ client, driverName, pools, nodes, events, log });
    while (!signal.aborted) {
      if (this.leases.isLeading) await reports.look();
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer[Symbol.asyncDispose]()));
    this.#client[Symbol.dispose]();
  }
}
