import type { Logger } from 'pino';
import { formatSize } from '../base/numbers.ts';
import { deadEntries } from '../format/accounting.ts';
import { Complaint } from '../kubernetes/complaint.ts';
import { type Acks, type Clearance, isCleared, type Releases } from './acks.ts';
import type { Leadership } from './leadership.ts';
import type { Quarantine } from './quarantine.ts';
import type { VolumePool } from './volume-pool.ts';

/** A log is not rewritten more often, however much there is to free. */
const COMPACT_EVERY_MS = 10_000;
/** How long one look zeroes memory: what else is to be told waits meanwhile. */
const SCRUB_MS = 1_000;
/** Above it, a log that is mostly dead is rewritten before it is full. */
const FULL_RATIO = 3 / 4;
const DEAD_RATIO = 1 / 2;

/** Of a generation of the log. */
interface Scrubbed {
  readonly generation: number;
  readonly doneBytes: Map<number, number>;
}

export interface ReclaimerOptions {
  readonly pools: readonly VolumePool[];
  /** Undefined: nobody says what nodes refer to, and nothing is released. */
  readonly acks: Acks | undefined;
  /** What the pools' writers ask. */
  readonly releases: Releases;
  readonly quarantine: Quarantine;
  readonly leadership: Leadership;
  readonly log: Logger;
  /** Milliseconds since some moment; never goes back. */
  readonly now?: () => number;
}

/**
 * Gives the memory of deleted files back, on the controller that leads: learns what the nodes refer
 * to, and compacts. Nothing is kept from one look to the next that another process could not see:
 * what is deleted is in the log, and what nodes hold they say again.
 */
export class Reclaimer {
  readonly #options: ReclaimerOptions;
  readonly #now: () => number;
  readonly #complaints = new Map<string, Complaint>();
  /** By pool: when its log was rewritten, or could not be, last. */
  readonly #compactedAt = new Map<string, number>();
  /** By pool: how much of each deleted file's memory is zeroed, by its DELETE's place. */
  readonly #scrubbed = new Map<string, Scrubbed>();

  constructor(options: ReclaimerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** To be called again and again. Never throws. */
  async look(): Promise<void> {
    const { pools, leadership, releases } = this.#options;
    for (const pool of pools) {
      if (!leadership.isLeading) {
        releases.revoke(pool.name);
        continue;
      }
      const complaint = this.#complaintOf(pool.name);
      try {
        if (await this.#lookAt(pool)) complaint.worked();
      } catch (error) {
        complaint.failed(error);
      }
    }
  }

  /** True where something was to be done, and is. */
  async #lookAt(pool: VolumePool): Promise<boolean> {
    const { acks, quarantine } = this.#options;
    pool.follow();
    if (pool.replica.damage !== undefined) return false;
    // Who takes the log over or rewrites it may have died: no server starts before that is done.
    if (!pool.isSettled) await pool.append(() => ({ entries: [], result: undefined }));
    if (pool.replica.dead.length > 0) await acks?.refresh?.(pool);
    const known = acks?.known(pool);
    quarantine.heard(pool, known);
    const since = this.#compactedAt.get(pool.name) ?? Number.NEGATIVE_INFINITY;
    if (this.#now() - since < COMPACT_EVERY_MS) return false;
    const isSomethingFree = known !== undefined && frees(pool, clearanceOf(pool, known));
    if (isSomethingFree) await this.#permit(pool);
    const { dead } = pool.replica;
    const kept = dead.filter((one) => !this.#isReleased(pool, one)).length;
    if (kept === dead.length && !isMostlyDead(pool, kept)) return false;
    await this.#compact(pool);
    return true;
  }

  /**
   * What was known may be late: a node may have been given a file since. So the nodes are asked
   * anew, about what was deleted before: a node registers before it is given anything, and finds
   * nothing that was deleted then.
   */
  async #permit(pool: VolumePool): Promise<void> {
    const { acks, releases, leadership, quarantine } = this.#options;
    const { fsUuid, generation } = pool;
    const before = pool.replica.position;
    const asked = await acks?.ask(pool);
    if (asked === undefined || !leadership.isLeading) return;
    quarantine.heard(pool, asked);
    const clearance = { fsUuid, generation, before, acks: asked };
    if (!(await this.#scrub(pool, clearance)) || !leadership.isLeading) return;
    releases.permit(pool.name, clearance);
  }

  /**
   * Zeroes what is to be given back, so that no volume shows what another left. For a while only:
   * false where there is more, for the next look.
   */
  async #scrub(pool: VolumePool, clearance: Clearance): Promise<boolean> {
    const { generation } = clearance;
    const deadline = this.#now() + SCRUB_MS;
    if (this.#scrubbed.get(pool.name)?.generation !== generation) {
      this.#scrubbed.set(pool.name, { generation, doneBytes: new Map() });
    }
    const { doneBytes = new Map<number, number>() } = this.#scrubbed.get(pool.name) ?? {};
    for (const dead of pool.replica.dead.filter((one) => isCleared(clearance, one))) {
      let done = doneBytes.get(dead.deletedAt) ?? 0;
      while (Number.isFinite(done)) {
        if (this.#now() > deadline || !this.#options.leadership.isLeading) return false;
        done = await pool.scrub(dead, generation, done);
        doneBytes.set(dead.deletedAt, done);
      }
    }
    return true;
  }

  #isReleased(pool: VolumePool, dead: VolumePool['replica']['dead'][number]): boolean {
    return this.#options.releases.isReleased(pool.name, pool.generation, dead);
  }

  async #compact(pool: VolumePool): Promise<void> {
    const { leadership, log } = this.#options;
    leadership.assertLeading();
    this.#compactedAt.set(pool.name, this.#now());
    const { entriesBefore, entries, freedBytes } = await pool.compact();
    log.info(
      { pool: pool.name, entriesBefore, entries, freedBytes },
      `log rewritten: ${formatSize(freedBytes)} can be used again`,
    );
  }

  #complaintOf(pool: string): Complaint {
    const known = this.#complaints.get(pool);
    if (known !== undefined) return known;
    const complaint = new Complaint(this.#options.log, `memory of pool ${pool} is not given back`);
    this.#complaints.set(pool, complaint);
    return complaint;
  }
}

function clearanceOf(pool: VolumePool, acks: Clearance['acks']): Clearance {
  const { fsUuid, generation, replica } = pool;
  return { fsUuid, generation, before: replica.position, acks };
}

function frees({ replica }: VolumePool, clearance: Clearance): boolean {
  return replica.dead.some((dead) => isCleared(clearance, dead));
}

function isMostlyDead({ replica }: VolumePool, kept: number): boolean {
  const { position, capacity } = replica;
  return position > FULL_RATIO * capacity && deadEntries(replica, kept) >= DEAD_RATIO * position;
}
