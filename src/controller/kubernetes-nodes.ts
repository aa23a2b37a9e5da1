import type { ApiClient } from '../kubernetes/api-client.ts';
import type { Informer } from '../kubernetes/informer.ts';
import { type CsiNode, PATHS } from '../kubernetes/objects.ts';
import { SharedRead } from '../kubernetes/shared-read.ts';
import type { Nodes } from './nodes.ts';

/**
 * The nodes on which kubelet has registered this driver. What is known stays true for long; what is
 * not known yet is asked for anew, since a node may have registered a moment ago.
 */
export class KubernetesNodes implements Nodes {
  readonly #driverName: string;
  readonly #informer: Informer<CsiNode>;
  readonly #fresh: SharedRead<readonly CsiNode[]>;

  constructor(client: ApiClient, driverName: string, informer: Informer<CsiNode>) {
    this.#driverName = driverName;
    this.#informer = informer;
    this.#fresh = new SharedRead(async () => (await client.list<CsiNode>(PATHS.csiNodes)).items);
  }

  async has(nodeId: string): Promise<boolean> {
    const known = [...this.#informer.items().values()];
    if (known.some((node) => this.#idIn(node) === nodeId)) return true;
    return (await this.#fresh.read()).some((node) => this.#idIn(node) === nodeId);
  }

  /** Name of the node with that id; the id itself where none has it: this driver's are the same. */
  async nameOf(nodeId: string): Promise<string> {
    const known = [...this.#informer.items().values()];
    const found =
      known.find((node) => this.#idIn(node) === nodeId) ??
      (await this.#fresh.read()).find((node) => this.#idIn(node) === nodeId);
    return found?.metadata.name ?? nodeId;
  }

  /** Id of the node with that name; the name itself where the driver is not registered any more. */
  async idOf(name: string): Promise<string> {
    const node = this.#informer.items().get(name);
    return (node && this.#idIn(node)) ?? name;
  }

  #idIn({ spec }: CsiNode): string | undefined {
    return spec?.drivers?.find((driver) => driver.name === this.#driverName)?.nodeID;
  }
}
