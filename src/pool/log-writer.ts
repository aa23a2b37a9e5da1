import { Fault } from '../base/errors.ts';
import { encodeLogEntry, type NewEntry } from '../format/log-entry.ts';
import {
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../format/log-header.ts';
import type { Replica } from '../format/replica.ts';
import type { LogFollower } from './log-follower.ts';
import { type Remnant, recover } from './recovery.ts';

/** What a plan wants appended, and what its caller gets once readers can see it. */
export interface Plan<T> {
  readonly entries: readonly NewEntry[];
  readonly result: T;
}

/** The pool's lock among the writers of one host; `undefined` from a try means: held elsewhere. */
export interface WriterLock {
  acquire(): Promise<Disposable>;
}

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
export class LogWriter {
  readonly #follower: LogFollower;
  readonly #lock: WriterLock;
  readonly #mayWrite: () => void;
  readonly #onRecovery: (found: Remnant) => void;
  #queue: Waiting[] = [];
  #draining = false;
  #isRecovered = false;

  /**
   * `mayWrite` throws (READ_ONLY) where this host may not append at all. `onRecovery` is told what
   * an earlier writer left half-made, before the first append.
   */
  constructor(
    follower: LogFollower,
    lock: WriterLock,
    mayWrite: () => void,
    onRecovery: (found: Remnant) => void = () => {},
  ) {
    this.#follower = follower;
    this.#lock = lock;
    this.#mayWrite = mayWrite;
    this.#onRecovery = onRecovery;
  }

  /**
   * To be called once by who opens a pool to write. A predecessor that was killed on this host may
   * have left lines of entries that it never revealed in the host's cache. As long as we write here
   * they do no harm, but when another host takes over, they could still be evicted over the entries
   * that it appends. So they go first: what they hold is above next_index, where nobody looks.
   */
  takeOver(): void {
    const { memory, replica, superblock } = this.#follower;
    const tail = entryOffset(replica.position);
    memory.flush(LOG_OFFSET + tail, superblock.logLengthBytes - tail);
  }

  /**
   * Runs the plan under the lock, after the tail was followed, and appends its entries; all or none
   * of them. Resolves when every reader can see them. What the plan throws, and an entry of it that
   * no slot can hold (INVALID), rejects only this call.
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

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      let lock: Disposable;
      try {
        lock = await this.#lock.acquire();
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
  }

  /** Under the lock: stages every plan, writes all their entries, reveals them, answers. */
  #appendBatch(batch: readonly Waiting[]): void {
    const follower = this.#follower;
    follower.follow();
    follower.assertSamePool();
    this.#mayWrite();
    this.#recoverOnce();
    const first = follower.replica.position;
    const images: Uint8Array[] = [];
    const staged: Staged[] = [];
    try {
      for (const waiting of batch) {
        const plan = this.#planOf(waiting);
        if (plan === undefined) continue;
        for (const image of plan.images) follower.replica.applyEntry(image);
        images.push(...plan.images);
        staged.push({ waiting, result: plan.result });
      }
      if (images.length > 0) this.#writeEntries(first, images);
    } catch (error) {
      // The replica may be ahead of the memory, or the memory ahead of us: only the log knows.
      this.#isRecovered = false;
      follower.reload();
      throw error;
    }
    for (const { waiting, result } of staged) waiting.resolve(result);
  }

  /** Before the first append, and the first after a failed one: see `recover`. */
  #recoverOnce(): void {
    if (this.#isRecovered) return;
    for (const found of recover(this.#follower)) this.#onRecovery(found);
    this.#isRecovered = true;
  }

  /** The plan's wish, or undefined where it threw or cannot be had: its caller is told. */
  #planOf(waiting: Waiting): Encoded | undefined {
    const { replica } = this.#follower;
    try {
      const plan = waiting.plan(replica);
      const free = replica.capacity - replica.position;
      if (plan.entries.length > free) {
        throw new Fault(
          'LOG_FULL',
          `log: ${plan.entries.length} more entries do not fit, ${free} of ${replica.capacity} ` +
            'are free; make the pool anew with a longer log (mkfs --log-size)',
        );
      }
      const first = replica.position;
      const images = plan.entries.map((entry, at) => encodeLogEntry(first + at, entry));
      return { images, result: plan.result };
    } catch (error) {
      waiting.reject(error);
      return undefined;
    }
  }

  /**
   * Other hosts poll next_index and trust every entry below it, so the entries must be in memory
   * before the index that reveals them:
   *   1. write the entries into their slots; `write` flushes their cache lines and fences
   *   2. publish next_seqnum, then next_index, one aligned 8-byte store each, flushed and fenced
   * A crash in between leaves bytes that no reader looks at, or a next_seqnum that runs ahead,
   * which no reader uses: the next append writes both again. There is no step to undo.
   */
  #writeEntries(first: number, images: readonly Uint8Array[]): void {
    const { memory } = this.#follower;
    const next = BigInt(first + images.length);
    memory.write(LOG_OFFSET + entryOffset(first), Buffer.concat(images));
    memory.publish(LOG_OFFSET + NEXT_SEQNUM_OFFSET, next);
    memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, next);
  }
}
