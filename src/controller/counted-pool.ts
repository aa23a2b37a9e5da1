import type { DeadFile, Replica } from '../format/replica.ts';
import type { Compaction } from '../pool/log-owner.ts';
import type { Plan } from '../pool/log-writer.ts';
import type { VolumePool } from './volume-pool.ts';

/** A pool that counts what this process has appended to its log, for the metrics. */
export class CountedPool implements VolumePool {
  readonly #pool: VolumePool;
  #appendedEntries = 0;

  constructor(pool: VolumePool) {
    this.#pool = pool;
  }

  get name(): string {
    return this.#pool.name;
  }

  get fsUuid(): string {
    return this.#pool.fsUuid;
  }

  get replica(): Replica {
    return this.#pool.replica;
  }

  get generation(): number {
    return this.#pool.generation;
  }

  get isSettled(): boolean {
    return this.#pool.isSettled;
  }

  get appendedEntries(): number {
    return this.#appendedEntries;
  }

  follow(): number {
    return this.#pool.follow();
  }

  scrub(dead: DeadFile, generation: number, done: number): Promise<number> {
    return this.#pool.scrub(dead, generation, done);
  }

  compact(): Promise<Compaction> {
    return this.#pool.compact();
  }

  async append<T>(plan: (replica: Replica) => Plan<T>): Promise<T> {
    let entries = 0;
    const result = await this.#pool.append((replica) => {
      const planned = plan(replica);
      entries = planned.entries.length;
      return planned;
    });
    this.#appendedEntries += entries;
    return result;
  }
}
