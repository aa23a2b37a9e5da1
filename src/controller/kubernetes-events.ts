import type { ApiClient } from '../kubernetes/api-client.ts';
import { isMissing } from '../kubernetes/api-fault.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { FAMFS_API_VERSION, type FamfsNode } from '../kubernetes/famfs-objects.ts';
import type { Informer } from '../kubernetes/informer.ts';
import {
  type KubeObject,
  type ObjectReference,
  PATHS,
  type PersistentVolume,
} from '../kubernetes/objects.ts';
import type { Announcements } from './controller-service.ts';

export interface ClusterEventsOptions {
  readonly client: ApiClient;
  readonly recorder: EventRecorder;
  readonly nodes: Informer<FamfsNode>;
  /** The pool of a volume, undefined where it is unknown. */
  readonly poolOf: (volumeId: string) => string | undefined;
}

/** The events that a controller writes: on claims, their volumes, nodes and pools. */
export class ClusterEvents implements Announcements {
  readonly #options: ClusterEventsOptions;

  constructor(options: ClusterEventsOptions) {
    this.#options = options;
  }

  /** On the claim; the provisioner's --extra-create-metadata names it. */
  poolFull(message: string, parameters: Readonly<Record<string, string>>): void {
    const namespace = parameters['csi.storage.k8s.io/pvc/namespace'];
    const name = parameters['csi.storage.k8s.io/pvc/name'];
    if (namespace === undefined || name === undefined) return;
    this.#options.recorder.warn({
      reason: 'PoolFull',
      key: `${namespace}/${name}`,
      message,
      about: () => this.#reference(PATHS.claims(namespace), name, 'v1', 'PersistentVolumeClaim'),
    });
  }

  /** On the claim of a volume that a node cannot serve as it wants: staging will fail there. */
  attachedForDax(volumeId: string, nodeId: string): void {
    const { nodes, poolOf, recorder } = this.#options;
    const pool = poolOf(volumeId);
    const found = nodes
      .items()
      .get(nodeId)
      ?.status?.pools?.find(({ name }) => name === pool);
    if (found?.dataPath !== 'buffered') return;
    recorder.warn({
      reason: 'NodeWithoutDaxPath',
      key: `${volumeId} on ${nodeId}`,
      message:
        `volume ${volumeId} asks for dataPath dax, and node ${nodeId} has pool ${pool} buffered ` +
        `only: pods that use the claim do not start there. Keep them on nodes with the dax path, ` +
        'or use a StorageClass with dataPath: any',
      about: () => this.#claimOf(volumeId),
    });
  }

  poolDamaged(pool: string, message: string): void {
    this.#options.recorder.warn({
      reason: 'PoolDamaged',
      key: pool,
      message,
      about: () => this.#pool(pool),
    });
  }

  quarantineOverridden(pool: string, node: string): void {
    this.#options.recorder.warn({
      reason: 'QuarantineOverridden',
      key: `${pool} for ${node}`,
      message:
        `node ${node} counts as gone, since the annotation famfs.io/gone-nodes says so: memory ` +
        'of deleted files that it may still have mapped is used again',
      about: () => this.#pool(pool),
    });
  }

  /** On the pool; the node's own plugin says it on the node. */
  memoryError(pool: string, node: string, message: string): void {
    this.#options.recorder.warn({
      reason: 'MemoryError',
      key: `${pool} on ${node}`,
      message: `node ${node}: ${message}`,
      about: () => this.#pool(pool),
    });
  }

  #pool(name: string): Promise<ObjectReference | undefined> {
    return this.#reference(PATHS.famfsPools, name, FAMFS_API_VERSION, 'FamfsPool');
  }

  /** The claim that a volume is bound to, else its PersistentVolume, which is named as it. */
  async #claimOf(volumeId: string): Promise<ObjectReference | undefined> {
    try {
      const { client } = this.#options;
      const volume = await client.get<PersistentVolume>(PATHS.persistentVolumes, volumeId);
      if (volume.spec.csi?.volumeHandle !== volumeId) return undefined;
      const { claimRef } = volume.spec;
      if (claimRef === undefined) return referenceTo(volume, 'v1', 'PersistentVolume');
      const { namespace, name, uid } = claimRef;
      return {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        ...(namespace === undefined ? {} : { namespace }),
        ...(name === undefined ? {} : { name }),
        ...(uid === undefined ? {} : { uid }),
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #reference(
    collection: string,
    name: string,
    apiVersion: string,
    kind: string,
  ): Promise<ObjectReference | undefined> {
    try {
      const object = await this.#options.client.get<KubeObject>(collection, name);
      return referenceTo(object, apiVersion, kind);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

function referenceTo({ metadata }: KubeObject, apiVersion: string, kind: string): ObjectReference {
  const { name, namespace, uid } = metadata;
  return {
    apiVersion,
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  };
}
