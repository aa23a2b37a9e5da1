import { Fault, isFault } from '../base/errors.ts';
import type { KeyedLock } from '../base/keyed-lock.ts';
import { parseStaticHandle, type StaticHandle } from '../csi/volume-handle.ts';
import type { Layout } from '../format/allocator.ts';
import { RESERVED_ENTRIES } from '../pool/log-writer.ts';
import type { Attachments } from './attachments.ts';
import { type PoolCondition, poolCondition } from './pool-health.ts';
import { Quarantine } from './quarantine.ts';
import { directoryOf, staticVolumeOf, type Volume, volumeOf } from './volume.ts';
import { isVolumeId, volumeIdOf } from './volume-id.ts';
import { listVolumes, type VolumePage } from './volume-list.ts';
import { checkSameVolume, type NewVolume, planCreate, planDelete } from './volume-plans.ts';
import type { VolumePool } from './volume-pool.ts';

export interface VolumesOptions {
  /** In the order in which they are searched and listed. */
  readonly pools: readonly VolumePool[];
  readonly attachments: Attachments;
  /** For the message of a full pool. */
  readonly quarantine?: Quarantine;
  /** By `lockOf` an id; `VolumeAttachments` has the same, so nothing is deleted while attached. */
  readonly locks: KeyedLock;
}

/**
 * The volumes of all pools. The logs are the only record of them:
 * - A volume is a directory at the root of a pool, named by its id, with at least one file in it.
 * - Directory and file appear together, in one append; one without a file is a try that was cut
 *   short, which the retry completes.
 * - Everything here is idempotent: each call looks at what is there and does the rest.
 */
export class Volumes {
  readonly #pools: readonly VolumePool[];
  readonly #attachments: Attachments;
  readonly #locks: KeyedLock;
  readonly #quarantine: Quarantine;

  constructor(options: VolumesOptions) {
    this.#pools = options.pools;
    this.#attachments = options.attachments;
    this.#locks = options.locks;
    this.#quarantine = options.quarantine ?? new Quarantine();
  }

