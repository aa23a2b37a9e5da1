import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Fault, isFault } from '../base/errors.ts';
import type { SlotRecord } from '../format/control-area.ts';
import type { Node } from '../format/namespace.ts';
import type { DeadFile, Replica } from '../format/replica.ts';
import type { Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import { DeviceLock } from './device-lock.ts';
import { type HostIdentity, hostIdentity } from './identity.ts';
import { LogFollower } from './log-follower.ts';
import type { Compaction } from './log-owner.ts';
import { LogWriter, type Plan } from './log-writer.ts';
import { replaceMaster } from './master.ts';
import { META_DIRECTORY } from './meta-memory.ts';
import type { TakeOverRules } from './ownership.ts';
import { openPoolMemory, type PoolMemory } from './pool-memory.ts';
import type { Remnant } from './recovery.ts';
import { pieceOf } from './scrub.ts';
import {
  type GivenDevice,
  openSecondary,
  type SecondaryDevice,
  secondariesOfMount,
} from './secondary-devices.ts';

export interface PoolOptions {
  /** The name that users know the pool by: in StorageClass parameters and messages. */
  readonly name: string;
  /** Path of the primary device, of the file that stands for it, or of a mount of the pool. */
  readonly device: string;
  /** What the primary must have in its superblock, where it was looked for by that. */
  readonly deviceUuid?: string;
  /** The other devices that this host has, by devindex from 1 on. A mount knows its own. */
  readonly secondaries?: readonly GivenDevice[];
  /** Told of each that cannot be used: the pool is opened without it. Default: that is a fault. */
  readonly onDeviceProblem?: (message: string) => void;
  readonly writable: boolean;
  /** This writer's identity. Without one, or with another than the master's, nothing appends. */
  readonly systemUuid?: string;
  /**
   * Throws where this process may not append at the moment. Asked under the pool's lock, directly
   * before the first store, after everything that may have taken time.
   */
  readonly mayAppend?: () => void;
  /** Told of every node that a DELETE takes away, during the first replay too. */
  readonly onRemove?: (node: Node) => void;
  /** Told, before the first append, what an earlier writer left half-made. */
  readonly onRecovery?: (found: Remnant) => void;
  /** Who this host is, as an owner of the log. Default: what the operating system says. */
  readonly host?: HostIdentity;
  /** When the log of another host may be taken over. Default: never; see `famfs-csi adopt`. */
  readonly rules?: Partial<TakeOverRules>;
  /** Appends whoever the master is: `adopt` is to follow. */
  readonly adopts?: boolean;
  /** Whether the memory of a deleted file may be used again. Default: of none. */
  readonly isReleased?: (dead: DeadFile) => boolean;
}

/** How long a writer that has nothing to do keeps the log open: docs/one-writer.md. */
const IDLE_MS = 1_000;

/** One famfs instance as this host has it: its memory mapped, its log followed and written. */
export class Pool implements Disposable {
  readonly name: string;
  readonly device: string;
  /** How long it took to open the pool, which is to read its log. */
  readonly replaySeconds: number;
  readonly #begin = performance.now();
  readonly #memory: PoolMemory;
  readonly #follower: LogFollower;
  readonly #writer: LogWriter;
  readonly #lock: DeviceLock;
  readonly #systemUuid: string | undefined;
  readonly #adopts: boolean;
  readonly #secondaries = new Map<number, SecondaryDevice>();
  readonly #deviceProblems = new Map<number, string>();

  private constructor(options: PoolOptions, memory: PoolMemory) {
    this.name = options.name;
    this.device = options.device;
    this.#memory = memory;
    this.#systemUuid = options.systemUuid;
    this.#adopts = options.adopts ?? false;
    const secondaries = options.secondaries ?? [];
    this.#follower = new LogFollower(memory, options.onRemove, 1 + secondaries.length);
    const { deviceUuid: wanted = this.superblock.deviceUuid } = options;
    if (wanted !== this.superblock.deviceUuid) {
      const text = `has the device uuid ${this.superblock.deviceUuid}, not ${wanted}`;
      throw new Fault('PRECONDITION', `superblock: ${text}; give its path, if it is the right one`);
    }
    this.#openSecondaries(secondaries, options);
    this.#lock = new DeviceLock(options.device);
    this.#writer = new LogWriter(this.#follower, {
      lock: this.#lock,
      host: options.host ?? hostIdentity(),
      rules: {
        mayTakeOver: (owner) => this.#refuseTakeOver(owner),
        isFenced: () => false,
        ...options.rules,
      },
      reachBytes: memory instanceof Mapping ? memory.lengthBytes : this.#logEnd,
      mayWrite: () => {
        options.mayAppend?.();
        this.assertAppendable();
      },
      ...(options.onRecovery ? { onRecovery: options.onRecovery } : {}),
      ...(options.isReleased ? { isReleased: options.isReleased } : {}),
      idleMs: IDLE_MS,
    });
    if (this.#isWriter) this.#writer.close();
    this.replaySeconds = (performance.now() - this.#begin) / 1000;
  }

  /** Maps the device, or the files of a mount, and replays the log. Faults name both. */
  static open(options: PoolOptions): Pool {
    const { device, writable } = options;
    const meta = join(device, META_DIRECTORY);
    const secondaries = existsSync(meta) ? secondariesOfMount(meta) : (options.secondaries ?? []);
    return Pool.over({ ...options, secondaries }, openPoolMemory(device, { writable }));
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

  /** Of the log that `replica` is of: see `LogFollower.generation`. */
  get generation(): number {
    return this.#follower.generation;
  }

  /** The mapping of a device of the pool, or undefined where this host has not opened it. */
  memoryOf(devindex: number): Mapping | undefined {
    if (devindex > 0) return this.#secondaries.get(devindex)?.memory;
    return this.#memory instanceof Mapping ? this.#memory : undefined;
  }

  /** Where a device of the pool is on this host, or undefined where this host has it not. */
  pathOf(devindex: number): string | undefined {
    return devindex === 0 ? this.device : this.#secondaries.get(devindex)?.path;
  }

  /** Why a device that was given cannot be used here, by devindex. */
  get deviceProblems(): ReadonlyMap<number, string> {
    return this.#deviceProblems;
  }

  /** Applies what was appended since, by anybody; returns the log position. */
  follow(): number {
    return this.#follower.follow();
  }

  /** False while a host takes the log over or rewrites it: see `LogFollower.isSettled`. */
  get isSettled(): boolean {
    return this.#follower.isSettled;
  }

  /** Which hosts may still write to the log beside its owner, by name, after an append. */
  writers(): { readonly unfenced: readonly string[]; readonly generation: number } {
    return { unfenced: this.#writer.unfenced(), generation: this.#follower.generation };
  }

  /** See `LogWriter.compact`. */
  compact(): Promise<Compaction> {
    return this.#writer.compact();
  }

  /**
   * Zeroes the next piece of the memory of a file that was deleted in that generation of the log,
   * and that nobody refers to any more; `done`: bytes that were before. Returns how many are then,
   * and Infinity where there is nothing left to do, or nothing that this host could.
   */
  async scrub(dead: DeadFile, generation: number, done: number): Promise<number> {
    let pieceBytes = 0;
    const isDone = await this.#writer.scrub((replica) => {
      if (this.generation !== generation) return undefined;
      const piece = pieceOf(replica, dead, done);
      pieceBytes = piece?.lengthBytes ?? 0;
      return piece;
    });
    return isDone ? done + pieceBytes : Number.POSITIVE_INFINITY;
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
    if (this.#systemUuid !== master && !this.#adopts) {
      throw new Fault(
        'READ_ONLY',
        `pool ${this.name}: its master is ${master}, this writer is ${this.#systemUuid}; ` +
          'append from the master, start this one with --system-uuid if it is the same, or run ' +
          `"famfs-csi adopt ${this.device}" when the master has stopped for good`,
      );
    }
  }

  /** For who adopts it: takes the log over, then makes this writer's system the master. */
  async adopt(): Promise<void> {
    await this.append(() => ({ entries: [], result: undefined }));
    const { systemUuid: master } = this.superblock;
    using _hold = await this.#lock.acquire();
    if (this.#systemUuid !== undefined && this.#systemUuid !== master) {
      replaceMaster(this.#memory, this.#systemUuid);
    }
  }

  get #logEnd(): number {
    return this.superblock.logOffset + this.superblock.logLengthBytes;
  }

  #refuseTakeOver({ hostName }: SlotRecord): never {
    throw new Fault(
      'READ_ONLY',
      `pool ${this.name}: host ${hostName} writes its log; append from there, or, when it has ` +
        `stopped for good, run "famfs-csi adopt ${this.device}" here first`,
    );
  }

  /** A server of the pool writes files, but no log. */
  get #isWriter(): boolean {
    return this.#memory.writable && this.#systemUuid !== undefined;
  }

  [Symbol.dispose](): void {
    if (this.#isWriter) this.#writer[Symbol.dispose]();
    this.#lock[Symbol.dispose]();
    this.#closeSecondaries();
    this.#memory[Symbol.dispose]();
  }

  #openSecondaries(secondaries: readonly GivenDevice[], options: PoolOptions): void {
    const { writable, onDeviceProblem } = options;
    for (const [at, given] of secondaries.entries()) {
      const devindex = at + 1;
      try {
        const device = openSecondary(given, devindex, this.fsUuid, this.replica, { writable });
        if (device !== undefined) this.#secondaries.set(devindex, device);
      } catch (error) {
        if (onDeviceProblem === undefined || !isFault(error)) {
          this.#closeSecondaries();
          throw error;
        }
        this.#deviceProblems.set(devindex, error.message);
        onDeviceProblem(error.message);
      }
    }
  }

  #closeSecondaries(): void {
    for (const { memory } of this.#secondaries.values()) memory?.[Symbol.dispose]();
  }
}
