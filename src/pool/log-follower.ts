import { Fault, isFault } from '../base/errors.ts';
import { getU64 } from '../base/numbers.ts';
import { decodeLogEntry, STAMP_OFFSET } from '../format/log-entry.ts';
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
import { ControlArea, type LogView } from './control-area.ts';

/** Entries that are copied out of shared memory at once while replaying: 64 KiB, as caches like. */
const BATCH_ENTRIES = 120;

/** The superblock's first line: magic, geometry and fs uuid, what tells one pool from another. */
const IDENTITY_BYTES = 64;

/** From next_index to the end of entry 0's stamp: one look, within one cache line. */
const TAIL_BYTES = 24;
const STAMP_AT = LOG_HEADER_BYTES + STAMP_OFFSET - NEXT_INDEX_OFFSET;

interface Tail {
  readonly nextIndex: number;
  readonly stamp: number;
}

/** How often one call starts anew because the log's owner changed something meanwhile. */
const TRIES_MAX = 8;

/**
 * One host's view of a pool's log: opened once, then followed at its tail.
 *
 * Invariants:
 * - `replica` is what entries [0, replica.position) of one generation of the log say, always a
 *   prefix of that log; it changes to that of a later generation in one step.
 * - An entry is read only after it was seen to be revealed, and never read again; except the
 *   damaged one that replay stopped at, which a repair may replace.
 * - An entry is applied only after superblock and control area were seen unchanged since it was
 *   read. mkfs takes the old superblock's magic away before it stores anything else, and who takes
 *   the log over or rewrites it says so in the control area first: so what was read before that
 *   check is of this pool, of this generation, and of a host that owned the log.
 * - Nothing here writes to the memory.
 */
export class LogFollower {
  readonly memory: SharedMemory;
  readonly superblock: Superblock;
  readonly control: ControlArea;
  readonly #identity: Uint8Array;
  /** Told of every node that a DELETE entry takes out of the namespace, also during replay. */
  readonly #onRemove: (node: Node) => void;
  readonly #openDevices: number;
  /** Every whole batch is read into it: an array for each made a replay an eighth slower. */
  readonly #scratch = new Uint8Array(BATCH_ENTRIES * ENTRY_BYTES);
  #replica: Replica;
  /** What is replayed: `#replica`, until another log has to be; that takes its place when whole. */
  #next: Replica;
  #view: LogView;
  /** Of `#replica`; the view may be of a later one already. */
  #generation = 0;
  /** Of the entry 0 that was applied. */
  #stamp = 0;
  /** Set for good once next_index was seen to go back: what is applied may be of no log at all. */
  #wentBack: Fault | undefined;

  /**
   * Reads and checks superblock and log header, and replays the whole log.
   * NOT_FAMFS, CORRUPT or UNSUPPORTED where they are not what format.md demands; a log that is
   * damaged in the middle opens, and `replica.damage` says where. One that is being rewritten or
   * taken over opens empty, and `isSettled` says so. `openDevices`: see `FreeSpace`.
   */
  constructor(memory: SharedMemory, onRemove: (node: Node) => void = () => {}, openDevices = 1) {
    this.memory = memory;
    this.#onRemove = onRemove;
    this.#openDevices = openDevices;
    this.#identity = readIdentity(memory);
    this.superblock = readSuperblock(memory);
    this.control = new ControlArea(memory, this.superblock.fsUuid);
    this.#view = this.control.view();
    this.header();
    this.#replica = this.#next = this.#newReplica();
    this.followToEnd();
    this.assertSamePool();
  }

  get replica(): Replica {
    return this.#replica;
  }

  /** How often the log was rewritten before the one that `replica` is of. */
  get generation(): number {
    return this.#generation;
  }

  /** What the control area said when it was last looked at. */
  get view(): LogView {
    return this.#view;
  }

