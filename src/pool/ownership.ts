import { Fault } from '../base/errors.ts';
import {
  encodeSlotWord,
  epochOfOwner,
  ownerWord,
  SLOTS,
  type SlotRecord,
  type SlotState,
  slotOfOwner,
  VOIDS_MAX,
  type VoidRange,
} from '../format/control-area.ts';
import type { ControlArea, LogView, Slot } from './control-area.ts';
import type { HostIdentity } from './identity.ts';

/**
 * How many entries a host appends between two looks at the owner word, unless it says otherwise in
 * its record first. One that lost the ownership in between may still store them: so many slots are
 * void after it was taken over.
 */
export const BATCH_ENTRIES = 64;

const GENERATIONS_AN_EPOCH = 2 ** 16;

/** How often a claim is raised over rivals that claim at the same moment. */
const CLAIMS_MAX = 8;

/** What the process that takes a log over decides, and what it must be told. */
export interface TakeOverRules {
  /** Throws (READ_ONLY) where this process may not take the log over from that host. */
  readonly mayTakeOver: (owner: SlotRecord) => void;
  /** Whether nothing that the host ever stored can still reach memory: decision 0014. */
  readonly isFenced: (host: SlotRecord) => boolean;
}

/** What a host finds that has claimed the log. */
export interface Claim {
  /** The last whose ownership began in full. */
  readonly previous: Slot | undefined;
  /** All whose ownership ever began in full, this host among them. */
  readonly owners: readonly Slot[];
  /** The other hosts that may still write to the log. */
  readonly unfenced: readonly Slot[];
}

/**
 * One host's claim to be the only one that appends. Between hosts there is no atomic exchange, only
 * words that are stored and read, so a claim is made as Dekker's algorithm makes it: store, fence,
 * then look. Of two hosts that claim, or of an owner that writes and a host that claims, at least
 * one sees the other. docs/one-writer.md has the steps and why they suffice.
 *
 * All processes of a host are one owner: the device lock lets one of them write at a time, and they
 * share the caches. The caller holds that lock in all calls.
 */
export class Ownership {
  readonly #control: ControlArea;
  readonly #host: HostIdentity;
  readonly #rules: TakeOverRules;
  /** This host's slot, as this process last read or wrote it. */
  #slot: Slot | undefined;
  /** The state word that this process wrote last. */
  #published: number | undefined;

  constructor(control: ControlArea, host: HostIdentity, rules: TakeOverRules) {
    this.#control = control;
    this.#host = host;
    this.#rules = rules;
  }

  get record(): SlotRecord {
    return this.#mine.record;
  }

