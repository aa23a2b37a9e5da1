/** The nodes that a volume may be attached to. */
export interface Nodes {
  has(nodeId: string): boolean | Promise<boolean>;
}

/** A fixed list, where there is no Kubernetes to ask. */
export class StaticNodes implements Nodes {
  readonly #ids: ReadonlySet<string>;

  constructor(ids: Iterable<string>) {
    this.#ids = new Set(ids);
  }

  has(nodeId: string): boolean {
    return this.#ids.has(nodeId);
  }
}
