/** What the kernel of this node holds of one inode. */
export interface Reference {
  /** References by name or handle that LOOKUP and READDIRPLUS gave and no FORGET took back. */
  readonly lookups: number;
  /** Open files, mapped ones among them: RELEASE comes when the last mapping is gone. */
  readonly opens: number;
}

/** What `of` says of an inode that the kernel does not refer to. */
export const NONE: Reference = { lookups: 0, opens: 0 };

/** Where counts outlive the process; `src/native/count-table.ts` on a real node. */
export interface CountTable extends Disposable {
  /** Every inode with a count, as the table has it. */
  entries(): Iterable<readonly [ino: number, reference: Reference]>;
  /** Keeps the counts of one inode; none when both are 0. */
  set(ino: number, reference: Reference): void;
}

/**
 * Which inodes the kernel still refers to, so that it can be known when memory is free.
 *
 * Invariants:
 * - A count is never less than what the kernel holds: it is raised before the reply that gives the
 *   reference is sent, and lowered after the kernel has said that it let go, once it will not say
 *   so again. FORGET has no reply and never comes twice; a RELEASE that was read and not answered
 *   comes to the next server again.
 * - So a crash, or a FORGET that was read and not counted, can leave a count too high, which keeps
 *   memory from being used again, and never one too low, which would share it.
 */
export class References {
  readonly #counts = new Map<number, { lookups: number; opens: number }>();
  readonly #table: CountTable | undefined;
  /** By the request in hand; undefined outside of any. */
  #given: { ino: number; lookups: number; opens: number }[] = [];
  #released: number[] | undefined;
  #onUnused: (ino: number) => void = () => {};

  /** With a table, the counts of the server before this one are taken over. */
  constructor(table?: CountTable) {
    this.#table = table;
    for (const [ino, { lookups, opens }] of table?.entries() ?? []) {
      this.#counts.set(ino, { lookups, opens });
    }
  }

  /** `listener` is told of each inode that nothing refers to any more. */
  onUnused(listener: (ino: number) => void): void {
    this.#onUnused = listener;
  }

  /** A request begins; `delivered` or `undo` is to follow, unless it gets no reply. */
  begin(): void {
    if (this.#given.length > 0) this.#given = [];
    if (this.#released?.length !== 0) this.#released = [];
  }

  /** The kernel has the reply, and will not send the request again. */
  delivered(): void {
    const released = this.#released ?? [];
    this.begin();
    for (const ino of released) this.#add(ino, 0, -1);
  }

  /**
   * The reply was not delivered: the kernel has nothing of what the request gave. `isGone`: nor has
   * it the request any more, so what that took back is not said again.
   */
  undo(isGone: boolean): void {
    for (const { ino, lookups, opens } of this.#given.splice(0)) this.#add(ino, -lookups, -opens);
    if (isGone) this.delivered();
    else this.begin();
  }

  lookedUp(ino: number): void {
    this.#given.push({ ino, lookups: 1, opens: 0 });
    this.#add(ino, 1, 0);
  }

  opened(ino: number): void {
    this.#given.push({ ino, lookups: 0, opens: 1 });
    this.#add(ino, 0, 1);
  }

  forgotten(ino: number, count: number): void {
    this.#add(ino, -count, 0);
  }

  released(ino: number): void {
    if (this.#released === undefined) this.#add(ino, 0, -1);
    else this.#released.push(ino);
  }

  of(ino: number): Reference {
    return this.#counts.get(ino) ?? NONE;
  }

  /** Every inode that is referred to. */
  entries(): Iterable<readonly [ino: number, reference: Reference]> {
    return this.#counts.entries();
  }

  [Symbol.dispose](): void {
    this.#table?.[Symbol.dispose]();
  }

  #add(ino: number, lookups: number, opens: number): void {
    const before = this.of(ino);
    const after = {
      lookups: Math.max(0, before.lookups + lookups),
      opens: Math.max(0, before.opens + opens),
    };
    const isUnused = after.lookups === 0 && after.opens === 0;
    if (isUnused) this.#counts.delete(ino);
    else this.#counts.set(ino, after);
    this.#table?.set(ino, after);
    if (isUnused) this.#onUnused(ino);
  }
}
