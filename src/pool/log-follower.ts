import { Fault, isFault } from '../base/errors.ts';
import { getU64 } from '../base/numbers.ts';
import { decodeLogEntry } from '../format/log-entry.ts';
import {
  decodeLogHeader,
  ENTRY_BYTES,
  entryOffset,
  LOG_HEADER_BYTES,
  LOG_OFFSET,
  type LogHeader,
  NEXT_INDEX_OFFSET,
} from '../format/log-header.ts';
import type { Node } from '../format/namespace.ts';
import { Replica } from '../format/replica.ts';
import {
  decodeSuperblock,
  FLAG_SECONDARY,
  SUPERBLOCK_BYTES,
  type Superblock,
} from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';

/** Entries that are copied out of shared memory at once while replaying: 64 KiB, as caches like. */
const BATCH_ENTRIES = 120;

/** The superblock's first line: magic, geometry and fs uuid, what tells one pool from another. */
const IDENTITY_BYTES = 64;

/**
 * One host's view of a pool's log: opened once, then followed at its tail.
 *
 * Invariants:
 * - `replica` is what entries [0, replica.position) say, always a prefix of the log.
 * - An entry is read only after `next_index` was seen above it, and never read again; except the
 *   damaged one that replay stopped at, which a repair may replace.
 * - An entry is applied only after the superblock was seen unchanged since it was read. mkfs takes
 *   the old superblock's magic away before it stores anything else, so what was read before that
 *   check is of the pool that was opened, not of one that was made in its place.
 * - Nothing here writes to the memory.
 */
export class LogFollower {
  readonly memory: SharedMemory;
  readonly superblock: Superblock;
  readonly #identity: Uint8Array;
  /** Told of every node that a DELETE entry takes out of the namespace, also during replay. */
  readonly #onRemove: (node: Node) => void;
  readonly #openDevices: number;
  /** Every whole batch is read into it: an array for each made a replay an eighth slower. */
  readonly #scratch = new Uint8Array(BATCH_ENTRIES * ENTRY_BYTES);
  #replica: Replica;
  /** Set for good once next_index was seen to go back: what is applied may be of no log at all. */
  #wentBack: Fault | undefined;

  /**
   * Reads and checks superblock and log header, and replays the whole log.
   * NOT_FAMFS, CORRUPT or UNSUPPORTED where they are not what format.md demands; a log that is
   * damaged in the middle opens, and `replica.damage` says where. `openDevices`: see `FreeSpace`.
   */
  constructor(memory: SharedMemory, onRemove: (node: Node) => void = () => {}, openDevices = 1) {
    this.memory = memory;
    this.#onRemove = onRemove;
    this.#openDevices = openDevices;
    this.#identity = readIdentity(memory);
    this.superblock = readSuperblock(memory);
    this.header();
    this.#replica = this.#newReplica();
    this.follow();
    this.assertSamePool();
  }

  get replica(): Replica {
    return this.#replica;
  }

  /** The log header as it is in memory now, checked. */
  header(): LogHeader {
    try {
      return readLogHeader(this.memory, this.superblock);
    } catch (error) {
      if (!isFault(error) || error.code !== 'CORRUPT') throw error;
      const text = `${error.message}; "famfs-csi repair" says what can be done`;
      throw new Fault('CORRUPT', text, { cause: error });
    }
  }

