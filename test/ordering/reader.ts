import { messageOf } from '../../src/base/errors.ts';
import {
  OrderedMemory,
  type RawMemory,
  type SharedMemory,
} from '../../src/native/shared-memory.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { IncoherentHost } from '../support/incoherent-host.ts';
import { type IncoherentProcess, ProcessEnded } from '../support/incoherent-process.ts';
import type { Oracle } from './oracle.ts';

/** How SharedMemory is made of single steps: as in production, or with a mutation. */
export type Ordering = (raw: RawMemory) => SharedMemory;

export const PRODUCTION: Ordering = (raw) => new OrderedMemory(raw);

/** A process that follows the log, and starts again wherever it ended. */
export class Reader {
  readonly name: string;
  readonly host: IncoherentHost;
  readonly #oracle: Oracle;
  readonly #ordering: Ordering;
  #process: IncoherentProcess | undefined;
  #follower: LogFollower | undefined;

  constructor(name: string, host: IncoherentHost, oracle: Oracle, ordering: Ordering) {
    this.name = name;
    this.host = host;
    this.#oracle = oracle;
    this.#ordering = ordering;
  }

  get position(): number {
    return this.#follower?.replica.position ?? 0;
  }

  /** Opens the pool, or follows its tail; `endAt` is how many steps from now it is killed. */
  poll(endAt = Number.POSITIVE_INFINITY): void {
    const began = this.host.clock;
    const before = this.#follower?.replica.position;
    try {
      if (this.#process === undefined || this.#process.isEnded) this.stop();
      this.#process ??= this.host.process('reads');
      this.#process.endAt(this.#process.steps + endAt, 'kill');
      if (this.#follower === undefined) {
        const memory = this.#oracle.watch(this.#ordering(this.#process), this.name);
        this.#follower = new LogFollower(memory);
      } else {
        this.#follower.follow();
      }
      const { replica } = this.#follower;
      const { isSettled } = this.#follower;
      this.#oracle.polled(this.name, { position: replica.position, isSettled, began });
      const isNews = replica.position !== before || replica.damage !== undefined;
      if (isNews) this.#oracle.applied(this.name, replica);
    } catch (error) {
      this.stop();
      if (error instanceof ProcessEnded) return;
      this.#oracle.report('complete', `${this.name}: ${messageOf(error)}`);
    }
  }

  stop(): void {
    this.#process?.[Symbol.dispose]();
    this.#process = undefined;
    this.#follower = undefined;
  }
}
