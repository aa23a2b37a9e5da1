import { assert } from '../base/errors.ts';
import { isPowerOfTwo } from '../base/numbers.ts';
import { type DamagedEntry, readDamaged } from '../format/damaged-entry.ts';
import { type Extent, type Fmap, fmapCapacity, fmapExtents } from '../format/extents.ts';
import {
  encodeLogEntry,
  type FileMemory,
  FLAG_ALL_HOSTS_RW,
  type LogEntry,
  type NewEntry,
  renumbered,
} from '../format/log-entry.ts';
import { Replica } from '../format/replica.ts';
import { type Claims, claimsOf } from './log-claims.ts';
import type { RawLog } from './raw-log.ts';
import { type LostNode, lostNode, rejectedNodes, undeletedNode } from './repair-report.ts';

/** What becomes of a damaged entry when it is skipped or renumbered. */
export interface Fate {
  readonly index: number;
  readonly code: string;
  readonly message: string;
  /** Its crc is right but for the number: see DamagedEntry. */
  readonly isWhole: boolean;
  /** Goes on to say what it said: renumbered, or vouched for by valid entries. */
  readonly isKept: boolean;
  /** What stands in its place: a file where it had memory, else a directory, or itself. */
  readonly becomes: string;
  readonly reservedBytes: number;
  /** False when it may have owned memory that nothing can reserve, since nothing tells which. */
  readonly isMemoryKnown: boolean;
}

export interface StandIns {
  /** The new entries, by index: every reader takes each of them, ours and the reference. */
  readonly images: ReadonlyMap<number, Uint8Array>;
  readonly fates: readonly Fate[];
  /** Not served afterwards; and deleted once, but served again. */
  readonly lost: readonly LostNode[];
  readonly returned: readonly LostNode[];
  /** What readers will know. */
  readonly replica: Replica;
}

const PERMISSIONS = 0o7777;

/**
 * Finds for each damaged entry one to stand in its place that loses as little as can be proven:
 * - with `renumber`, one whose crc is right gets its place's number, if it fits in there;
 * - a directory that valid entries need, and a deletion that names by path and by index what is
 *   there, are written anew: valid entries vouch for what the damaged bytes say;
 * - the memory of a file becomes the file `lost+found-<index>`, which no volume can be named;
 * - anything else becomes an empty directory of that name, a mark that every reader accepts;
 * - either gets the path that a later deletion of it gives, which then is carried out.
 * Reads the log twice and writes nothing.
 */
export function standIns(
  log: RawLog,
  count: number,
  damaged: ReadonlySet<number>,
  renumber: boolean,
): StandIns {
  const claims = claimsOf(log, count, damaged, renumber);
  const replica = new Replica(log.superblock);
  const chooser = new Chooser(log, claims, replica, renumber);
  const images = new Map<number, Uint8Array>();
  const fates: Fate[] = [];
  const lost: LostNode[] = [];
  const returned: LostNode[] = [];
  for (const { index, bytes } of log.slots(0, count)) {
    const before = replica.problemCount;
    if (!damaged.has(index)) {
      replica.problems.length = 0; // or the list is full, and the last one is not this entry's
      replica.apply(bytes);
      if (fates.length === 0 || replica.problemCount === before) continue;
      const rejected = rejectedNodes(bytes, index, replica);
      lost.push(...rejected.lost);
      returned.push(...rejected.returned);
      continue;
    }
    const entry = readDamaged(bytes, index);
    assert(entry !== undefined, `log entry ${index} was damaged and is not`);
    const { image, fate } = chooser.choose(bytes, index, entry);
    replica.apply(image);
    assert(replica.problemCount === before, `the stand-in for log entry ${index} is rejected`);
    images.set(index, image.slice());
    fates.push(fate);
    if (fate.isKept || claims.deletedAs.get(index) === fate.becomes) continue;
    const undeleted = undeletedNode(entry.entry, replica, fate.message);
    returned.push(...undeleted);
    if (undeleted.length === 0) lost.push(...lostNode(index, entry));
  }
  return { images, fates, lost, returned, replica };
}

interface Choice {
  readonly image: Uint8Array;
  readonly fate: Fate;
}

class Chooser {
  readonly #claims: Claims;
  readonly #replica: Replica;
  readonly #renumber: boolean;
  readonly #allocUnitBytes: number;

  constructor(log: RawLog, claims: Claims, replica: Replica, renumber: boolean) {
    this.#claims = claims;
    this.#replica = replica;
    this.#renumber = renumber;
    this.#allocUnitBytes = log.superblock.allocUnitBytes;
  }

  choose(bytes: Uint8Array, index: number, damaged: DamagedEntry): Choice {
    const { code, message, entry, file, isWhole, isBare } = damaged;
    const about = { index, code, message, isWhole };
    if (entry !== undefined && this.#isVouchedFor(entry, index, isWhole)) {
      const reservedBytes = entry.type === 'file' ? this.#claimAll(entry.fmap) : 0;
      const becomes = 'path' in entry ? entry.path : entry.type;
      const fate = { ...about, isKept: true, becomes, reservedBytes, isMemoryKnown: true };
      return { image: isWhole ? renumbered(bytes, index) : rewritten(index, entry), fate };
    }
    const path = this.#deletedName(index) ?? this.#freeName(index);
    const saved = file && this.#saveMemory(path, file);
    const mark: NewEntry = { type: 'mkdir', path, uid: 0, gid: 0, mode: 0 };
    const fate: Fate = {
      ...about,
      isKept: false,
      becomes: path,
      reservedBytes: saved?.bytes ?? 0,
      isMemoryKnown: saved?.isAll ?? isBare,
    };
    return { image: encodeLogEntry(index, saved?.entry ?? mark), fate };
  }

