import { isDeepStrictEqual } from 'node:util';
import type { ApiClient } from './api-client.ts';
import { isConflict, isMissing } from './api-fault.ts';
import type { KubeObject } from './objects.ts';

export interface StatusWriterOptions {
  readonly client: ApiClient;
  readonly collection: string;
  /** The object as it is made where there is none. */
  readonly make: () => Promise<KubeObject>;
  readonly name: string;
  /** No two writes are closer together. */
  readonly leastPauseMs: number;
  /** A write comes so long after the last one though nothing has changed. */
  readonly repeatMs: number;
  readonly now?: () => number;
}

/**
 * Keeps the status of an object as it is here: writes what has changed, rarely, and makes the
 * object where it is missing. Whoever else changes that status is overwritten with the next change.
 */
export class StatusWriter<S extends object> {
  readonly #options: StatusWriterOptions;
  readonly #now: () => number;
  #written: S | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * Writes the status if it is time to: true. Throws ApiFault, and a later call tries again.
   * `isUrgent`: now, however short ago the last was, and though nothing has changed.
   */
  async offer(status: S, stamp: object = {}, isUrgent = false): Promise<boolean> {
    const { leastPauseMs, repeatMs } = this.#options;
    const ageMs = this.#now() - this.#writtenAt;
    if (ageMs < leastPauseMs && !isUrgent) return false;
    const isSame = isDeepStrictEqual(status, this.#written);
    if (ageMs < repeatMs && isSame && !isUrgent) return false;
    this.#writtenAt = this.#now();
    this.#written = undefined;
    await this.#write({ ...status, ...stamp });
    this.#written = status;
    return true;
  }

  async #write(status: object): Promise<void> {
    const { client, collection, name, make } = this.#options;
    const patch = () => client.patch(collection, name, { status }, '/status');
    try {
      await patch();
    } catch (error) {
      if (!isMissing(error)) throw error;
      try {
        await client.create(collection, await make());
      } catch (failure) {
        if (!isConflict(failure)) throw failure;
      }
      await patch();
    }
  }
}