  /**
   * The volume of that name, made if it is not there. EXISTS when there is one that differs from
   * what is wanted, NO_SPACE or LOG_FULL when the pool has no room (nothing is left then), BUSY
   * when the name is being worked on for too long.
   */
  create(wanted: NewVolume): Promise<Volume> {
    const id = volumeIdOf(wanted.name);
    return this.#locks.run(id, async () => {
      const pool = this.#poolNamed(wanted.pool);
      const existing = this.#search(id);
      if (existing !== undefined && existing !== pool) {
        throw new Fault(
          'EXISTS',
          `name ${wanted.name}: its volume ${id} is in pool ${existing.name}, this request wants ` +
            `pool ${pool.name}; use another name, or the StorageClass it was made with`,
        );
      }
      const volume = volumeOf(pool, pool.replica, id);
      if (volume !== undefined) return checkSameVolume(pool.replica, wanted, volume);
      return this.#inPool(pool, () =>
        pool.append((replica) => planCreate(pool, replica, id, wanted)),
      );
    });
  }

  /**
   * Takes the volume's files and directory out of the log. Fine when there is none; an id that no
   * volume can have names none, and a static handle none that is ours to delete. PRECONDITION while
   * a node has any of it attached; READ_ONLY when its pool is damaged, or one that is may have it.
   */
  async delete(id: string): Promise<void> {
    if (!isVolumeId(id)) return;
    await this.#locks.run(id, async () => {
      const pool = this.#search(id);
      if (pool === undefined) return this.#refuseIfDamaged(id);
      const attachments = await this.#attachments.list();
      const nodes = attachments
        .filter(({ volumeId }) => this.overlap(volumeId, id))
        .map(({ nodeId, volumeId }) => (volumeId === id ? nodeId : `${nodeId} (as ${volumeId})`));
      if (nodes.length > 0) {
        throw new Fault(
          'PRECONDITION',
          `volume ${id}: attached to ${nodes.join(', ')}; detach it there, then delete it`,
        );
      }
      await this.#inPool(pool, () => pool.append((replica) => planDelete(replica, id)));
    });
  }

  /** NOT_FOUND when no pool has it; READ_ONLY when a damaged one may have it. */
  get(id: string): Volume {
    const handle = parseStaticHandle(id);
    if (handle !== undefined) return this.#getStatic(id, handle);
    const pool = isVolumeId(id) ? this.#search(id) : undefined;
    const volume = pool && volumeOf(pool, pool.replica, id);
    if (volume === undefined) {
      if (isVolumeId(id)) this.#refuseIfDamaged(id);
      const names = this.#pools.map((one) => one.name).join(', ');
      throw new Fault('NOT_FOUND', `volume ${id}: no such volume in ${names}; create it first`);
    }
    return volume;
  }

  /** The writer knows its log, not whose it is, nor what would make room. */
  async #inPool<T>(pool: VolumePool, append: () => Promise<T>): Promise<T> {
    try {
      return await append();
    } catch (error) {
      if (!isFault(error) || (error.code !== 'LOG_FULL' && error.code !== 'NO_SPACE')) throw error;
      const { code, message } = error;
      const subject = code === 'LOG_FULL' ? `pool ${pool.name}: ${message}` : message;
      const held = this.#quarantine.describe(pool);
      throw new Fault(code, held === '' ? subject : `${subject}; ${held}`, { cause: error });
    }
  }

  #getStatic(id: string, handle: StaticHandle): Volume {
    const pool = this.#pools.find(({ name }) => name === handle.pool);
    pool?.follow();
    const volume = pool && staticVolumeOf(pool, id, handle.path);
    if (volume !== undefined) return volume;
    if (pool?.replica.damage !== undefined) this.#refuseIfDamaged(id);
    const names = this.#pools.map((one) => one.name).join(', ');
    const found = pool ? `pool ${pool.name} has no such directory` : `the pools are ${names}`;
    throw new Fault('NOT_FOUND', `volume ${id}: ${found}; correct the PersistentVolume's handle`);
  }

  /** Whether two volumes have files in common: one directory is the other, or in it. */
  overlap(one: string, other: string): boolean {
    if (one === other) return true;
    const [a, b] = [placeOf(one), placeOf(other)];
    if (!isWithin(a.path, b.path) && !isWithin(b.path, a.path)) return false;
    return this.#poolNameOf(a) === this.#poolNameOf(b);
  }

  #poolNameOf({ pool, path }: Place): string | undefined {
    return pool ?? this.#search(path)?.name;
  }

  /** How its pool is, as last followed. */
  conditionOf(volume: Volume): PoolCondition {
    return poolCondition(this.#poolNamed(volume.pool));
  }

  /** One page of all volumes, those by static handles among `attached` last: see `listVolumes`. */
  list(startingToken: string, maxEntries: number, attached: Iterable<string> = []): VolumePage {
    const statics = [...attached].filter((id) => parseStaticHandle(id) !== undefined).sort();
    const volumes = statics.flatMap((id) => this.#staticIfThere(id));
    return listVolumes(this.#pools, startingToken, maxEntries, volumes);
  }

  #staticIfThere(id: string): Volume[] {
    try {
      return [this.get(id)];
    } catch (error) {
      if (isFault(error)) return [];
      throw error;
    }
  }

  /**
   * The largest volume, in bytes, that can be made now: in that pool, or in the best of all, as far
   * as they are reached from where it is needed.
   */
  largestPossible(
    poolName: string | undefined,
    layout: Layout,
    isReached: (fsUuid: string) => boolean = () => true,
  ): number {
    const pools = poolName === undefined ? this.#pools : [this.#poolNamed(poolName)];
    const reached = pools.filter(({ fsUuid }) => isReached(fsUuid));
    return Math.max(0, ...reached.map((pool) => largestIn(pool, layout)));
  }

  /** The uuid of the pool that a new volume goes to; INVALID where the name means none. */
  fsUuidOf(poolName: string | undefined): string {
    return this.#poolNamed(poolName).fsUuid;
  }

  /** The pool of that name, or the only one. INVALID names the ones there are. */
  #poolNamed(name: string | undefined): VolumePool {
    const names = this.#pools.map((pool) => pool.name).join(', ');
    const [first, ...others] = this.#pools;
    if (name === undefined) {
      if (first !== undefined && others.length === 0) return first;
      throw new Fault('INVALID', `parameters.pool: missing, expected one of ${names}`);
    }
    const pool = this.#pools.find((one) => one.name === name);
    if (pool !== undefined) return pool;
    throw new Fault(
      'INVALID',
      `parameters.pool: found "${name}", expected one of ${names}; correct the StorageClass, or ` +
        'start the controller with this pool',
    );
  }

  /** READ_ONLY when a damaged log may have the volume that was not found: not "it is gone". */
  #refuseIfDamaged(id: string): void {
    const damaged = this.#pools.find((pool) => pool.replica.damage !== undefined);
    if (damaged === undefined) return;
    throw new Fault(
      'READ_ONLY',
      `volume ${id}: not found, but the log of pool ${damaged.name} is damaged at entry ` +
        `${damaged.replica.damage?.index} and may have it behind that; run "famfs-csi repair"`,
    );
  }

  /**
   * The pool whose root has that name. A pool that can't be read may have it: then its Fault is
   * thrown, rather than "unknown" said of a volume that is there.
   */
  #search(id: string): VolumePool | undefined {
    let unreadable: unknown;
    for (const pool of this.#pools) {
      try {
        pool.follow();
      } catch (error) {
        unreadable ??= error;
        continue;
      }
      if (directoryOf(pool.replica, id) !== undefined) return pool;
    }
    if (unreadable !== undefined) throw unreadable;
    return undefined;
  }
}

/** Where a volume is; one without a static handle is in the first pool that has it. */
interface Place {
  readonly pool: string | undefined;
  readonly path: string;
}

function placeOf(id: string): Place {
  return parseStaticHandle(id) ?? { pool: undefined, path: id };
}

/** The key by which volumes that may overlap exclude each other: the directory at the root. */
export function lockOf(id: string): string {
  return placeOf(id).path.replace(/\/.*/s, '');
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** A volume takes two entries of the log, beside those for deletions; a damaged one takes none. */
const ENTRIES_PER_VOLUME = 2 + RESERVED_ENTRIES;

function largestIn(pool: VolumePool, layout: Layout): number {
  pool.follow();
  const { capacity, damage, position, space } = pool.replica;
  if (damage !== undefined || capacity - position < ENTRIES_PER_VOLUME) return 0;
  return space.largestAllocatable(layout);
}
