import { Fault, isFault } from '../base/errors.ts';
import { deadEntries } from '../format/accounting.ts';
import type { DeviceRange } from '../format/control-area.ts';
import { encodeLogEntry, type NewEntry } from '../format/log-entry.ts';
import type { DeadFile, Replica } from '../format/replica.ts';
import type { HostIdentity } from './identity.ts';
import type { LogFollower } from './log-follower.ts';
import { type Compaction, LogOwner } from './log-owner.ts';
import { BATCH_ENTRIES, type TakeOverRules } from './ownership.ts';
import { type Remnant, recover } from './recovery.ts';

/** What a plan wants appended, and what its caller gets once readers can see it. */
export interface Plan<T> {
  readonly entries: readonly NewEntry[];
  readonly result: T;
}

/** The pool's lock among the writers of one host; `undefined` from a try means: held elsewhere. */
export interface WriterLock {
  acquire(): Promise<Disposable>;
  tryAcquire(): Disposable | undefined;
}

export interface LogWriterOptions {
  readonly lock: WriterLock;
  readonly host: HostIdentity;
  readonly rules: TakeOverRules;
  /** How much of the primary device this host can store to, from its start. */
  readonly reachBytes: number;
  /** Throws (READ_ONLY) where this process may not append at all. */
  readonly mayWrite?: () => void;
  /** Told, before the first append, what an earlier writer left half-made. */
  readonly onRecovery?: (found: Remnant) => void;
  /** Whether the memory of a deleted file may be used again. Default: of none. */
  readonly isReleased?: (dead: DeadFile) => boolean;
  /** After so long without an append the log is closed, see `LogWriter.close`. Default: never. */
  readonly idleMs?: number;
}

/** Entries that only deletions may take: a full log can always be made less full. */
export const RESERVED_ENTRIES = 128;

interface Waiting {
  readonly plan: (replica: Replica) => Plan<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A plan whose entries fit, as the bytes of their slots. */
interface Encoded {
  readonly images: readonly Uint8Array[];
  readonly result: unknown;
}

/** A plan whose entries are applied to the replica and wait to be written. */
interface Staged {
  readonly waiting: Waiting;
  readonly result: unknown;
}

/**
 * The one way to append to a log. Callers hand in plans: synchronous, pure functions of the replica
 * that say which entries they want. Plans that wait at the same time share one hold of the lock
 * and one publish; each sees the replica with the entries of those before it.
 */
export class LogWriter implements Disposable {
  readonly #follower: LogFollower;
  readonly #options: LogWriterOptions;
  readonly #owner: LogOwner;
  readonly #isReleased: (dead: DeadFile) => boolean;
  #queue: Waiting[] = [];
  #draining = false;
  #isRecovered = false;
  #idle: NodeJS.Timeout | undefined;
  /** What is applied to the replica and not written yet. */
  #images: Uint8Array[] = [];
  #staged: Staged[] = [];

  constructor(follower: LogFollower, options: LogWriterOptions) {
    this.#follower = follower;
    this.#options = options;
    this.#isReleased = options.isReleased ?? (() => false);
    const { reachBytes, host, rules } = options;
    this.#owner = new LogOwner(follower, reachBytes, host, rules);
  }