  /** Whether the entry may stay what it is, and everybody will take it. */
  #isVouchedFor(entry: LogEntry, index: number, isWhole: boolean): boolean {
    const { namespace } = this.#replica;
    const isWanted = isWhole && this.#renumber;
    switch (entry.type) {
      case 'file': {
        const capacity = fmapCapacity(entry.fmap);
        const fits = entry.sizeBytes >= 1 && entry.sizeBytes <= capacity;
        return isWanted && fits && this.#isNew(entry.path, index) && this.#canClaim(entry.fmap);
      }
      case 'mkdir':
        return (isWanted || this.#isNeeded(entry.path, index)) && this.#isNew(entry.path, index);
      case 'delete': {
        const node = entry.path === '' ? undefined : namespace.lookup(entry.path);
        const isFull = node?.kind === 'directory' && node.childCount > 0;
        return node !== undefined && node.entryIndex === entry.targetIndex && !isFull;
      }
      case 'add-daxdev':
        return isWanted && this.#claims.devices.has(index);
      case 'filler':
        return isWanted;
      case 'unknown':
        return false;
    }
  }

  /** Whether a node may have this path here, and no valid entry makes another one of it later. */
  #isNew(path: string, index: number): boolean {
    const isMadeLater = (this.#claims.lastMade.get(path) ?? -1) > index;
    return !isMadeLater && 'parent' in this.#replica.namespace.place(path);
  }

  /** Whether a valid entry further on goes into this directory, and nothing valid makes it. */
  #isNeeded(path: string, index: number): boolean {
    return (this.#claims.lastNeeded.get(path) ?? -1) > index;
  }

  /** The path that a valid entry deletes it by, if it can be made here. */
  #deletedName(index: number): string | undefined {
    const path = this.#claims.deletedAs.get(index);
    const isFree = path !== undefined && 'parent' in this.#replica.namespace.place(path);
    return isFree ? path : undefined;
  }

  #freeName(index: number): string {
    for (let attempt = 1; ; attempt++) {
      const name = attempt === 1 ? `lost+found-${index}` : `lost+found-${index}.${attempt}`;
      if (this.#isNew(name, index)) return name;
    }
  }

  /** A file that owns what the damaged one names and nobody else does; undefined if nothing. */
  #saveMemory(
    path: string,
    { fmap, sizeBytes, isExact }: FileMemory,
  ): { entry: NewEntry; bytes: number; isAll: boolean } | undefined {
    const named = fmapExtents(fmap);
    const own = named.filter((extent) => this.#claim(extent));
    if (own.length === 0) return undefined;
    const isAll = isExact && own.length === named.length;
    const saved: Fmap = isAll && this.#isServable(fmap) ? fmap : { type: 'simple', extents: own };
    const size = Math.min(Math.max(1, sizeBytes), fmapCapacity(saved));
    const owner = { uid: 0, gid: 0, mode: 0, flags: FLAG_ALL_HOSTS_RW };
    return {
      entry: { type: 'file', path, sizeBytes: size, ...owner, fmap: saved },
      bytes: own.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
      isAll,
    };
  }

  #isServable(fmap: Fmap): boolean {
    if (fmap.type === 'simple') return true;
    const { chunkBytes } = fmap;
    const isChunk = isPowerOfTwo(chunkBytes) && chunkBytes % this.#allocUnitBytes === 0;
    return isChunk && fmapCapacity(fmap) > 0;
  }

  /** Takes an extent, if it can be a file's and no valid entry names any of it. */
  #claim(extent: Extent): boolean {
    const isFree = this.#isClaimable(extent);
    if (isFree) this.#claims.space.reserve(extent);
    return isFree;
  }

  #claimAll(fmap: Fmap): number {
    const extents = fmapExtents(fmap);
    for (const extent of extents) this.#claims.space.reserve(extent);
    return extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  }

  #canClaim(fmap: Fmap): boolean {
    const extents = fmapExtents(fmap);
    const areApart = extents.every((one, at) =>
      extents.slice(0, at).every((other) => areDisjoint(one, other)),
    );
    return areApart && this.#isServable(fmap) && extents.every((one) => this.#isClaimable(one));
  }

  #isClaimable(extent: Extent): boolean {
    const { offset, lengthBytes } = extent;
    const unit = this.#allocUnitBytes;
    if (!(lengthBytes > 0 && lengthBytes % unit === 0 && offset % unit === 0)) return false;
    // Its device must be there by then, too.
    return this.#replica.space.contains(extent) && this.#claims.space.isFree(extent);
  }
}

/** The entry anew, with nothing of the bytes that were damaged but what it says. */
function rewritten(index: number, entry: LogEntry): Uint8Array {
  assert(entry.type === 'mkdir' || entry.type === 'delete', `${entry.type} is never vouched for`);
  const clean = entry.type === 'mkdir' ? { ...entry, mode: entry.mode & PERMISSIONS } : entry;
  return encodeLogEntry(index, clean);
}

function areDisjoint(one: Extent, other: Extent): boolean {
  return (
    one.devindex !== other.devindex ||
    one.offset + one.lengthBytes <= other.offset ||
    other.offset + other.lengthBytes <= one.offset
  );
}
