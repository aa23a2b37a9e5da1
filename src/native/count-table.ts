import { closeSync, ftruncateSync, openSync, statSync } from 'node:fs';
import { KiB } from '../base/numbers.ts';
import { Mapping } from './mapping.ts';

const SLOT_BYTES = 16; // inode u64, lookups u32, opens u32
const FIRST_BYTES = 64 * KiB;
const COUNT_MAX = 0xffff_ffff;

interface Counts {
  readonly lookups: number;
  readonly opens: number;
}

/**
 * Counts by inode in a mapped file of a memory file system: they outlive a server that is killed at
 * any instruction, since a store into a shared mapping is the kernel's at once. One slot an inode;
 * both counts change in one aligned 8-byte store. A slot with inode 0 is free.
 */
export class CountTable implements Disposable {
  readonly #path: string;
  #memory: Mapping;
  readonly #slots = new Map<number, number>();
  #free: number[] = [];
  readonly #word = new Uint8Array(8);
  readonly #view = new DataView(this.#word.buffer);

  /** Opens the table, made empty if it is not there. The directory's file system is to be tmpfs. */
  constructor(path: string) {
    this.#path = path;
    this.#memory = mapWith(path, FIRST_BYTES);
    this.#addFree(0);
    const view = viewOf(this.#memory);
    this.#free = this.#free.filter((slot) => {
      const ino = Number(view.getBigUint64(slot * SLOT_BYTES, true));
      if (ino !== 0) this.#slots.set(ino, slot);
      return ino === 0;
    });
  }

  *entries(): Iterable<readonly [number, Counts]> {
    const view = viewOf(this.#memory);
    for (const [ino, slot] of this.#slots) {
      const at = slot * SLOT_BYTES + 8;
      yield [ino, { lookups: view.getUint32(at, true), opens: view.getUint32(at + 4, true) }];
    }
  }

  set(ino: number, { lookups, opens }: Counts): void {
    const isGone = lookups === 0 && opens === 0;
    const slot = this.#slots.get(ino);
    if (isGone && slot === undefined) return;
    if (isGone && slot !== undefined) {
      // The inode first: a slot without one is free, whatever its counts.
      this.#put(slot, 0, 0n);
      this.#slots.delete(ino);
      this.#free.push(slot);
      return;
    }
    const counts = BigInt(clamp(lookups)) | (BigInt(clamp(opens)) << 32n);
    const at = slot ?? this.#take(ino);
    this.#put(at, 8, counts);
    if (slot === undefined) this.#put(at, 0, BigInt(ino));
  }

  /** Idempotent. The file stays for the next server. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  #take(ino: number): number {
    let slot = this.#free.pop();
    if (slot === undefined) {
      const before = this.#memory.lengthBytes;
      const grown = mapWith(this.#path, 2 * before);
      this.#memory[Symbol.dispose]();
      this.#memory = grown;
      this.#addFree(before / SLOT_BYTES);
      slot = this.#free.pop() as number;
    }
    this.#slots.set(ino, slot);
    return slot;
  }

  #addFree(from: number): void {
    for (let slot = this.#memory.lengthBytes / SLOT_BYTES - 1; slot >= from; slot--) {
      this.#free.push(slot);
    }
  }

  #put(slot: number, offset: number, word: bigint): void {
    this.#view.setBigUint64(0, word, true);
    this.#memory.copyIn(slot * SLOT_BYTES + offset, this.#word);
  }
}

function clamp(count: number): number {
  return Math.min(count, COUNT_MAX);
}

function viewOf(memory: Mapping): DataView {
  const bytes = new Uint8Array(memory.lengthBytes);
  memory.copyOut(0, bytes);
  return new DataView(bytes.buffer);
}

/** Maps the file, made at least that long; its length is a multiple of a slot's. */
function mapWith(path: string, leastBytes: number): Mapping {
  const fd = openSync(path, 'a+', 0o600);
  try {
    if (statSync(path).size < leastBytes) ftruncateSync(fd, leastBytes);
  } finally {
    closeSync(fd);
  }
  return Mapping.open(path, { writable: true });
}
