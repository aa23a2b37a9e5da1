import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import type { VolumePool } from './volume-pool.ts';

/** A volume's condition as CSI wants it, for people to read: how the pool is that it lives in. */
export interface PoolCondition {
  readonly abnormal: boolean;
  readonly message: string;
}

/** How a pool is, as it was last followed. */
export function poolCondition({ name, replica }: VolumePool): PoolCondition {
  const { damage } = replica;
  if (damage === undefined) return { abnormal: false, message: `pool ${name} is sound` };
  return {
    abnormal: true,
    message:
      `pool ${name}: its log is damaged at entry ${damage.index} (${damage.message}); volumes ` +
      'before it are served, none is made or deleted until "famfs-csi repair" has been run',
  };
}

/**
 * What Identity.Probe answers for a controller, and the log line when that changes. A pool is
 * usable when its log can be followed, be it up to damage: a restart mends no log, and volumes
 * before the damage are still to be attached and detached. See docs/decisions/0012.
 */
export class PoolHealth {
  readonly #pools: readonly VolumePool[];
  readonly #log: Logger;
  readonly #lastSaid = new Map<VolumePool, string>();

  constructor(pools: readonly VolumePool[], log: Logger) {
    this.#pools = pools;
    this.#log = log;
  }

  /** True while at least one pool is usable; else PRECONDITION, with what ails the first. */
  probe(): true {
    const reasons = this.#pools.map((pool) => this.#look(pool));
    const [reason] = reasons;
    if (reason !== undefined && !reasons.includes(undefined)) {
      throw new Fault('PRECONDITION', reason);
    }
    return true;
  }

  /** Why the pool cannot be used at all, or undefined. */
  #look(pool: VolumePool): string | undefined {
    try {
      pool.follow();
    } catch (error) {
      const reason = `pool ${pool.name}: ${messageOf(error)}`;
      this.#say(pool, true, reason);
      return reason;
    }
    const { abnormal, message } = poolCondition(pool);
    this.#say(pool, abnormal, message);
    return undefined;
  }

  /** Once for each change; a pool that is sound from the start is not worth a line. */
  #say(pool: VolumePool, abnormal: boolean, message: string): void {
    const before = this.#lastSaid.get(pool);
    this.#lastSaid.set(pool, message);
    if (before === message || (before === undefined && !abnormal)) return;
    this.#log[abnormal ? 'error' : 'info']({ pool: pool.name }, message);
  }
}
