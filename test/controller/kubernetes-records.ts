import { KubernetesAttachments } from '../../src/controller/kubernetes-attachments.ts';
import { KubernetesNodes } from '../../src/controller/kubernetes-nodes.ts';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { Informer } from '../../src/kubernetes/informer.ts';
import {
  type CsiNode,
  type KubeObject,
  PATHS,
  type PersistentVolume,
  type VolumeAttachment,
} from '../../src/kubernetes/objects.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';

export const DRIVER = 'csi.famfs.io';

type Change = {
  readonly attacher?: string;
  readonly attached?: boolean;
  readonly annotations?: Record<string, string>;
};

/** A fake API server with nodes a and b, and adapters on it as a controller has them. */
export class KubernetesRecords implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  assertLeading: () => void = () => {};
  readonly #informers: Informer<KubeObject>[] = [];

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 2_000);
  }

  static async make(): Promise<KubernetesRecords> {
    const records = new KubernetesRecords(await FakeApiServer.start());
    for (const name of ['a', 'b']) records.addNode(name);
    return records;
  }

  async open(): Promise<KubernetesAttachments> {
    const nodes = await this.nodes();
    const informer = this.#inform<VolumeAttachment>(PATHS.volumeAttachments);
    await informer.synced;
    const { client } = this;
    const assertLeading = () => this.assertLeading();
    return new KubernetesAttachments({
      client,
      driverName: DRIVER,
      nodes,
      informer,
      assertLeading,
    });
  }

  async nodes(): Promise<KubernetesNodes> {
    const informer = this.#inform<CsiNode>(PATHS.csiNodes);
    await informer.synced;
    return new KubernetesNodes(this.client, DRIVER, informer);
  }

  addNode(name: string, nodeID = name): void {
    const drivers = [
      { name: 'other.example', nodeID: 'x' },
      { name: DRIVER, nodeID },
    ];
    this.server.store.put<CsiNode>(PATHS.csiNodes, { metadata: { name }, spec: { drivers } });
  }

  addPersistentVolume(
    name: string,
    volumeHandle = name,
    spec: Partial<PersistentVolume['spec']> = {},
  ): void {
    const csi = { driver: DRIVER, volumeHandle, ...spec.csi };
    this.server.store.put<PersistentVolume>(PATHS.persistentVolumes, {
      metadata: { name },
      spec: { accessModes: ['ReadWriteMany'], ...spec, csi },
    });
  }

  addVolumeAttachment(persistentVolumeName: string, nodeName: string, change: Change = {}): string {
    const { attacher = DRIVER, attached = false, annotations = {} } = change;
    const name = `va-${persistentVolumeName}-${nodeName}`;
    this.server.store.put<VolumeAttachment>(PATHS.volumeAttachments, {
      metadata: { name, annotations },
      spec: { attacher, nodeName, source: { persistentVolumeName } },
      status: { attached },
    });
    return name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer[Symbol.asyncDispose]()));
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }

  #inform<T extends KubeObject>(collection: string): Informer<T> {
    const informer = new Informer<T>({ client: this.client, collection, log: silentLog });
    this.#informers.push(informer as unknown as Informer<KubeObject>);
    return informer;
  }
}
