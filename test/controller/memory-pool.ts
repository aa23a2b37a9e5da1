import { expect } from '@jest/globals';
import type { VolumePool } from '../../src/controller/volume-pool.ts';
import type { DeadFile, Replica } from '../../src/format/replica.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { Compaction } from '../../src/pool/log-owner.ts';
import type { LogWriter, Plan } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { HeapMemory } from '../support/heap-memory.ts';
import { writerOf } from '../support/log-writer.ts';

const SYSTEM_UUID = '00000000-0000-4000-8000-00000000aaaa';

type IsReleased = (pool: string, generation: number, dead: DeadFile) => boolean;

/** A pool over the real log follower and writer, in heap memory, without a lock among processes. */
export class MemoryPool implements VolumePool {
  readonly name: string;
  readonly memory: HeapMemory;
  readonly #follower: LogFollower;
  readonly #writer: LogWriter;

  readonly #isReleased: IsReleased;

  private constructor(name: string, memory: HeapMemory, isReleased: IsReleased) {
    this.#isReleased = isReleased;
    this.name = name;
    this.memory = memory;
    this.#follower = new LogFollower(memory);
    this.#writer = writerOf(this.#follower, {
      isReleased: (dead) => isReleased(name, this.generation, dead),
    });
  }

  static make(name: string, lengthBytes: number, isReleased: IsReleased = () => false): MemoryPool {
    const memory = new HeapMemory(lengthBytes);
    mkfs(memory, { deviceName: name, systemUuid: SYSTEM_UUID });
    const pool = new MemoryPool(name, memory, isReleased);
    // As a pool is that has been written to: its log is this host's.
    pool.#writer.appendHeld(() => ({ entries: [], result: undefined }));
    return pool;
  }

  /** What a controller that starts now sees. */
  reopened(isReleased = this.#isReleased): MemoryPool {
    return new MemoryPool(this.name, this.memory.reopened(), isReleased);
  }

  get fsUuid(): string {
    return this.#follower.superblock.fsUuid;
  }

  get replica(): Replica {
    return this.#follower.replica;
  }

  get generation(): number {
    return this.#follower.generation;
  }

  get isSettled(): boolean {
    return this.#follower.isSettled;
  }

  follow(): number {
    return this.#follower.follow();
  }

  append<T>(plan: (replica: Replica) => Plan<T>): Promise<T> {
    return this.#writer.append(plan);
  }

  /** Inode numbers of what was zeroed; there is no memory for files here. */
  readonly scrubbed: number[] = [];

  async scrub({ node }: DeadFile, generation: number, done: number): Promise<number> {
    if (generation !== this.generation || done > 0) return Number.POSITIVE_INFINITY;
    this.scrubbed.push(node.ino);
    return node.sizeBytes;
  }

  compact(): Promise<Compaction> {
    return this.#writer.compact();
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
