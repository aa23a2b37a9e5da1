import type { Logger } from 'pino';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { isMissing } from '../kubernetes/api-fault.ts';
import type { FamfsNode, FamfsPool, NodePoolStatus } from '../kubernetes/famfs-objects.ts';
import { decodeInodes } from '../kubernetes/held-inodes.ts';
import type { Informer } from '../kubernetes/informer.ts';
import { type KubeObject, type Node, PATHS } from '../kubernetes/objects.ts';
import type { Acks, NodeAck, PoolName, Saying } from './acks.ts';
import { isOutOfService, OUT_OF_SERVICE } from './out-of-service.ts';

/** Of a FamfsPool: nodes, with commas, that an operator knows to be gone. */
export const GONE_NODES = 'famfs.io/gone-nodes';

export interface KubernetesAcksOptions {
  readonly client: ApiClient;
  readonly famfsNodes: Informer<FamfsNode>;
  readonly nodes: Informer<Node>;
  readonly famfsPools: Informer<FamfsPool>;
  readonly log: Logger;
  /** Told of each node that counts as gone for a pool since an operator says so; once. */
  readonly onOverride?: (pool: string, node: string) => void;
}

interface Seen {
  readonly famfsNodes: ReadonlyMap<string, FamfsNode>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly famfsPool: FamfsPool | undefined;
}

/**
 * What nodes say in the status of their FamfsNode objects. A node is known for a pool once its
 * status has said so, which is before it is given any of it, and stays known when that object is
 * gone: only the end of its Node ends that. See docs/decisions/0026.
 */
export class KubernetesAcks implements Acks {
  readonly #options: KubernetesAcksOptions;
  /** By pool. */
  readonly #known = new Map<string, Set<string>>();
  readonly #overrides = new Map<string, ReadonlySet<string>>();
  /** Each that was ever seen, of whichever view: these are seen in no order. */
  readonly #overridesSeen = new Set<string>();

  constructor(options: KubernetesAcksOptions) {
    this.#options = options;
  }

  known(pool: PoolName): readonly NodeAck[] | undefined {
    const { famfsNodes, nodes, famfsPools } = this.#options;
    if (!famfsNodes.isSynced || !nodes.isSynced || !famfsPools.isSynced) return undefined;
    const famfsPool = famfsPools.items().get(pool.name);
    return this.#acks(pool, { famfsNodes: famfsNodes.items(), nodes: nodes.items(), famfsPool });
  }

  async ask(pool: PoolName): Promise<readonly NodeAck[]> {
    const { client } = this.#options;
    const [famfsNodes, nodes, famfsPool] = await Promise.all([
      client.list<FamfsNode>(PATHS.famfsNodes),
      client.list<Node>(PATHS.nodes),
      getIfThere<FamfsPool>(client, PATHS.famfsPools, pool.name),
    ]);
    const seen = { famfsNodes: byName(famfsNodes.items), nodes: byName(nodes.items), famfsPool };
    return this.#acks(pool, seen);
  }

  /** Nodes that count as gone for a pool since an operator says so, as last seen. */
  overridden(pool: string): readonly string[] {
    return [...(this.#overrides.get(pool) ?? [])].sort();
  }

  /** How many were seen since this process began. */
  get overrideCount(): number {
    return this.#overridesSeen.size;
  }

  #acks(pool: PoolName, seen: Seen): NodeAck[] {
    const overrides = this.#overridesOf(pool.name, seen);
    return [...this.#namesOf(pool.name, seen)].sort().map((node) => {
      const famfsNode = seen.famfsNodes.get(node);
      const said = sayingOf(famfsNode, pool.name);
      return { node, said, gone: goneBy(node, seen, overrides) };
    });
  }

  /** Those that were ever known, as far as this controller or the one before has seen it. */
  #namesOf(pool: string, { famfsNodes, nodes, famfsPool }: Seen): ReadonlySet<string> {
    const known = this.#known.get(pool) ?? new Set<string>();
    this.#known.set(pool, known);
    for (const { name, logPosition } of famfsPool?.status?.nodes ?? []) {
      if (logPosition !== undefined) known.add(name);
    }
    for (const [name, { status }] of famfsNodes) {
      // A node that never had the pool mounted, outside its fabric perhaps, has nothing of it.
      if (status?.pools?.some((one) => one.name === pool && one.fsUuid !== undefined)) {
        known.add(name);
      }
    }
    for (const name of known) if (!famfsNodes.has(name) && !nodes.has(name)) known.delete(name);
    return known;
  }

  #overridesOf(pool: string, { famfsPool }: Seen): ReadonlySet<string> {
    const text = famfsPool?.metadata.annotations?.[GONE_NODES] ?? '';
    const names = text.split(',').map((name) => name.trim());
    const now = new Set(names.filter((name) => name !== ''));
    this.#overrides.set(pool, now);
    for (const node of now) this.#overridden(pool, node);
    return now;
  }

  #overridden(pool: string, node: string): void {
    const { log, onOverride } = this.#options;
    const key = `${pool} ${node}`;
    if (this.#overridesSeen.has(key)) return;
    this.#overridesSeen.add(key);
    log.warn(
      { pool, node },
      `pool ${pool}: node ${node} counts as gone since ${GONE_NODES} says so: memory that it may ` +
        'still have mapped is used again',
    );
    onOverride?.(pool, node);
  }
}

function goneBy(name: string, { nodes }: Seen, overrides: ReadonlySet<string>): string | undefined {
  const node = nodes.get(name);
  if (node === undefined) return 'its Node object is deleted';
  if (isOutOfService(node)) return `its Node is tainted ${OUT_OF_SERVICE}`;
  return overrides.has(name) ? `the annotation ${GONE_NODES} says so` : undefined;
}

function sayingOf(node: FamfsNode | undefined, pool: string): Saying | undefined {
  const found = node?.status?.pools?.find(({ name }) => name === pool);
  if (found?.fsUuid === undefined || found.logPosition === undefined) return undefined;
  const { fsUuid, logPosition: position, logGeneration: generation = 0 } = found;
  const place = { generation, position };
  return { fsUuid, place, held: heldBy(found), saidAt: node?.status?.observedAt };
}

function heldBy({ heldInodes }: NodePoolStatus): Saying['held'] {
  const inodes = heldInodes === undefined ? undefined : decodeInodes(heldInodes);
  return inodes === undefined ? 'unknown' : new Set(inodes);
}

function byName<T extends KubeObject>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map((item) => [item.metadata.name, item]));
}

async function getIfThere<T extends KubeObject>(
  client: ApiClient,
  collection: string,
  name: string,
): Promise<T | undefined> {
  try {
    return await client.get<T>(collection, name);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
