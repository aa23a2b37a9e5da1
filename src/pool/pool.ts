import { Fault } from '../base/errors.ts';
import type { Node } from '../format/namespace.ts';
import type { Replica } from '../format/replica.ts';
import type { Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import { DeviceLock } from './device-lock.ts';
import { LogFollower } from './log-follower.ts';
import { LogWriter, type Plan } from './log-writer.ts';
import { openPoolMemory, type PoolMemory } from './pool-memory.ts';
import type { Remnant } from './recovery.ts';

export interface PoolOptions {
  /** The name that users know the pool by: in StorageClass parameters and messages. */
  readonly name: string;
  /** Path of the primary device, of the file that stands for it, or of a mount of the pool. */
  readonly device: string;
  readonly writable: boolean;
  /** This writer's identity. Without one, or with another than the master's, nothing appends. */
  readonly systemUuid?: string;
  /** Told of every node that a DELETE takes away, during the first replay too. */
  readonly onRemove?: (node: Node) => void;
  /** Told, before the first append, what an earlier writer left half-made. */
  readonly onRecovery?: (found: Remnant) => void;
}

/** One famfs instance as this host has it: its memory mapped, its log followed and written. */
export class Pool implements Disposable {
  readonly name: string;
  readonly device: string;
  readonly #memory: PoolMemory;
  readonly #follower: LogFollower;
  readonly #writer: LogWriter;
  readonly #systemUuid: string | undefined;

  private constructor(options: PoolOptions, memory: PoolMemory) {
    this.name = options.name;
    this.device = options.device;
    this.#memory = memory;
    this.#systemUuid = options.systemUuid;
    this.#follower = new LogFollower(memory, options.onRemove);
    this.#writer = new LogWriter(
      this.#follower,
      new DeviceLock(options.device),
      () => this.assertAppendable(),
      options.onRecovery,
    );
    if (memory.writable) this.#writer.takeOver();
  }

  /** Maps the device, or the files of a mount, and replays the log. Faults name both. */
  static open(options: PoolOptions): Pool {
    return Pool.over(options, openPoolMemory(options.device, { writable: options.writable }));
  }

  /** As `open`, over memory that is mapped already and becomes the pool's own. */
  static over(options: PoolOptions, memory: PoolMemory): Pool {
    try {
      return new Pool(options, memory);
    } catch (error) {
      memory[Symbol.dispose]();
      if (error instanceof Fault) {
        throw new Fault(error.code, `pool ${options.name} on ${options.device}: ${error.message}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  get superblock(): Superblock {
    return this.#follower.superblock;
  }

  get fsUuid(): string {
    return this.superblock.fsUuid;
  }

  get replica(): Replica {
    return this.#follower.replica;
  }

  /** The mapping of a device of the pool, or undefined where this host has not opened it. */
  memoryOf(devindex: number): Mapping | undefined {
    return devindex === 0 && this.#memory instanceof Mapping ? this.#memory : undefined;
  }

  /** Applies what was appended since, by anybody; returns the log position. */
  follow(): number {
    return this.#follower.follow();
  }

  /** See `LogWriter.append`. */
  append<T>(plan: (replica: Replica) => Plan<T>): Promise<T> {
    return this.#writer.append(plan);
  }

  /** READ_ONLY, with the reason and the way out, where this process may not append. */
  assertAppendable(): void {
    const { damage } = this.replica;
    if (damage !== undefined) {
      throw new Fault(
        'READ_ONLY',
        `pool ${this.name}: its log is damaged at entry ${damage.index} (${damage.message}); ` +
          'files before it are served, nothing is allocated until it is repaired; run ' +
          `"famfs-csi repair ${this.device}", which says what can be saved`,
      );
    }
    if (!this.#memory.writable || this.#systemUuid === undefined) {
      throw new Fault('READ_ONLY', `pool ${this.name}: ${this.device} was opened for reading only`);
    }
    const { systemUuid: master } = this.superblock;
    if (this.#systemUuid !== master) {
      throw new Fault(
        'READ_ONLY',
        `pool ${this.name}: its master is ${master}, this writer is ${this.#systemUuid}; ` +
          'append from the master, or start this one with --system-uuid if it is the same',
      );
    }
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
