import { setTimeout as delay } from 'node:timers/promises';
import type { TopologyInit } from '../csi/generated/csi/v1/Topology.ts';
import { fabricTopology } from '../csi/topology.ts';
import type { MounterStatus } from '../mounter/client.ts';

/** Below the two minutes that kubelet waits for NodeGetInfo. */
const PATIENCE_MS = 45_000;
const PAUSE_MS = 250;

export interface FabricsOptions {
  readonly driverName: string;
  readonly status: (signal?: AbortSignal) => Promise<MounterStatus>;
  readonly patienceMs?: number;
}

/**
 * Which fabrics this node is on: the pools that its mounter has mounted. Kubelet asks once, when
 * the plugin registers, and what it is told then stays: so the answer waits for the pools that are
 * still being mounted.
 */
export class Fabrics {
  readonly #options: FabricsOptions;
  #told: ReadonlySet<string> | undefined;

  constructor(options: FabricsOptions) {
    this.#options = options;
  }

  /**
   * Waits until every pool is mounted; after the patience, answers with those that are: a node that
   * does not reach a pool's memory is no error. UNAVAILABLE when the mounter did not answer at all:
   * the registrar then tries again.
   */
  async topology(signal?: AbortSignal): Promise<TopologyInit> {
    const { driverName, status, patienceMs = PATIENCE_MS } = this.#options;
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const found = await status(signal).then(mountedOf, (error: unknown) => ({ error }));
      const isLast = performance.now() >= deadline || signal?.aborted === true;
      if ('error' in found) {
        if (isLast) throw found.error;
      } else if (isLast || found.missing === 0) {
        this.#told = new Set(found.fsUuids);
        return fabricTopology(driverName, found.fsUuids);
      }
      await delay(PAUSE_MS, undefined, { ...(signal ? { signal } : {}) }).catch(() => {});
    }
  }

  /** Pools that are mounted now and were not when kubelet was told: it does not know of them. */
  untold({ pools }: MounterStatus): string[] {
    const told = this.#told;
    if (told === undefined) return [];
    return pools.flatMap(({ name, mount }) =>
      mount !== undefined && !told.has(mount.fsUuid) ? [name] : [],
    );
  }
}

function mountedOf({ pools }: MounterStatus): { fsUuids: string[]; missing: number } {
  const fsUuids = pools.flatMap(({ mount }) => (mount === undefined ? [] : [mount.fsUuid]));
  return { fsUuids, missing: pools.length - fsUuids.length };
}
