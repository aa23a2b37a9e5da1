import { expect } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import type { VolumePool } from '../../src/controller/volume-pool.ts';
import type { Replica } from '../../src/format/replica.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { LogWriter, type Plan } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';

const SYSTEM_UUID = '00000000-0000-4000-8000-00000000aaaa';
const BACKED_BYTES = 10 * MiB; // superblock and log; nobody here touches the data behind them

/** A device in the heap that can lose power: from then on its stores are lost and throw. */
export class HeapMemory implements SharedMemory {
  readonly lengthBytes: number;
  readonly #bytes: Uint8Array;
  #storesLeft = Number.POSITIVE_INFINITY;
  stores = 0;
  publishes = 0;

  constructor(lengthBytes: number, bytes: Uint8Array = new Uint8Array(BACKED_BYTES)) {
    this.lengthBytes = lengthBytes;
    this.#bytes = bytes;
  }

  /** The same bytes as another process has them. */
  reopened(): HeapMemory {
    return new HeapMemory(this.lengthBytes, this.#bytes);
  }

  dieAfter(stores: number): void {
    this.#storesLeft = stores;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    return this.#bytes.slice(offset, offset + lengthBytes);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#spend();
    this.#bytes.set(bytes, offset);
  }

  publish(offset: number, value: bigint): void {
    this.#spend();
    this.publishes += 1;
    new DataView(this.#bytes.buffer).setBigUint64(offset, value, true);
  }

  [Symbol.dispose](): void {}

  #spend(): void {
    if (this.#storesLeft === 0) throw new Fault('MEMORY_ERROR', 'power lost');
    this.#storesLeft -= 1;
    this.stores += 1;
  }
}

/** A pool over the real log follower and writer, in heap memory, without a lock among processes. */
export class MemoryPool implements VolumePool {
  readonly name: string;
  readonly memory: HeapMemory;
  readonly #follower: LogFollower;
  readonly #writer: LogWriter;

  private constructor(name: string, memory: HeapMemory) {
    this.name = name;
    this.memory = memory;
    this.#follower = new LogFollower(memory);
    const lock = { acquire: async () => ({ [Symbol.dispose]: () => {} }) };
    this.#writer = new LogWriter(this.#follower, lock, () => {});
  }

  static make(name: string, lengthBytes: number): MemoryPool {
    const memory = new HeapMemory(lengthBytes);
    mkfs(memory, { deviceName: name, systemUuid: SYSTEM_UUID });
    return new MemoryPool(name, memory);
  }

  /** What a controller that starts now sees. */
  reopened(): MemoryPool {
    return new MemoryPool(this.name, this.memory.reopened());
  }

  get fsUuid(): string {
    return this.#follower.superblock.fsUuid;
  }

  get replica(): Replica {
    return this.#follower.replica;
  }

  follow(): number {
    return this.#follower.follow();
  }

  append<T>(plan: (replica: Replica) => Plan<T>): Promise<T> {
    return this.#writer.append(plan);
  }

  paths(): string[] {
    return [...this.replica.namespace.files()].map((file) => file.path).sort();
  }
}

/** Replays the pool's log from the start: no entry is damaged, rejected or overlaps another. */
export function expectClean(pool: MemoryPool): void {
  const { replica } = pool.reopened();
  expect(replica.damage).toBeUndefined();
  expect(replica.problems).toEqual([]);
}
