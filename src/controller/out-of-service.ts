import type { Node } from '../kubernetes/objects.ts';

/** An operator's word that a node is off: Kubernetes, "non-graceful node shutdown". */
export const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

export function isOutOfService({ spec }: Node): boolean {
  return spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) ?? false;
}
