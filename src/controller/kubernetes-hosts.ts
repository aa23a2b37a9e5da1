import type { SlotRecord } from '../format/control-area.ts';
import type { Informer } from '../kubernetes/informer.ts';
import type { Node } from '../kubernetes/objects.ts';
import { isOutOfService } from './out-of-service.ts';

/**
 * Whether a host that wrote a log is over, so that nothing of it can still reach the memory: it was
 * a node of this cluster, and no Node has its boot id any more (it was booted anew, or its object
 * is deleted), or the one that has is tainted out-of-service. A Node that is not ready may be up.
 */
export class KubernetesHosts {
  readonly #nodes: Informer<Node>;

  constructor(nodes: Informer<Node>) {
    this.#nodes = nodes;
  }

  isOver({ isNode, hostId }: SlotRecord): boolean {
    if (!isNode || !this.#nodes.isSynced) return false;
    const nodes = [...this.#nodes.items().values()];
    // One that does not say its boot id could be it.
    const could = nodes.filter(({ status }) => (status?.nodeInfo?.bootID ?? hostId) === hostId);
    return could.every(isOutOfService);
  }
}
