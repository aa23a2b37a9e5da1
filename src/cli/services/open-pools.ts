import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isFault, messageOf } from '../../base/errors.ts';
import { CountedPool } from '../../controller/counted-pool.ts';
import type { DeadFile } from '../../format/replica.ts';
import { devicePath } from '../../pool/device-path.ts';
import type { HostIdentity } from '../../pool/identity.ts';
import { Pool, type PoolOptions } from '../../pool/pool.ts';
import type { PoolArgument } from '../options.ts';

const PAUSE_MS = 1_000;

export interface OpenPoolsOptions {
  readonly pools: readonly PoolArgument[];
  readonly systemUuid: string;
  readonly mayAppend: () => void;
  /** Whether the memory of a file that was deleted in that generation may be used again. */
  readonly isReleased: (pool: string, generation: number, dead: DeadFile) => boolean;
  /** When the log of another host may be taken over; as `Pool` has it. */
  readonly rules: PoolOptions['rules'];
  readonly host: HostIdentity;
  /** Wait for pools that cannot be opened yet, until it aborts; undefined: throw. */
  readonly wait: AbortSignal | undefined;
  readonly log: Logger;
}

/** A controller's pools, opened to be written; closed together. */
export class OpenPools implements Disposable {
  readonly all: readonly CountedPool[];
  /** By pool: how long it took to read its log. */
  readonly replaySeconds: ReadonlyMap<string, number>;
  readonly #pools: readonly Pool[];

  private constructor(pools: readonly Pool[]) {
    this.#pools = pools;
    this.all = pools.map((pool) => new CountedPool(pool));
    this.replaySeconds = new Map(pools.map((pool) => [pool.name, pool.replaySeconds]));
  }

  /** All pools; those opened so far where the wait was given up. */
  static async open(options: OpenPoolsOptions): Promise<OpenPools> {
    const pools: Pool[] = [];
    for (const argument of options.pools) {
      const pool = await openOne(argument, options);
      if (pool === undefined) break;
      pools.push(pool);
      const { name, fsUuid, replica } = pool;
      options.log.info({ pool: name, fsUuid, logPosition: replica.position }, 'pool is open');
    }
    return new OpenPools(pools);
  }

  [Symbol.dispose](): void {
    for (const pool of this.#pools) pool[Symbol.dispose]();
  }
}

async function openOne(
  { name, devices }: PoolArgument,
  options: OpenPoolsOptions,
): Promise<Pool | undefined> {
  const { systemUuid, mayAppend, isReleased, rules, host, wait, log } = options;
  let said: string | undefined;
  for (;;) {
    try {
      const [device = '', ...others] = devices.map((one) => devicePath(one));
      const pool: Pool = Pool.open({
        name,
        device,
        secondaries: others.map((path) => ({ path })),
        writable: true,
        systemUuid,
        mayAppend,
        host,
        ...(rules ? { rules } : {}),
        isReleased: (dead) => isReleased(name, pool.generation, dead),
        onRecovery: ({ kind, index, message }) => log.warn({ pool: name, kind, index }, message),
      });
      return pool;
    } catch (error) {
      if (wait === undefined || !isFault(error)) throw error;
      const reason = messageOf(error);
      if (reason !== said) log.warn({ pool: name }, `waiting for the pool: ${reason}`);
      said = reason;
      await delay(PAUSE_MS, undefined, { signal: wait }).catch(() => {});
      if (wait.aborted) return undefined;
    }
  }
}
