import { Fault, isFault } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { type CheckReport, checkReport, unusableReport } from '../../src/format/check.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';

const BACKED_BYTES = 10 * MiB; // superblock and log; nobody here touches the data behind them

/** A device in the heap that can lose power: from then on its stores are lost and throw. */
export class HeapMemory implements SharedMemory {
  readonly lengthBytes: number;
  readonly #bytes: Uint8Array;
  #storesLeft = Number.POSITIVE_INFINITY;
  #tornBytes = 0;
  stores = 0;
  publishes = 0;
  reads = 0;
  readBytes = 0;

  constructor(lengthBytes: number, bytes: Uint8Array = new Uint8Array(BACKED_BYTES)) {
    this.lengthBytes = lengthBytes;
    this.#bytes = bytes;
  }

  /** The same bytes as another process has them. */
  reopened(): HeapMemory {
    return new HeapMemory(this.lengthBytes, this.#bytes);
  }

  /**
   * Power fails after so many stores; of the `write` then under way the first `tornBytes` still
   * reach the memory (a `publish` is one store of a word: all or nothing).
   */
  dieAfter(stores: number, tornBytes = 0): void {
    this.#storesLeft = stores;
    this.#tornBytes = tornBytes;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    this.#checkRange(offset, lengthBytes);
    this.reads += 1;
    this.readBytes += lengthBytes;
    return this.#bytes.slice(offset, offset + lengthBytes);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#checkRange(offset, bytes.length);
    if (this.#storesLeft === 0) {
      this.#bytes.set(bytes.subarray(0, this.#tornBytes), offset);
      this.#tornBytes = 0;
    }
    this.#spend();
    this.#bytes.set(bytes, offset);
  }

  publish(offset: number, value: bigint): void {
    this.#checkRange(offset, 8);
    this.#spend();
    this.publishes += 1;
    new DataView(this.#bytes.buffer, this.#bytes.byteOffset).setBigUint64(offset, value, true);
  }

  /** The heap has one host. */
  flush(): void {}

  [Symbol.dispose](): void {}

  #checkRange(offset: number, lengthBytes: number): void {
    const end = Math.min(this.lengthBytes, this.#bytes.length);
    if (offset >= 0 && offset + lengthBytes <= end) return;
    throw new Fault(
      'INVALID',
      `${lengthBytes} bytes at ${offset}: outside the ${end} that are here`,
    );
  }

  #spend(): void {
    if (this.#storesLeft === 0) throw new Fault('MEMORY_ERROR', 'power lost');
    this.#storesLeft -= 1;
    this.stores += 1;
  }
}

/** What `famfs-csi check` says about a memory. */
export function checkOf(memory: SharedMemory): CheckReport {
  try {
    const follower = new LogFollower(memory);
    return checkReport(follower.superblock, follower.header(), follower.replica);
  } catch (error) {
    if (!isFault(error)) throw error;
    return unusableReport(error.code, error.message);
  }
}
