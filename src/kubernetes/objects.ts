/** What every object of the API has, as far as this driver looks at it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface KubeList<T extends KubeObject> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items: readonly T[];
}

/** storage.k8s.io/v1: that a volume is to be, or is, attached to a node. */
export interface VolumeAttachment extends KubeObject {
  readonly spec: {
    readonly attacher: string;
    readonly nodeName: string;
    readonly source: {
      readonly persistentVolumeName?: string;
      readonly inlineVolumeSpec?: PersistentVolume['spec'];
    };
  };
  readonly status?: { readonly attached?: boolean };
}

export interface PersistentVolume extends KubeObject {
  readonly spec: {
    readonly accessModes?: readonly string[];
    readonly claimRef?: ObjectReference;
    readonly csi?: {
      readonly driver: string;
      readonly volumeHandle: string;
      readonly readOnly?: boolean;
    };
  };
}

/** v1, as far as it says whether a node is to be waited for. */
export interface Node extends KubeObject {
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
  /** `bootID`: what its kernel calls /proc/sys/kernel/random/boot_id. */
  readonly status?: { readonly nodeInfo?: { readonly bootID?: string } };
}

/** storage.k8s.io/v1: the drivers that kubelet has registered on a node. */
export interface CsiNode extends KubeObject {
  readonly spec?: {
    readonly drivers?: readonly { readonly name: string; readonly nodeID: string }[];
  };
}

/** coordination.k8s.io/v1. */
export interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** What an event is about. */
export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
}

const STORAGE = '/apis/storage.k8s.io/v1';

/** Paths of the collections that this driver uses; RBAC in the chart names the same. */
export const PATHS = {
  volumeAttachments: `${STORAGE}/volumeattachments`,
  csiNodes: `${STORAGE}/csinodes`,
  persistentVolumes: '/api/v1/persistentvolumes',
  nodes: '/api/v1/nodes',
  leases: (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`,
  claims: (namespace: string) => `/api/v1/namespaces/${namespace}/persistentvolumeclaims`,
  events: (namespace: string) => `/api/v1/namespaces/${namespace}/events`,
  famfsPools: '/apis/famfs.io/v1alpha1/famfspools',
  famfsNodes: '/apis/famfs.io/v1alpha1/famfsnodes',
} as const;