  /**
   * For who opens a pool to write, or has done so for a while: another host can take the log over
   * from now on without this one being fenced. See `LogOwner.close`. Nothing happens while another
   * process of this host writes, which will do it itself, and where the memory fails: then this
   * host has to be fenced, and the next append says what is wrong.
   */
  close(): void {
    try {
      using hold = this.#options.lock.tryAcquire();
      if (hold !== undefined) this.closeHeld();
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }

  /** As `close`, for a caller that holds the lock. */
  closeHeld(): void {
    this.#owner.close();
  }

  /**
   * Runs the plan under the lock, after the tail was followed, and appends its entries; all or none
   * of them. Resolves when every reader can see them. What the plan throws, and an entry of it that
   * no slot can hold (INVALID), rejects only this call. Where the log or the memory is full, it is
   * compacted first, if that gives room.
   * LOG_FULL, READ_ONLY, MEMORY_ERROR, BUSY (lock held for too long by another process).
   */
  append<T>(plan: (replica: Replica) => Plan<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ plan, resolve: resolve as (result: unknown) => void, reject });
      if (!this.#draining) {
        this.#draining = true;
        // The next turn of the event loop: requests that arrived together share one hold.
        setImmediate(() => void this.#drain());
      }
    });
  }

  /** Hosts that may still write to the log, by name; of an owner, after an append. */
  unfenced(): readonly string[] {
    return this.#owner.unfenced();
  }

  /** As `append`, now, for a caller that holds the lock. */
  appendHeld<T>(plan: (replica: Replica) => Plan<T>): T {
    let result: { readonly value: T } | undefined;
    let failure: unknown;
    const resolve = (value: unknown) => {
      result = { value: value as T };
    };
    const reject = (error: unknown) => {
      failure = error;
    };
    this.#appendBatch([{ plan, resolve, reject }]);
    if (result === undefined) throw failure;
    return result.value;
  }

  /** As `compact`, for a caller that holds the lock. */
  compactHeld(): Compaction {
    return this.#held(() => this.#compact());
  }

  /** Rewrites the log without what is dead: see `LogOwner.compact`. The same faults as `append`. */
  compact(): Promise<Compaction> {
    return this.#withLock(() => this.compactHeld());
  }

  /**
   * Zeroes a piece of a deleted file's memory: which, `pieceOf` says of the log as it is by then.
   * False where it says none, or where this host cannot store to it. See `LogOwner.scrub`.
   */
  scrub(pieceOf: (replica: Replica) => DeviceRange | undefined): Promise<boolean> {
    return this.#withLock(() => this.scrubHeld(pieceOf));
  }

  /** As `scrub`, for a caller that holds the lock. */
  scrubHeld(pieceOf: (replica: Replica) => DeviceRange | undefined): boolean {
    return this.#held(() => {
      const piece = pieceOf(this.#follower.replica);
      if (piece === undefined) return false;
      if (piece.offset + piece.lengthBytes > this.#options.reachBytes) return false;
      this.#owner.scrub(piece);
      return true;
    });
  }

  async #withLock<T>(work: () => T): Promise<T> {
    using _hold = await this.#options.lock.acquire();
    try {
      return work();
    } finally {
      this.#closeWhenIdle();
    }
  }

  /** Under the lock, with the log this host's to write. */
  #held<T>(work: () => T): T {
    try {
      this.#prepare();
      return work();
    } catch (error) {
      this.#distrust();
      throw error;
    }
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      let lock: Disposable;
      try {
        lock = await this.#options.lock.acquire();
      } catch (error) {
        for (const waiting of this.#queue.splice(0)) waiting.reject(error);
        break;
      }
      const batch = this.#queue.splice(0);
      try {
        this.#appendBatch(batch);
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      } finally {
        lock[Symbol.dispose]();
      }
    }
    this.#draining = false;
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    const { idleMs } = this.#options;
    if (idleMs === undefined) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (!this.#draining) this.close();
    }, idleMs).unref();
  }

  /** Nothing is appended any more; the last call. */
  [Symbol.dispose](): void {
    clearTimeout(this.#idle);
    this.close();
  }

  /** Under the lock: stages every plan, writes all their entries, reveals them, answers. */
  #appendBatch(batch: readonly Waiting[]): void {
    this.#images = [];
    this.#staged = [];
    try {
      this.#prepare();
      for (const waiting of batch) this.#stage(waiting);
      this.#write();
    } catch (error) {
      this.#distrust();
      throw error;
    }
  }

  /** Follows the log to its end and makes it this host's to write. */
  #prepare(): void {
    const follower = this.#follower;
    follower.followToEnd();
    follower.assertSamePool();
    this.#options.mayWrite?.();
    this.#owner.assume();
    this.#owner.holdBack();
    if (this.#isRecovered) return;
    // Before the first append, and the first after a failed one.
    for (const found of recover(follower)) this.#options.onRecovery?.(found);
    this.#isRecovered = true;
  }

  /** The replica may be ahead of the memory, or the memory ahead of us: only the log knows. */
  #distrust(): void {
    this.#isRecovered = false;
    this.#follower.reload();
  }

  /** Applies what a plan wants; a plan that throws, or cannot be had, is told and no other. */
  #stage(waiting: Waiting): void {
    let plan = this.#planOf(waiting);
    if (isFull(plan) && this.#makesRoom(plan)) plan = this.#planOf(waiting);
    if (plan instanceof Error) {
      waiting.reject(plan);
      return;
    }
    if (this.#images.length + plan.images.length > BATCH_ENTRIES) this.#write();
    for (const image of plan.images) this.#follower.replica.applyEntry(image);
    this.#images.push(...plan.images);
    this.#staged.push({ waiting, result: plan.result });
  }

  /** Writes what is staged, and answers. */
  #write(): void {
    const images = this.#images;
    const staged = this.#staged;
    if (images.length > 0) {
      this.#owner.append(this.#follower.replica.position - images.length, images);
    }
    this.#images = [];
    this.#staged = [];
    for (const { waiting, result } of staged) waiting.resolve(result);
  }

  /** The plan's wish as bytes, or what it threw. */
  #planOf(waiting: Waiting): Encoded | Error {
    const { replica } = this.#follower;
    try {
      const plan = waiting.plan(replica);
      const isDeletion = plan.entries.every(({ type }) => type === 'delete');
      const free = this.#owner.end - replica.position - (isDeletion ? 0 : RESERVED_ENTRIES);
      if (plan.entries.length > Math.max(0, free)) {
        throw new Fault(
          'LOG_FULL',
          `log: ${plan.entries.length} more entries do not fit, ${Math.max(0, free)} of ` +
            `${replica.capacity} are free; delete volumes, or make the pool anew with a longer ` +
            'log (mkfs --log-size)',
        );
      }
      const first = replica.position;
      const { generation } = this.#owner;
      const encode = (entry: NewEntry, at: number) => encodeLogEntry(first + at, entry, generation);
      const images = plan.entries.map(encode);
      return { images, result: plan.result };
    } catch (error) {
      return error instanceof Error ? error : new Fault('INTERNAL', `plan threw ${error}`);
    }
  }

  /**
   * Compacts the log if that would help; false where it cannot be, or would not. Never in vain:
   * what nodes have said of deleted files counts for the log as it is, and no longer.
   */
  #makesRoom({ code }: Fault): boolean {
    const { replica } = this.#follower;
    const { dead } = replica;
    const kept = dead.filter((one) => !this.#isReleased(one)).length;
    const helps = code === 'NO_SPACE' ? kept < dead.length : deadEntries(replica, kept) > 0;
    if (!helps) return false;
    this.#write();
    try {
      this.#compact();
      return true;
    } catch (error) {
      if (!isFault(error) || error.code !== 'PRECONDITION') throw error;
      return false;
    }
  }

  #compact(): Compaction {
    return this.#owner.compact(this.#isReleased);
  }
}

function isFull(plan: Encoded | Error): plan is Fault {
  return isFault(plan) && (plan.code === 'LOG_FULL' || plan.code === 'NO_SPACE');
}
