import { assert, Fault } from '../base/errors.ts';
import { formatSize, MiB, roundDown, roundUp } from '../base/numbers.ts';
import { compactedLog, inodesOf } from '../format/compacted-log.ts';
import { CONTROL_OFFSET, type DeviceRange, SPARE, type VoidRange } from '../format/control-area.ts';
import { fmapExtents } from '../format/extents.ts';
import { encodeLogEntry, type NewEntry } from '../format/log-entry.ts';
import { ENTRY_BYTES, entryOffset, LOG_OFFSET } from '../format/log-header.ts';
import { type DeadFile, Replica } from '../format/replica.ts';
import { type Slot, voidsOf } from './control-area.ts';
import type { HostIdentity } from './identity.ts';
import type { LogFollower } from './log-follower.ts';
import { encodeImage, planImage, revealLog, rewriteLog, writeImage } from './log-rewrite.ts';
import { BATCH_ENTRIES, Ownership, type TakeOverRules } from './ownership.ts';

const LINE_BYTES = 64;
const ZEROES = new Uint8Array(MiB);

/** What a compaction did. */
export interface Compaction {
  readonly entriesBefore: number;
  readonly entries: number;
  readonly freedBytes: number;
}

/**
 * The log as its one owner writes it: what has to be done before an append, the append itself, and
 * the rewriting. All calls are made under the pool's lock among the writers of this host.
 */
export class LogOwner {
  readonly #follower: LogFollower;
  readonly #ownership: Ownership;
  readonly #reachBytes: number;

  /** `reachBytes`: how much of the primary device this host can store to, from its start. */
  constructor(follower: LogFollower, reachBytes: number, host: HostIdentity, rules: TakeOverRules) {
    this.#follower = follower;
    this.#reachBytes = reachBytes;
    this.#ownership = new Ownership(follower.control, host, rules);
  }

