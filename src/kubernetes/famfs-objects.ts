import type { KubeObject } from './objects.ts';

export const FAMFS_API_VERSION = 'famfs.io/v1alpha1';

/** What a node has of a pool; charts/famfs-csi/crds/famfsnodes.yaml explains the fields. */
export interface NodePoolStatus {
  readonly name: string;
  readonly fsUuid?: string;
  readonly dataPath?: 'dax' | 'buffered';
  readonly generation?: string;
  readonly logPosition?: number;
  /** Of the log that `logPosition` is of. */
  readonly logGeneration?: number;
  /** Deleted files that the kernel referred to there: see `encodeInodes`; absent: unknown. */
  readonly heldInodes?: string;
  readonly healthy: boolean;
  readonly message: string;
  /** The first memory error that the pool's server met. */
  readonly memoryError?: string;
  readonly serverRestarts?: number;
  readonly openFiles?: number;
  readonly volumes?: readonly VolumeUse[];
}

/** A node's pools for `kubectl get`, whose columns show one value: a word a pool. */
export interface NodeSummary {
  readonly pools: string;
  readonly dataPath: string;
  readonly generation: string;
  readonly logPosition: string;
  readonly healthy: string;
  readonly openFiles: string;
  readonly message: string;
}

/** What a node's kernel holds of a volume. */
export interface VolumeUse {
  readonly id: string;
  readonly openFiles: number;
  readonly cachedInodes: number;
}

/** Cluster-scoped, named as the node; written by the node plugin of that node alone. */
export interface FamfsNode extends KubeObject {
  readonly status?: {
    readonly observedAt?: string;
    readonly summary?: NodeSummary;
    readonly pools?: readonly NodePoolStatus[];
  };
}

/** Cluster-scoped, named as the pool; see charts/famfs-csi/crds/famfspools.yaml. */
export interface FamfsPool extends KubeObject {
  readonly status?: FamfsPoolStatus;
}

/** Memory of deleted files of a volume, and whom it waits for; the first few nodes. */
export interface QuarantineEntry {
  readonly volume: string;
  readonly bytes: number;
  readonly files: number;
  readonly since: string;
  readonly waitsFor: readonly { readonly node: string; readonly reason: string }[];
}

export interface FamfsPoolStatus {
  readonly fsUuid?: string;
  readonly capacityBytes?: number;
  readonly usedBytes?: number;
  readonly liveBytes?: number;
  readonly freeBytes?: number;
  readonly largestFreeBytes?: number;
  readonly quarantinedBytes?: number;
  readonly capacity?: string;
  readonly used?: string;
  readonly largestFree?: string;
  readonly files?: number;
  readonly logEntries?: number;
  readonly logCapacity?: number;
  readonly logFill?: string;
  readonly logLive?: number;
  readonly logDead?: number;
  readonly logFree?: number;
  readonly logGeneration?: number;
  readonly quarantined?: string;
  /** The largest; how many there are is `quarantinedVolumes`. */
  readonly quarantine?: readonly QuarantineEntry[];
  readonly quarantinedVolumes?: number;
  /** Nodes that count as gone since an operator says so. */
  readonly goneNodes?: readonly string[];
  readonly health: 'Healthy' | 'Damaged' | 'Unreadable';
  readonly message: string;
  readonly healthyNodes: string;
  readonly nodes: readonly {
    readonly name: string;
    readonly dataPath?: 'dax' | 'buffered';
    readonly logPosition?: number;
    readonly logGeneration?: number;
    readonly healthy: boolean;
  }[];
}