  /**
   * Whether this host owns the log, by this process or by another one of it, as of a view that was
   * taken while the lock was held.
   */
  isOwner({ owner, word }: LogView): boolean {
    const known = this.#slot;
    const isKnown = known !== undefined && word === encodeSlotWord(known.word);
    const slot = isKnown || owner === 0 ? known : this.#control.slot(slotOfOwner(owner));
    if (slot?.record.hostId !== this.#host.id) return false;
    const { epoch, state } = slot.word;
    if (owner !== ownerWord(epoch, slot.slot)) return false;
    this.#slot = slot;
    return state !== 'pending' && slot.record.completedEpoch === epoch;
  }

  /** This host's slot, as `isOwner` has found it. */
  get slot(): Slot {
    return this.#mine;
  }

  /**
   * For an owner, before it stores anything to the log: from now on this host has to be fenced
   * again, and the state word says that this process wrote last.
   */
  open(): void {
    if (this.#mine.word.state === 'open' && this.isOwn(this.#mine)) return;
    this.change({});
    this.check();
  }

  /** What this host's slot says now; undefined where it has none. */
  find(): Slot | undefined {
    return this.#control.slots().find(({ record }) => record.hostId === this.#host.id);
  }

  /** Whether that is what this process wrote last: then no other one of this host wrote since. */
  isOwn({ word }: Slot): boolean {
    return encodeSlotWord(word) === this.#published;
  }

  /**
   * Says that nothing of this host can reach the log or its control area any more, until it says
   * otherwise: the caller holds the lock, and all that any process of it ever stored is in memory.
   */
  close(found: Slot): void {
    this.#slot = found;
    this.#publish(found.slot, 'closed', found.word.epoch, found.record, found.committed);
  }

  /**
   * READ_ONLY if another host has taken the log over since this one did. An older owner word is the
   * late store of a host that then saw this one's claim and stepped back: it is put right.
   */
  check(): void {
    const { slot, word } = this.#mine;
    const mine = ownerWord(word.epoch, slot);
    const found = this.#control.owner();
    if (found === mine) return;
    if (epochOfOwner(found) <= word.epoch) {
      this.#control.publishOwner(mine);
      return;
    }
    const other = this.#control.slot(slotOfOwner(found))?.record.hostName ?? '(unknown)';
    throw new Fault(
      'READ_ONLY',
      `log: host ${other} took it over (epoch ${epochOfOwner(found)}) from this one (epoch ` +
        `${word.epoch}); nothing more is written from here, stop this writer`,
    );
  }

  /**
   * Claims the log: readers wait from now on, and the owner before stops when it next looks. What
   * it had begun is for the caller to finish, who then calls `complete`. READ_ONLY where the rules
   * forbid it, BUSY when others claim it again and again.
   */
  claim(): Claim {
    const before = this.#control.slots();
    const owner = lastOwner(before);
    if (owner !== undefined && owner.record.hostId !== this.#host.id) {
      this.#rules.mayTakeOver(owner.record);
    }
    assertFinishable(owner, this.#unfencedOf(before, owner));
    const mine = before.find(({ record }) => record.hostId === this.#host.id);
    const slot = mine?.slot ?? this.#freeSlot(before);
    const { name: hostName, isNode = mine?.record.isNode ?? false } = this.#host;
    const record = { ...(mine?.record ?? this.#emptyRecord()), hostName, isNode };
    let epoch = 1 + highestEpoch(before, this.#control.owner());
    for (let claims = 0; claims < CLAIMS_MAX; claims++) {
      this.#publish(slot, 'pending', epoch, record, mine?.committed ?? 0);
      this.#control.publishOwner(ownerWord(epoch, slot));
      const rivals = this.#control.slots().filter((one) => one.slot !== slot);
      const highest = highestEpoch(rivals, 0);
      if (highest < epoch) {
        const owners = [...rivals, this.#mine].filter(({ record }) => record.completedEpoch > 0);
        const previous = lastOwner(owners);
        const unfenced = this.#unfencedOf(rivals, previous);
        assertFinishable(previous, unfenced);
        return { owners, previous, unfenced };
      }
      epoch = highest + 1;
    }
    throw new Fault('BUSY', 'log: other hosts take it over at the same time; retry');
  }

  /**
   * Opens the log, whose entries end at `end`, for readers and for this owner's appends. What a
   * host may still write that lost the ownership just now is void: a batch from there, and one slot
   * more, whose head is in the last cache line of a full batch, or of an image. READ_ONLY if yet
   * another host has claimed the log meanwhile.
   */
  complete({ previous, unfenced }: Claim, end: number): void {
    const voids: VoidRange[] = [...(previous?.record.voids ?? [])];
    for (const { slot, record } of unfenced) {
      const batch = slot === previous?.slot ? record.batchEntries : 0;
      voids.push({ slot, from: end, to: end + batch + 1 });
    }
    if (voids.length > VOIDS_MAX) {
      throw new Fault(
        'BUSY',
        `log: taken over ${voids.length} times from hosts that are not fenced; fence them first`,
      );
    }
    const { slot, word, record } = this.#mine;
    const { epoch } = word;
    const generation = previous?.record.generation ?? 0;
    this.#control.publishCommitted(slot, end);
    const nothing = { image: undefined, isRewriting: false, batchEntries: BATCH_ENTRIES };
    const isFirstVoid = previous?.record.isFirstVoid ?? false;
    const inherited = { generation, isFirstVoid, voids, ...nothing };
    this.#publish(slot, 'open', epoch, { ...record, ...inherited, completedEpoch: epoch }, end);
    this.check();
  }

  /** Changes what readers and successors are told of the log; the caller owns it. */
  change(changes: Partial<SlotRecord>): void {
    const { slot, word, record, committed } = this.#mine;
    this.#publish(slot, 'open', word.epoch, { ...record, ...changes }, committed);
  }

  /**
   * The number of the log after this one. Begins with the epoch: what a host has called its next
   * log that had lost this one by then is not the number of anybody else's.
   */
  nextGeneration(): number {
    const { word, record } = this.#mine;
    return Math.max(record.generation + 1, word.epoch * GENERATIONS_AN_EPOCH);
  }

  /** Entries below count from now on, whatever an old owner does to the header's next_index. */
  commit(position: number): void {
    this.#control.publishCommitted(this.#mine.slot, position);
  }

  /** The hosts that may still write, and what memory they may be writing. */
  unfenced(): readonly Slot[] {
    const slots = new Set(this.record.voids.map(({ slot }) => slot));
    if (slots.size === 0) return [];
    return this.#control.slots().filter((one) => slots.has(one.slot) && !this.#isFenced(one));
  }

  /**
   * Of the owners before, only the last one may be in the middle of something, with those that were
   * not fenced when it came; and hosts that have claimed the log since.
   */
  #unfencedOf(rivals: readonly Slot[], previous: Slot | undefined): readonly Slot[] {
    const since = previous?.record.completedEpoch ?? 0;
    const voided = new Set(previous?.record.voids.map(({ slot }) => slot));
    return rivals.filter(
      (one) =>
        (one.slot === previous?.slot || voided.has(one.slot) || one.word.epoch > since) &&
        !this.#isFenced(one),
    );
  }

  /** Of this host nobody is in the middle of anything: this process holds its lock. */
  #isFenced({ word, record }: Slot): boolean {
    if (word.state === 'closed' || record.hostId === this.#host.id) return true;
    return this.#rules.isFenced(record);
  }

  #publish(
    slot: number,
    state: SlotState,
    epoch: number,
    record: SlotRecord,
    committed: number,
  ): void {
    const version = (this.#slot?.word.version ?? this.#control.versionOf(slot)) + 1;
    const word = { epoch, version, state };
    this.#control.publishRecord(slot, word, record);
    this.#published = encodeSlotWord(word);
    this.#slot = { slot, word, record, committed };
  }

  get #mine(): Slot {
    if (this.#slot === undefined) throw new Fault('INTERNAL', 'log: not claimed yet');
    return this.#slot;
  }

  /**
   * By the host's id, so that hosts that come for the first time at once hardly ever meet. Where
   * all are taken, that of a host that is over, such as one before it was booted anew.
   */
  #freeSlot(slots: readonly Slot[]): number {
    const owner = lastOwner(slots);
    const isOver = (one: Slot) => one !== owner && this.#isFenced(one);
    const reusable = slots.length < SLOTS ? [] : slots.filter(isOver).map(({ slot }) => slot);
    const taken = new Set(slots.map(({ slot }) => slot));
    for (const slot of reusable) taken.delete(slot);
    const first = Number.parseInt(this.#host.id.slice(0, 8), 16);
    for (let at = 0; at < SLOTS; at++) {
      const slot = (first + at) % SLOTS;
      if (!taken.has(slot)) return slot;
    }
    throw new Fault(
      'PRECONDITION',
      `log: ${SLOTS} hosts have written it that are not known to have stopped, and no more fit; ` +
        'where all of them are off, say so with "famfs-csi adopt --fenced"',
    );
  }

  #emptyRecord(): SlotRecord {
    const { id: hostId, name: hostName } = this.#host;
    return {
      completedEpoch: 0,
      generation: 0,
      hostId,
      hostName,
      isNode: false,
      voids: [],
      image: undefined,
      isRewriting: false,
      isFirstVoid: false,
      batchEntries: BATCH_ENTRIES,
    };
  }
}

/**
 * A log that is being rewritten can be finished by another host only when nothing of the first one
 * can reach it any more: a line that it had stored half of would undo that line.
 */
function assertFinishable(previous: Slot | undefined, unfenced: readonly Slot[]): void {
  if (previous?.record.isRewriting !== true || unfenced.length === 0) return;
  const hosts = unfenced.map(({ record }) => record.hostName).join(', ');
  throw new Fault(
    'BUSY',
    `log: ${hosts} was rewriting it and may still be; retry there, or once that host is known to ` +
      'have stopped',
  );
}

/** The host whose ownership began last, of those that began in full. */
export function lastOwner(slots: readonly Slot[]): Slot | undefined {
  const owners = slots.filter(({ record }) => record.completedEpoch > 0);
  const newest = Math.max(...owners.map(({ record }) => record.completedEpoch));
  return owners.find(({ record }) => record.completedEpoch === newest);
}

function highestEpoch(slots: readonly Slot[], owner: number): number {
  return Math.max(epochOfOwner(owner), ...slots.map(({ word }) => word.epoch));
}
