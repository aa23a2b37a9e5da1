import { NAMESPACE, PYTHON } from './story.ts';

export interface PodOptions {
  readonly command: readonly string[];
  readonly node?: string;
  readonly claim?: string;
  readonly readOnly?: boolean;
  readonly restartPolicy?: 'Always' | 'Never';
}

/** A pod with a claim's volume at /data, on one node, or wherever the scheduler puts it. */
export function pod(name: string, options: PodOptions): object {
  const { command, node, claim, readOnly = false, restartPolicy = 'Never' } = options;
  const has = claim !== undefined;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
      automountServiceAccountToken: false,
      restartPolicy,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'main',
          image: PYTHON,
          command,
          volumeMounts: has ? [{ name: 'data', mountPath: '/data', readOnly }] : [],
        },
      ],
      volumes: has ? [{ name: 'data', persistentVolumeClaim: { claimName: claim, readOnly } }] : [],
    },
  };
}

export function claim(
  name: string,
  size: string,
  storageClassName = 'famfs',
  accessMode = 'ReadWriteOnce',
): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      storageClassName,
      accessModes: [accessMode],
      resources: { requests: { storage: size } },
    },
  };
}
