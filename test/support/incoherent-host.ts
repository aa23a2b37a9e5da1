import { type IncoherentMemory, LINE_BYTES, type Piece, versionAt } from './incoherent-memory.ts';
import { IncoherentProcess } from './incoherent-process.ts';

const WORD_BYTES = 8;
/** How often a longer load that could tear does. */
const TEAR_CHANCE = 0.5;
const RANGE_LINES = 1024;
const NOTHING = new Uint8Array();

/** Of all that a load may see: what a step prefers. Any choice is a possible one. */
export type Age = 'oldest' | 'newest' | 'any';
export const AGES: readonly Age[] = ['oldest', 'newest', 'any'];

/**
 * One host's cache; see the fault model in incoherent-memory.ts. A line is dirty, and then its
 * bytes are here; or it is not, and all there is to know is since when a load of it may date.
 */
export class IncoherentHost {
  readonly memory: IncoherentMemory;
  readonly #dirty = new Map<number, Uint8Array>();
  /** Per line that is not dirty: the earliest moment that a load may show. Absent: since boot. */
  readonly #since = new Map<number, number>();
  /** The same for many lines at once, such as a whole log. */
  #droppedRanges: { first: number; end: number; at: number }[] = [];
  readonly #processes = new Set<IncoherentProcess>();
  #bootedAt = 0;
  #clock = 0;

  constructor(memory: IncoherentMemory) {
    this.memory = memory;
  }

  /** A new process; one that is to store says so, since that keeps its host at the present. */
  process(kind: 'reads' | 'writes'): IncoherentProcess {
    const process = new IncoherentProcess(this, kind);
    this.#processes.add(process);
    if (kind === 'writes') this.catchUp();
    return process;
  }

  /** How far this host has come in the memory's time. */
  get clock(): number {
    return this.#isPresent() ? this.memory.now : this.#clock;
  }

  get dirtyLines(): number {
    return this.#dirty.size;
  }

  catchUp(): void {
    this.#clock = this.memory.now;
  }

  /** All processes end, nothing that was not written back is left; it restarts at once. */
  losePower(): void {
    this.#clock = this.clock;
    this.#dirty.clear();
    this.#since.clear();
    this.#droppedRanges = [];
    this.#bootedAt = this.#clock;
    for (const process of [...this.#processes]) process.end('power');
  }

  /** Everything that is dirty is written back, in any order, as a host does that shuts down. */
  clean(): void {
    for (const line of this.memory.random.shuffled(this.#dirty.keys())) this.writeBack(line);
  }

  /** Lines one after the other, as long as `chance` says so. */
  evictSome(chance: number): void {
    if (chance === 0) return;
    const { random } = this.memory;
    while (this.#dirty.size > 0 && random.chance(chance)) {
      this.writeBack(random.pick([...this.#dirty.keys()]));
    }
  }

  /** For processes: time passes until the next step. */
  advance(): void {
    const { now, random } = this.memory;
    this.#clock = this.#isPresent() ? now : random.between(this.#clock, now);
  }

  forget(process: IncoherentProcess): void {
    this.#clock = this.clock;
    this.#processes.delete(process);
  }

  /** Copies out bytes of one line, as a load may see them, to `into` at `at`. */
  load({ line, from, to }: Piece, into: Uint8Array, at: number, age: Age): void {
    const dirty = this.#dirty.get(line);
    if (dirty !== undefined) {
      into.set(dirty.subarray(from, to), at);
      return;
    }
    const { random } = this.memory;
    const versions = this.memory.versions(line);
    if (versions.length === 1) {
      into.set(versions[0]?.bytes.subarray(from, to) ?? NOTHING, at);
      return;
    }
    const since = this.#oldestOf(line);
    const [oldest, newest] = [versionAt(versions, since), versionAt(versions, this.clock)];
    const isWord = to - from <= WORD_BYTES && to - (to % WORD_BYTES || WORD_BYTES) <= from;
    const first =
      age === 'oldest' ? oldest : age === 'newest' ? newest : random.between(oldest, newest);
    const isTorn = first < newest && age === 'any' && !isWord && random.chance(TEAR_CHANCE);
    const last = isTorn ? random.between(first, newest) : first;
    for (let word = from; word < to; ) {
      const end = isTorn ? Math.min(to, word - (word % WORD_BYTES) + WORD_BYTES) : to;
      const which = isTorn && random.chance(0.5) ? last : first;
      into.set(versions[which]?.bytes.subarray(word, end) ?? NOTHING, at + word - from);
      word = end;
    }
    this.#since.set(line, Math.max(since, versions[last]?.since ?? 0));
  }

  /** Stores into the line, from byte `at` of it. */
  store(line: number, at: number, bytes: Uint8Array): void {
    // A write-back that was begun before this store need not carry it.
    if (this.#isBegun(line) && this.memory.random.chance(0.5)) this.writeBack(line);
    let dirty = this.#dirty.get(line);
    if (dirty === undefined) {
      dirty = new Uint8Array(LINE_BYTES);
      this.load({ line, from: 0, to: LINE_BYTES }, dirty, 0, this.memory.random.pick(AGES));
      this.#dirty.set(line, dirty);
    }
    dirty.set(bytes, at);
  }

  /** The line reaches memory, if it is dirty. */
  writeBack(line: number): void {
    const bytes = this.#dirty.get(line);
    if (bytes === undefined) return;
    this.#dirty.delete(line);
    for (const process of this.#processes) process.begun.delete(line);
    this.memory.put(line, bytes);
    this.catchUp();
    this.#since.set(line, this.memory.now);
  }

  /** The dirty ones of the lines [first, end). */
  dirtyIn(first: number, end: number): number[] {
    return [...this.#dirty.keys()].filter((line) => line >= first && line < end);
  }

  /** Lines [first, end) leave the cache: what a load sees of them from now on is not older. */
  drop(first: number, end: number): void {
    if (end - first > RANGE_LINES) this.#droppedRanges.push({ first, end, at: this.clock });
    else for (let line = first; line < end; line++) this.#since.set(line, this.clock);
  }

  #oldestOf(line: number): number {
    let oldest = this.#since.get(line) ?? this.#bootedAt;
    for (const { first, end, at } of this.#droppedRanges) {
      if (line >= first && line < end) oldest = Math.max(oldest, at);
    }
    return oldest;
  }

  #isBegun(line: number): boolean {
    for (const process of this.#processes) if (process.begun.has(line)) return true;
    return false;
  }

  #isPresent(): boolean {
    if (this.#dirty.size > 0) return true;
    for (const process of this.#processes) if (process.kind === 'writes') return true;
    return false;
  }
}
