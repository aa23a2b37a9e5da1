import { Fault } from '../base/errors.ts';
import { getU64OrInfinity, setU64 } from '../base/numbers.ts';
import {
  committedOffset,
  decodeRecord,
  decodeSlotWord,
  encodeRecord,
  encodeSlotWord,
  epochOfOwner,
  OWNER_BYTES,
  OWNER_OFFSET,
  poolTag,
  RECORD_BYTES,
  recordOffset,
  SLOTS,
  type SlotRecord,
  type SlotWord,
  STATES_BYTES,
  STATES_OFFSET,
  slotOfOwner,
  stateOffset,
  TAG_OFFSET,
  type VoidRange,
} from '../format/control-area.ts';
import type { SharedMemory } from '../native/shared-memory.ts';

/** What a reader must know of a log before it applies entries. */
export interface LogView {
  /** The two words that this was read by: while they stand, all of this does. */
  readonly owner: number;
  readonly word: number;
  /** False while the log is being taken over or rewritten: it is not to be read. */
  readonly isSettled: boolean;
  readonly generation: number;
  readonly voids: readonly VoidRange[];
}

/** A slot as it stands, of a host that has ever taken the log over. */
export interface Slot {
  readonly slot: number;
  readonly word: SlotWord;
  readonly record: SlotRecord;
  readonly committed: number;
}

/** How often a slot is read anew that changed meanwhile. */
const TRIES_MAX = 16;

/** What a pool has that nobody ever took over, such as one that the reference tools made. */
const UNOWNED: LogView = { owner: 0, word: 0, isSettled: true, generation: 0, voids: [] };

/** All slots that no reader looks at. */
export function voidsOf({ isFirstVoid, voids }: SlotRecord): readonly VoidRange[] {
  return isFirstVoid ? [{ slot: -1, from: 0, to: 1 }, ...voids] : voids;
}

/** The control area of a pool in shared memory: read by everybody, written by `Ownership`. */
export class ControlArea {
  readonly #memory: SharedMemory;
  readonly #tag: bigint;

  constructor(memory: SharedMemory, fsUuid: string) {
    this.#memory = memory;
    this.#tag = poolTag(fsUuid);
  }

  /** The owner word; 0 where nobody has taken this pool over. */
  owner(): number {
    const bytes = this.#memory.read(OWNER_OFFSET, OWNER_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, OWNER_BYTES);
    if (view.getBigUint64(TAG_OFFSET - OWNER_OFFSET, true) !== this.#tag) return 0;
    const word = getU64OrInfinity(view, 0);
    return Number.isSafeInteger(word) ? word : 0;
  }

  /** Costs three lines and a record, or one line for a pool without owner. */
  view(): LogView {
    const owner = this.owner();
    if (owner === 0) return UNOWNED;
    const slot = this.slot(slotOfOwner(owner));
    if (slot?.word.epoch !== epochOfOwner(owner)) {
      return { owner, word: 0, isSettled: false, generation: -1, voids: [] };
    }
    const word = encodeSlotWord(slot.word);
    const { generation, isRewriting, completedEpoch } = slot.record;
    const isBegun = slot.word.state !== 'pending' && completedEpoch === slot.word.epoch;
    const isSettled = isBegun && !isRewriting;
    return { owner, word, isSettled, generation, voids: voidsOf(slot.record) };
  }

  /** Whether a view still stands: what was read from the log since then is of its generation. */
  stands(view: LogView): boolean {
    const { owner, word } = view;
    if (this.owner() !== owner) return false;
    return owner === 0 || this.#word(stateOffset(slotOfOwner(owner))) === word;
  }

  /** Where the owner's appends end, if that is beyond what the log's header says. */
  committed({ owner }: LogView): number {
    return owner === 0 ? 0 : this.#word(committedOffset(slotOfOwner(owner)));
  }

  /**
   * Undefined for a slot that nobody of this pool has. The record of a word that stands before and
   * after it was read is whole, since its host writes where the word does not point; BUSY if it
   * changed again and again.
   */
  slot(slot: number): Slot | undefined {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = this.#word(stateOffset(slot));
      const word = decodeSlotWord(found);
      if (word === undefined) return undefined;
      const bytes = this.#memory.read(recordOffset(slot, word), RECORD_BYTES);
      const record = decodeRecord(bytes, word, this.#tag);
      const committed = this.#word(committedOffset(slot));
      if (this.#word(stateOffset(slot)) !== found) continue;
      return record && { slot, word, record, committed };
    }
    throw new Fault('BUSY', `log: host in slot ${slot} of the control area changes it; retry`);
  }

  /** Of whatever stands in the slot: a new record must not get the same. */
  versionOf(slot: number): number {
    return decodeSlotWord(this.#word(stateOffset(slot)))?.version ?? 0;
  }

  /** All slots that hosts of this pool have. */
  slots(): Slot[] {
    const states = this.#memory.read(STATES_OFFSET, STATES_BYTES).slice();
    const view = new DataView(states.buffer);
    return Array.from({ length: SLOTS }, (_, slot) => slot)
      .filter((slot) => getU64OrInfinity(view, stateOffset(slot) - STATES_OFFSET) !== 0)
      .map((slot) => this.slot(slot))
      .filter((slot) => slot !== undefined);
  }

  /** For the slot's host: the record, where the present word does not point; then the word. */
  publishRecord(slot: number, word: SlotWord, record: SlotRecord): void {
    const bytes = encodeRecord(word, this.#tag, record);
    this.#memory.write(recordOffset(slot, word), bytes);
    this.#memory.publish(stateOffset(slot), BigInt(encodeSlotWord(word)));
  }

  /** For the slot's host. */
  publishCommitted(slot: number, position: number): void {
    this.#memory.publish(committedOffset(slot), BigInt(position));
  }

  /**
   * For a host that takes over: from now on whoever looks knows. One word, unless the line is of an
   * earlier pool: stored beside it, the tag could carry an owner back that is not one any more.
   */
  publishOwner(owner: number): void {
    const memory = this.#memory;
    const bytes = memory.read(OWNER_OFFSET, OWNER_BYTES).slice();
    const view = new DataView(bytes.buffer);
    if (view.getBigUint64(TAG_OFFSET - OWNER_OFFSET, true) === this.#tag) {
      memory.publish(OWNER_OFFSET, BigInt(owner));
      return;
    }
    setU64(view, 0, owner);
    view.setBigUint64(TAG_OFFSET - OWNER_OFFSET, this.#tag, true);
    memory.write(OWNER_OFFSET, bytes);
  }

  #word(offset: number): number {
    const bytes = this.#memory.read(offset, 8);
    return getU64OrInfinity(new DataView(bytes.buffer, bytes.byteOffset, 8), 0);
  }
}
