import { assert, isFault } from '../base/errors.ts';
import { getU64OrInfinity } from '../base/numbers.ts';
import { readDamaged } from '../format/damaged-entry.ts';
import { decodeLogEntry } from '../format/log-entry.ts';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_HEADER_BYTES,
  LOG_OFFSET,
  logCapacity,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../format/log-header.ts';
import { type Problem, Replica } from '../format/replica.ts';
import type { Superblock } from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { readLogHeader, readSuperblock } from './log-follower.ts';

/** Entries that are copied out of shared memory at once: half a MiB. */
const BATCH_ENTRIES = 964;

export interface Slot {
  readonly index: number;
  /** The 544 bytes, valid until the next slot is asked for. */
  readonly bytes: Uint8Array;
}

/** A log as a repair looks at it: all its slots, damaged or not. Reads only. */
export class RawLog {
  readonly memory: SharedMemory;
  readonly superblock: Superblock;
  readonly capacity: number;
  /** What is wrong with the header, fixed fields and next_index; undefined when readers take it. */
  readonly headerProblem: string | undefined;
  /** The header's two words as they stand; Infinity for one that is no quantity. */
  readonly nextSeqnum: number;
  readonly nextIndex: number;

  /** The superblock must be right: NOT_FAMFS, CORRUPT or UNSUPPORTED otherwise. */
  constructor(memory: SharedMemory) {
    this.memory = memory;
    this.superblock = readSuperblock(memory);
    this.capacity = logCapacity(this.superblock.logLengthBytes);
    this.headerProblem = headerProblem(memory, this.superblock);
    const header = memory.read(LOG_OFFSET, LOG_HEADER_BYTES);
    const view = new DataView(header.buffer, header.byteOffset);
    this.nextSeqnum = getU64OrInfinity(view, NEXT_SEQNUM_OFFSET);
    this.nextIndex = getU64OrInfinity(view, NEXT_INDEX_OFFSET);
  }

  /** Slots [from, to), in order. */
  *slots(from: number, to: number): Iterable<Slot> {
    for (let first = from; first < to; first += BATCH_ENTRIES) {
      const count = Math.min(BATCH_ENTRIES, to - first);
      const batch = this.memory.read(LOG_OFFSET + entryOffset(first), count * ENTRY_BYTES);
      for (let at = 0; at < count; at++) {
        const bytes = batch.subarray(at * ENTRY_BYTES, (at + 1) * ENTRY_BYTES);
        yield { index: first + at, bytes };
      }
    }
  }

  /** Whether a whole entry with the right number stands there. */
  isValid(index: number): boolean {
    const [slot] = this.slots(index, Math.min(index + 1, this.capacity));
    return slot !== undefined && !isDamage(slot.bytes, index);
  }

  /** The indices below `count` at which replay would stop. */
  damagedBelow(count: number): number[] {
    const damaged: number[] = [];
    for (const { index, bytes } of this.slots(0, count)) {
      if (isDamage(bytes, index)) damaged.push(index);
    }
    return damaged;
  }

  /** The code and text of the damage at an index that has some. */
  damageAt(index: number): Problem {
    const [slot] = this.slots(index, index + 1);
    const damage = slot && readDamaged(slot.bytes, index);
    assert(damage !== undefined, `log entry ${index} was damaged and is not`);
    return { index, code: damage.code, message: damage.message };
  }

  /** How many valid entries stand one after the other from that index on. */
  validFrom(first: number): number {
    for (const { index, bytes } of this.slots(first, this.capacity)) {
      if (isDamage(bytes, index)) return index - first;
    }
    return this.capacity - first;
  }

  /** What a reader of the first `count` entries knows, up to the first damage. */
  replay(count: number): Replica {
    const replica = new Replica(this.superblock);
    for (const { bytes } of this.slots(0, count)) {
      replica.apply(bytes);
      if (replica.damage !== undefined) break;
    }
    return replica;
  }
}

function isDamage(bytes: Uint8Array, index: number): boolean {
  const decoded = decodeLogEntry(bytes, index);
  return !decoded.ok && decoded.damage;
}

function headerProblem(memory: SharedMemory, superblock: Superblock): string | undefined {
  try {
    readLogHeader(memory, superblock);
    return undefined;
  } catch (error) {
    if (isFault(error) && error.code === 'CORRUPT') return error.message;
    throw error;
  }
}