  /**
   * Applies what was appended since the last call; costs one cache line when that is nothing.
   * Returns the position: the index of the next entry to apply. CORRUPT if next_index is beyond
   * the log or went back, or if the pool was formatted anew. A log that was repaired where replay
   * had stopped is replayed anew.
   */
  follow(): number {
    if (this.#wentBack !== undefined) throw this.#wentBack;
    const bytes = this.memory.read(LOG_OFFSET + NEXT_INDEX_OFFSET, 8);
    const nextIndex = getU64(new DataView(bytes.buffer, bytes.byteOffset), 0, 'log next_index');
    if (this.#replica.damage !== undefined) {
      if (!this.#isRepaired(nextIndex)) return this.#replica.position;
      this.assertSamePool();
      this.#replica = this.#newReplica();
    }
    const replica = this.#replica;
    if (nextIndex === replica.position) return replica.position;
    this.#checkNextIndex(nextIndex);
    while (replica.position < nextIndex && replica.damage === undefined) {
      const first = replica.position;
      const count = Math.min(BATCH_ENTRIES, nextIndex - first);
      const offset = LOG_OFFSET + entryOffset(first);
      const batch = this.memory.read(offset, count * ENTRY_BYTES, this.#scratch);
      this.assertSamePool();
      replica.applyBatch(batch, count);
    }
    if (replica.damage !== undefined) replica.noteLost(nextIndex);
    return replica.position;
  }

  /** Forgets everything and replays from the start: after a failed write left doubt. */
  reload(): void {
    this.#wentBack = undefined;
    this.#replica = this.#newReplica();
    this.follow();
  }

  /** CORRUPT if the superblock is not the one any more that was read when the pool was opened. */
  assertSamePool(): void {
    if (Buffer.compare(readIdentity(this.memory), this.#identity) === 0) return;
    throw new Fault(
      'CORRUPT',
      'superblock: it changed since the pool was opened; the pool was formatted anew or damaged; ' +
        'stop its users, run "famfs-csi check" and open it again',
    );
  }

  /** Whether the log now ends before the damaged entry, or has another one in its place. */
  #isRepaired(nextIndex: number): boolean {
    const { position } = this.#replica;
    if (nextIndex <= position) return nextIndex === position;
    const bytes = this.memory.read(LOG_OFFSET + entryOffset(position), ENTRY_BYTES);
    const decoded = decodeLogEntry(bytes, position);
    return decoded.ok || !decoded.damage;
  }

  #newReplica(): Replica {
    const openDevices = this.#openDevices;
    return new Replica(this.superblock, { onRemove: this.#onRemove, openDevices });
  }

  #checkNextIndex(nextIndex: number): void {
    const { position, capacity } = this.#replica;
    if (nextIndex > capacity) {
      throw new Fault(
        'CORRUPT',
        `log header: next_index is ${nextIndex}, the log holds ${capacity} entries; ` +
          'run "famfs-csi check"',
      );
    }
    if (nextIndex < position) {
      this.#wentBack = new Fault(
        'CORRUPT',
        `log header: next_index went back from ${position} to ${nextIndex}; the pool was ` +
          'formatted anew or damaged, or its log was cut by a repair; run "famfs-csi check", ' +
          'then restart this process',
      );
      throw this.#wentBack;
    }
  }
}

function readIdentity(memory: SharedMemory): Uint8Array {
  return memory.read(0, Math.min(IDENTITY_BYTES, memory.lengthBytes));
}

/** The log header, checked; CORRUPT where it is not what the superblock and format.md demand. */
export function readLogHeader(memory: SharedMemory, superblock: Superblock): LogHeader {
  const header = decodeLogHeader(memory.read(LOG_OFFSET, LOG_HEADER_BYTES));
  if (header.logLengthBytes !== superblock.logLengthBytes) {
    throw new Fault(
      'CORRUPT',
      `log header: length is ${header.logLengthBytes}, the superblock says ` +
        `${superblock.logLengthBytes}`,
    );
  }
  return header;
}

/** The superblock, checked, of a memory that is as long as it says. */
export function readSuperblock(memory: SharedMemory): Superblock {
  const length = Math.min(SUPERBLOCK_BYTES, memory.lengthBytes);
  const superblock = decodeSuperblock(memory.read(0, length));
  if (superblock.flags === FLAG_SECONDARY) {
    throw new Fault(
      'PRECONDITION',
      `superblock: this is a secondary device of pool ${superblock.fsUuid}, which has no log; ` +
        'give the primary device',
    );
  }
  const end = LOG_OFFSET + superblock.logLengthBytes;
  if (memory.lengthBytes < Math.max(end, superblock.deviceSizeBytes)) {
    throw new Fault(
      'CORRUPT',
      `device: has ${memory.lengthBytes} bytes, its superblock says ` +
        `${superblock.deviceSizeBytes} with a log that ends at ${end}; ` +
        'give the whole device',
    );
  }
  return superblock;
}