  /**
   * Makes this host the owner, if it is not, and finishes what the one before left unfinished. The
   * follower has then applied all entries, and the next slot is this host's to write.
   */
  assume(): void {
    const follower = this.#follower;
    assert(follower.replica.damage === undefined, 'a damaged log is repaired, not written');
    if (this.#ownership.isOwner(follower.view)) {
      this.#writeBack(this.#ownership.slot);
      this.#ownership.open();
      if (this.#ownership.record.isRewriting) this.#finishRewrite();
    } else {
      this.#writeBack(this.#ownership.find());
      this.#takeOver();
      this.#follow();
    }
    this.#fillVoids();
    this.#healVoids();
  }

  /**
   * Applies what is there, which must be this host's own log: another one may have taken it over
   * meanwhile, and nothing is void for this host behind the entries of that one.
   */
  #follow(): void {
    this.#follower.followToEnd();
    if (this.#follower.isSettled && this.#ownership.isOwner(this.#follower.view)) return;
    this.#ownership.check();
    throw new Fault('BUSY', 'log: another host is taking it over; retry');
  }

  /**
   * Under the lock, with nothing in the middle: says that this host need not be fenced before
   * another one takes the log over.
   */
  close(): void {
    const found = this.#ownership.find();
    if (found?.word.state === 'closed') return;
    if (this.#writeBack(found)) this.#revealCommitted();
    if (found !== undefined) this.#ownership.close(found);
  }

  /**
   * A writer of this host that was killed may have left lines in its caches, which could be evicted
   * over what another owner appends later: they go first. None are left where the slot is closed,
   * or where this process wrote last.
   */
  #writeBack(found: Slot | undefined): boolean {
    if (found?.word.state === 'closed') return false;
    if (found !== undefined && this.#ownership.isOwn(found)) return false;
    const { memory } = this.#follower;
    memory.flush(CONTROL_OFFSET, this.#logEnd - CONTROL_OFFSET);
    for (const { offset, lengthBytes } of found?.record.image?.ranges ?? []) {
      if (offset >= this.#logEnd) memory.flush(offset, lengthBytes);
    }
    return true;
  }

  /** A writer of this host may have died with entries that count but that next_index hides. */
  #revealCommitted(): void {
    const { memory, replica, view } = this.#follower;
    if (replica.damage !== undefined || !this.#ownership.isOwner(view)) return;
    if (this.#ownership.record.isRewriting) return;
    const end = this.#follower.followToEnd();
    if (this.#follower.header().nextIndex < end) revealLog(memory, end);
  }

  /** Index where the log ends for this owner: behind it another host may be writing an image. */
  get end(): number {
    const { capacity } = this.#follower.replica;
    const held = this.#heldRanges().filter(({ offset }) => offset < this.#logEnd);
    return Math.min(capacity, ...held.map(({ offset }) => indexAt(offset)));
  }

  /** Takes memory, in this host's view of what is free, that another host may still write. */
  holdBack(): void {
    for (const { offset, lengthBytes } of this.#heldRanges()) {
      if (offset < this.#logEnd) continue;
      this.#follower.replica.space.reserveFreeParts({ devindex: 0, offset, lengthBytes });
    }
  }

  /** Of the log that this owner appends to. */
  get generation(): number {
    return this.#ownership.record.generation;
  }

  /**
   * Other hosts poll next_index and trust every entry below it, so the entries must be in memory
   * before the index that reveals them. The owner word was looked at in this hold of the lock:
   *   1. write the entries into their slots; `write` flushes their cache lines and fences
   *   2. publish where this owner's entries end, where no other host ever stores
   *   3. publish next_seqnum, then next_index, one aligned 8-byte store each, flushed and fenced
   *   4. look whether this host is still the owner: if not, nothing of it counts (READ_ONLY)
   * A crash before 2 leaves bytes that no reader looks at; after it, words that the next append
   * writes again. There is no step to undo.
   */
  append(first: number, images: readonly Uint8Array[]): void {
    const { memory } = this.#follower;
    if (images.length > this.#ownership.record.batchEntries) {
      this.#ownership.change({ batchEntries: images.length });
      this.#ownership.check();
    }
    const next = first + images.length;
    memory.write(LOG_OFFSET + entryOffset(first), Buffer.concat(images));
    this.#ownership.commit(next);
    revealLog(memory, next);
    this.#ownership.check();
    if (images.length > BATCH_ENTRIES) this.#ownership.change({ batchEntries: BATCH_ENTRIES });
  }

  /**
   * Rewrites the log without what is dead, but for the deleted files that are not `isReleased`: the
   * memory of the others is free by the new log. Wherever it is cut short, the next writer goes on:
   *   1. say where the image will be, then look: a host that takes over keeps off that memory
   *   2. write the image
   *   3. say that the log is being rewritten, as another generation, then look
   *   4. next_index 0, the entries, next_index, and say that it is done
   * PRECONDITION while hosts that owned the log before are not fenced, where the log has problems,
   * and where there is no room for the image.
   */
  compact(isReleased: (dead: DeadFile) => boolean): Compaction {
    const { memory, replica } = this.#follower;
    const ownership = this.#ownership;
    this.#assertCompactable();
    const generation = ownership.nextGeneration();
    const entries = compactedLog(replica, (dead) => !isReleased(dead));
    assertFits(entries.length, replica);
    const bytes = encodeImage(entries, generation);
    this.#assertSame(entries, bytes);
    const { image, bytes: deflated } = this.#placeImage(bytes, isReleased);
    const before = replica.position;
    const freeBefore = replica.space.freeBytes;
    ownership.change({ image });
    ownership.check();
    writeImage(memory, image, deflated);
    // Hosts that kept slots void have closed since, or this would not go on: the new log has none.
    ownership.change({ isRewriting: true, isFirstVoid: true, voids: [], generation });
    ownership.check();
    this.#finishRewrite();
    const freedBytes = this.#follower.replica.space.freeBytes - freeBefore;
    return { entriesBefore: before, entries: entries.length, freedBytes };
  }

  /**
   * Zeroes a piece of a deleted file's memory, which nobody refers to any more. Says first where: a
   * successor keeps off it, and rewrites no log, before this host is fenced; so what it stores late
   * is still the deleted file's.
   */
  scrub(piece: DeviceRange): void {
    const { memory } = this.#follower;
    this.#ownership.change({ image: { entries: 0, crc: 0, lengthBytes: 0, ranges: [piece] } });
    this.#ownership.check();
    const end = piece.offset + piece.lengthBytes;
    for (let at = piece.offset; at < end; at += ZEROES.length) {
      memory.write(at, ZEROES.subarray(0, end - at));
    }
  }

  #takeOver(): void {
    const { memory } = this.#follower;
    const ownership = this.#ownership;
    const claim = ownership.claim();
    const previous = claim.previous?.record;
    if (previous?.isRewriting === true && previous.image !== undefined) {
      const entries = rewriteLog(memory, previous.image);
      revealLog(memory, entries);
      ownership.complete(claim, entries);
      return;
    }
    // What an owner of this generation committed counts, wherever next_index went since. The word
    // of one that was cut short while it rewrote the log is still of the generation before.
    const { nextIndex } = this.#follower.header();
    const ends = claim.owners
      .filter(({ record }) => record.generation === previous?.generation && !record.isRewriting)
      .map(({ committed }) => committed);
    ownership.complete(claim, Math.max(nextIndex, ...ends));
  }

  #finishRewrite(): void {
    const { memory } = this.#follower;
    const { image } = this.#ownership.record;
    if (image === undefined) throw new Fault('INTERNAL', 'log: rewritten from no image');
    const entries = rewriteLog(memory, image);
    this.#ownership.commit(entries);
    revealLog(memory, entries);
    this.#ownership.change({ isRewriting: false, image: undefined });
    this.#ownership.check();
    this.#follow();
  }

  /** Slots that the host before may still write get something that every reader passes over. */
  #fillVoids(): void {
    const { replica } = this.#follower;
    const end = Math.max(0, ...this.#ownership.record.voids.map(({ to }) => to));
    while (this.#follower.replica.position < Math.min(end, replica.capacity)) {
      const first = this.#follower.replica.position;
      const count = Math.min(BATCH_ENTRIES, Math.min(end, replica.capacity) - first);
      this.append(first, this.#fillers(first, count));
      this.#follow();
    }
  }

  /**
   * Once all are fenced who could still write there, void slots become ordinary ones. By the owner
   * only: its successor knows that it may be in the middle of this.
   */
  #healVoids(): void {
    const { voids } = this.#ownership.record;
    if (voids.length === 0 || this.#ownership.unfenced().length > 0) return;
    this.#heal(voidsOf(this.#ownership.record), this.#follower.replica.position);
    this.#ownership.change({ voids: [] });
  }

  #heal(voids: readonly VoidRange[], end: number): void {
    const { memory } = this.#follower;
    for (const { from, to } of voids) {
      const count = Math.min(to, end) - from;
      if (count <= 0) continue;
      const offset = LOG_OFFSET + entryOffset(from);
      // The lines at both ends are neighbours' too, who are others': they must not be old ones.
      memory.read(offset, count * ENTRY_BYTES);
      memory.write(offset, Buffer.concat(this.#fillers(from, count)));
    }
  }

  #fillers(first: number, count: number): Uint8Array[] {
    return Array.from({ length: count }, (_, at) =>
      encodeLogEntry(first + at, { type: 'filler' }, this.generation),
    );
  }

  unfenced(): string[] {
    return this.#ownership.unfenced().map(({ record }) => record.hostName);
  }

  #assertCompactable(): void {
    const { replica } = this.#follower;
    const unfenced = this.unfenced();
    if (unfenced.length > 0) {
      throw new Fault(
        'PRECONDITION',
        `log: not compacted, since ${unfenced.join(', ')} wrote it before and may still do so; ` +
          'it is when that host is known to have stopped',
      );
    }
    if (replica.problemCount > 0) {
      const [first] = replica.problems;
      throw new Fault(
        'PRECONDITION',
        `log: not compacted, since it has ${replica.problemCount} problems (entry ` +
          `${first?.index}: ${first?.message}); run "famfs-csi check"`,
      );
    }
  }

  /**
   * The new log must say what the old one does, inode numbers too: kernels know nodes by them. Not
   * so where the numbers of two directories collided of which one is gone: docs/decisions/0004.
   */
  #assertSame(entries: readonly NewEntry[], bytes: Uint8Array): void {
    const { superblock, replica } = this.#follower;
    const after = new Replica(superblock);
    after.applyBatch(bytes, entries.length);
    const before = [...inodesOf(replica)];
    const now = [...inodesOf(after)];
    const differs = before.find(([path, ino], at) => now[at]?.[0] !== path || now[at]?.[1] !== ino);
    if (after.problemCount === 0 && differs === undefined && now.length === before.length) return;
    const what = after.problems[0]?.message ?? differs?.[0] ?? 'more nodes';
    throw new Fault('PRECONDITION', `log: not compacted, the new one would say otherwise: ${what}`);
  }

  /** Where whoever reaches the log can read it; else also in memory that is free, or will be. */
  #placeImage(entries: Uint8Array, isReleased: (dead: DeadFile) => boolean) {
    const { replica } = this.#follower;
    const tail = roundUp(LOG_OFFSET + entryOffset(replica.position), LINE_BYTES);
    // At the log's very end, for a successor that cannot know whether this host is still at it.
    const inLog = (lengthBytes: number) => {
      const offset = Math.max(tail, roundDown(this.#logEnd - lengthBytes, LINE_BYTES));
      return { offset, lengthBytes: Math.max(0, this.#logEnd - offset) };
    };
    const plan = planImage(entries, (lengthBytes) => [
      SPARE,
      inLog(Math.max(0, lengthBytes - SPARE.lengthBytes)),
      ...this.#roomInMemory(isReleased),
    ]);
    if (plan !== undefined) return plan;
    throw new Fault(
      'PRECONDITION',
      'log: not compacted, no room for an image of its entries: neither beside the superblock ' +
        `(${formatSize(SPARE.lengthBytes)}), nor in the log's free part ` +
        `(${formatSize(Math.max(0, this.#logEnd - tail))}), nor in free memory below byte ` +
        `${this.#reachBytes}, up to where this host can write`,
    );
  }

  #roomInMemory(isReleased: (dead: DeadFile) => boolean): DeviceRange[] {
    const { replica } = this.#follower;
    const released = replica.dead.filter(isReleased).flatMap(({ node }) => fmapExtents(node.fmap));
    return [...replica.space.gaps(0), ...released]
      .filter(({ devindex }) => devindex === 0)
      .filter(({ offset, lengthBytes }) => offset + lengthBytes <= this.#reachBytes)
      .sort((a, b) => b.lengthBytes - a.lengthBytes);
  }

  #heldRanges(): DeviceRange[] {
    if (this.#ownership.record.voids.length === 0) return [];
    return this.#ownership.unfenced().flatMap(({ record }) => record.image?.ranges ?? []);
  }

  get #logEnd(): number {
    return LOG_OFFSET + this.#follower.superblock.logLengthBytes;
  }
}

/** A log that another writer filled to its last slot has no room for the filler in slot 0. */
function assertFits(entries: number, { capacity }: Replica): void {
  if (entries <= capacity) return;
  throw new Fault(
    'PRECONDITION',
    `log: not compacted, the new one would have ${entries} entries, and ${capacity} fit; nothing ` +
      'in it is dead that could go: delete something first',
  );
}

/** The first log index whose slot reaches that offset of the device. */
function indexAt(offset: number): number {
  return Math.max(0, Math.floor((offset - LOG_OFFSET - entryOffset(0)) / ENTRY_BYTES));
}
