import { Fault } from '../base/errors.ts';

/**
 * The one seam that everything on the log goes through. Offsets and lengths are bytes; a range
 * outside `[0, lengthBytes)` is INVALID. Other hosts may cache the same memory incoherently, so a
 * read drops this host's cache lines first and a write ends in memory, not in a cache.
 */
export interface SharedMemory extends Disposable {
  readonly lengthBytes: number;

  /**
   * Invalidates the lines of the range, then copies it out: nothing in it is older than the call.
   * An aligned word is loaded whole; anything longer may be a mix of what stood there during the
   * call. MEMORY_ERROR instead of a SIGBUS.
   * `scratch`, if it has the length, may be what is returned: for who reads again and again.
   */
  read(offset: number, lengthBytes: number, scratch?: Uint8Array): Uint8Array;

  /**
   * Stores the bytes, writes their lines back to memory, fences: on return they are in memory.
   * Before that any part of them may be, in any order. MEMORY_ERROR as above.
   */
  write(offset: number, bytes: Uint8Array): void;

  /** One aligned 8-byte store, written back and fenced; readers see the old or the new word. */
  publish(offset: number, value: bigint): void;

  /**
   * Writes back what any process of this host stored in the range and drops its lines: nothing of
   * that can reach memory later. Loads nothing.
   */
  flush(offset: number, lengthBytes: number): void;
}

/**
 * What one host can do to shared memory, one step at a time. Nothing here is ordered against other
 * hosts but as each step says; `OrderedMemory` is where the steps get their order.
 */
export interface RawMemory extends Disposable {
  readonly lengthBytes: number;

  /** Loads; this host's cache may serve them, however old its lines are. A word comes whole. */
  copyOut(offset: number, into: Uint8Array): void;

  /** Stores, into this host's cache: they reach memory when written back, or sooner, in parts. */
  copyIn(offset: number, bytes: Uint8Array): void;

  /** One aligned 8-byte store, into this host's cache. */
  store(offset: number, word: bigint): void;

  /** Begins to write the lines of the range back to memory; complete at the next `fence` only. */
  writeBack(offset: number, lengthBytes: number): void;

  /**
   * Drops the lines of the range from this host's cache; what was stored to them is written back
   * first. Fenced on both sides: no later load is served from what was cached before.
   */
  invalidate(offset: number, lengthBytes: number): void;

  /** Waits until every write-back that was begun is in memory. */
  fence(): void;
}

/**
 * The only place that orders steps on memory that hosts cache incoherently:
 * - read: a line that this host has cached may be as old as its last invalidation, also where no
 *   program loaded it since (the CPU fetches ahead). So the lines go first, then the load. A line
 *   that is fetched ahead between the two is no older than the call, and that is all that is asked.
 * - write: a store stays in this host's cache until its line is written back, and a write-back is
 *   under way until a fence. So store, write back, fence: whatever this host stores afterwards
 *   reaches memory after these bytes. Until then lines may be written back in any order, or be
 *   lost with the host: nobody may look at the bytes before a later `publish` says so.
 * - publish: the same for one aligned word, which a line carries whole, old or new.
 * - flush: a process that is killed between store and fence leaves lines that its host may write
 *   back at any later moment, over what others have stored since. They go now.
 *
 * Lines are written back whole: a store to a part of one puts the rest of it, as this host had it
 * cached, into memory too. Only a pool's one writer at a time stores (decision 0014), and what else
 * stands in a line that it stores to it has read, through `read`, since others could write it.
 */
export class OrderedMemory implements SharedMemory {
  readonly #raw: RawMemory;

  constructor(raw: RawMemory) {
    this.#raw = raw;
  }

  get lengthBytes(): number {
    return this.#raw.lengthBytes;
  }

  read(offset: number, lengthBytes: number, scratch?: Uint8Array): Uint8Array {
    if (!(Number.isInteger(lengthBytes) && lengthBytes >= 0 && lengthBytes <= this.lengthBytes)) {
      const text = `found the length ${lengthBytes}, expected 0 to ${this.lengthBytes}`;
      throw new Fault('INVALID', `shared memory at ${offset}: ${text}`);
    }
    const bytes = scratch?.length === lengthBytes ? scratch : unwritten(lengthBytes);
    this.#raw.invalidate(offset, lengthBytes);
    this.#raw.copyOut(offset, bytes);
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#raw.copyIn(offset, bytes);
    this.#raw.writeBack(offset, bytes.length);
    this.#raw.fence();
  }

  publish(offset: number, value: bigint): void {
    this.#raw.store(offset, value);
    this.#raw.writeBack(offset, BigUint64Array.BYTES_PER_ELEMENT);
    this.#raw.fence();
  }

  flush(offset: number, lengthBytes: number): void {
    this.#raw.invalidate(offset, lengthBytes);
  }

  [Symbol.dispose](): void {
    this.#raw[Symbol.dispose]();
  }
}

/**
 * An array of whatever bytes, all to be written. A slice of Node's pool if it is small: arrays that
 * had each a buffer of its own were the dearest part of an append (decision 0017).
 */
function unwritten(lengthBytes: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(lengthBytes);
  return new Uint8Array(buffer, byteOffset, lengthBytes);
}