  /** False while a host takes the log over or rewrites it: `replica` is what it said before. */
  get isSettled(): boolean {
    return this.#view.isSettled;
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
   * Returns the position: the index of the next entry to apply. A log that was rewritten is
   * replayed anew, and one that was repaired where replay had stopped. CORRUPT if next_index is
   * beyond the log, if it went back in a log without an owner, or if the pool was formatted anew.
   */
  follow(): number {
    return this.#follow(() => this.#followOnce());
  }

  /**
   * The same by what the owner says of its own entries, too. next_index may be behind that: its
   * owner died before it published the word, or a host that had lost the log stored it last.
   */
  followToEnd(): number {
    return this.#follow(() => this.#followAnew());
  }

  #follow(once: () => boolean): number {
    if (this.#wentBack !== undefined) throw this.#wentBack;
    for (let tries = 0; tries < TRIES_MAX; tries++) if (once()) break;
    return this.#replica.position;
  }

  /** Forgets everything and replays from the start: after a failed write left doubt. */
  reload(): void {
    this.#wentBack = undefined;
    this.#replica = this.#next = this.#newReplica();
    this.#view = this.control.view();
    this.followToEnd();
  }

  /** False where what was read is not to be applied: the log's owner changed something since. */
  #followOnce(): boolean {
    const { nextIndex, stamp } = this.#tail();
    const { position, damage } = this.#next;
    if (damage === undefined && this.#view.isSettled && (position === 0 || stamp === this.#stamp)) {
      if (nextIndex === position && this.#next === this.#replica) return true;
      if (nextIndex > position) return this.#applyUpTo(nextIndex);
    }
    return this.#followAnew();
  }

  /** As `#followOnce`, and looks at everything first. */
  #followAnew(): boolean {
    this.#refresh();
    // After that, not before: a next_index of the generation before could be beyond this one's.
    const { nextIndex, stamp } = this.#tail();
    if (this.#next.damage !== undefined) {
      if (!this.#isRepaired(nextIndex)) return true;
      this.assertSamePool();
      this.#next = this.#newReplica();
    }
    if (!this.#view.isSettled) return true;
    // This process may have appended entry 0 itself.
    if (this.#next === this.#replica) this.#stamp = stamp;
    const end = Math.max(nextIndex, this.control.committed(this.#view));
    // The header's word may be behind: a host that had lost the log may have stored it last.
    if (this.#view.owner !== 0 && end < this.#next.position) return true;
    return this.#applyUpTo(end);
  }

  /** next_index, and the stamp of entry 0, in one look at one line. */
  #tail(): Tail {
    const bytes = this.memory.read(LOG_OFFSET + NEXT_INDEX_OFFSET, TAIL_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, TAIL_BYTES);
    const nextIndex = getU64(view, 0, 'log next_index');
    return { nextIndex, stamp: view.getUint32(STAMP_AT, true) };
  }

  /** Learns what the control area says now; another generation of the log is replayed anew. */
  #refresh(): void {
    const { generation } = this.#view;
    if (this.#view.isSettled && this.control.stands(this.#view)) return;
    const view = this.control.view();
    // What is applied stays that of the generation before, until the new one can be read.
    this.#view = view.isSettled ? view : { ...view, generation };
    if (this.#view.generation === generation) return;
    this.assertSamePool();
    this.#next = this.#newReplica();
  }

  #applyUpTo(end: number): boolean {
    this.#checkNextIndex(end);
    const replica = this.#next;
    while (replica.position < end && replica.damage === undefined) {
      const first = replica.position;
      const { voids } = this.#view;
      const gap = voids.find(({ from, to }) => from <= first && first < to);
      if (gap !== undefined) {
        // What it ends at may be of another generation than what it is void by.
        if (!this.control.stands(this.#view)) {
          this.#refresh();
          return false;
        }
        replica.skipVoid(Math.min(gap.to, end) - first);
        continue;
      }
      const nextGap = Math.min(...voids.filter(({ from }) => from > first).map(({ from }) => from));
      const count = Math.min(BATCH_ENTRIES, end - first, nextGap - first);
      const offset = LOG_OFFSET + entryOffset(first);
      const batch = this.memory.read(offset, count * ENTRY_BYTES, this.#scratch);
      this.assertSamePool();
      if (!this.control.stands(this.#view)) {
        this.#refresh();
        return false;
      }
      if (first === 0) this.#stamp = stampOf(batch);
      replica.applyBatch(batch, count);
    }
    if (replica.damage !== undefined) replica.noteLost(end);
    this.#generation = this.#view.generation;
    if (replica !== this.#replica) this.#replace(replica);
    return true;
  }

  /** Another log of the same pool is replayed: who listens is told what is gone since. */
  #replace(replica: Replica): void {
    const before = this.#replica;
    this.#replica = replica;
    for (const node of before.namespace.nodes()) {
      if (replica.namespace.byIno(node.ino)?.path !== node.path) this.#onRemove(node);
    }
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
    const { position } = this.#next;
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
    const { position, capacity } = this.#next;
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

function stampOf(entry: Uint8Array): number {
  return new DataView(entry.buffer, entry.byteOffset).getUint32(STAMP_OFFSET, true);
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
