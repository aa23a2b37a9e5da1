import { isOfVolume, isQuarantineName, volumeOfPath } from '../format/compacted-log.ts';
import { type Extent, fmapExtents } from '../format/extents.ts';
import { isFileIno, type Node } from '../format/namespace.ts';
import type { References } from './references.ts';

/** What the kernel of this node holds of one volume's live files and directories. */
export interface VolumeReferences {
  /** The first component of their paths. */
  readonly volume: string;
  readonly cachedInodes: number;
  readonly openFiles: number;
}

/** A file that is not in the log any more, or was deleted, and that the kernel still refers to. */
export interface DeletedFile {
  /** Undefined where the log does not say any more whose the inode was. */
  readonly volume: string | undefined;
  readonly ino: number;
  /** Its memory; empty where the log does not say any more. */
  readonly extents: readonly Extent[];
  readonly lookups: number;
  readonly openFiles: number;
}

export interface ReferenceReport {
  readonly volumes: readonly VolumeReferences[];
  readonly volumeCount: number;
  /** The first few; how many there are is `deletedCount`. */
  readonly deleted: readonly DeletedFile[];
  readonly deletedCount: number;
}

/**
 * What an inode number stands for: a live node before a deleted one, whose place it has taken;
 * `own`: the root or one below `.meta`, in no volume.
 */
export type Resolve = (
  ino: number,
) => { readonly node: Node; readonly isLive: boolean } | 'own' | undefined;

/** A report is one line of JSON: 256 files with 16 extents each are 400 KB. */
const LISTED_MAX = 256;
/** Of inode numbers alone: they go into an object of Kubernetes. */
export const HELD_MAX = 4096;

/**
 * What the kernel refers to, at a path of the pool and below it, or in all of it: counts of what
 * lives, and each deleted file whose memory must not be used again yet. A file of an unknown
 * volume is in every report: no volume may be called free while it could be of that one.
 */
export function reportReferences(
  references: References,
  resolve: Resolve,
  path: string | undefined,
): ReferenceReport {
  const volumes = new Map<string, { cachedInodes: number; openFiles: number }>();
  const deleted: DeletedFile[] = [];
  let deletedCount = 0;
  for (const [ino, { lookups, opens }] of references.entries()) {
    const found = resolve(ino);
    if (found === 'own' || (found && !isBelow(found, path))) continue;
    if (found?.isLive) {
      const volume = volumeOf(found.node);
      const counts = volumes.get(volume) ?? { cachedInodes: 0, openFiles: 0 };
      if (lookups > 0) counts.cachedInodes++;
      counts.openFiles += opens;
      volumes.set(volume, counts);
    } else if (isFileIno(ino)) {
      deletedCount++;
      if (deleted.length === LISTED_MAX) continue;
      const node = found?.node;
      deleted.push({
        volume: node === undefined ? undefined : volumeOf(node),
        ino,
        extents: node?.kind === 'file' ? fmapExtents(node.fmap) : [],
        lookups,
        openFiles: opens,
      });
    }
  }
  const listed = [...volumes].slice(0, LISTED_MAX);
  return {
    volumes: listed.map(([volume, counts]) => ({ volume, ...counts })),
    volumeCount: volumes.size,
    deleted,
    deletedCount,
  };
}

/**
 * The deleted files that the kernel still refers to, in order; undefined when they are too many to
 * list.
 */
export function heldInodes(references: References, resolve: Resolve): number[] | undefined {
  const held: number[] = [];
  for (const [ino] of references.entries()) {
    if (!isFileIno(ino)) continue;
    const found = resolve(ino);
    if (found === 'own' || found?.isLive) continue;
    if (held.length === HELD_MAX) return undefined;
    held.push(ino);
  }
  return held.sort((one, other) => one - other);
}

function volumeOf(node: Node): string {
  return volumeOfPath(node.path);
}

/** Of a deleted file, a compacted log says no more than of which volume it was. */
function isBelow(found: { node: Node; isLive: boolean }, top: string | undefined): boolean {
  const { path } = found.node;
  if (top === undefined || path === top || path.startsWith(`${top}/`)) return true;
  return !found.isLive && isQuarantineName(path) && isOfVolume(path, volumeOfPath(top));
}

/** The files among inodes that a kernel refers to, when there is no log to ask about them. */
export function fileInodes(referred: Iterable<readonly [ino: number, counts: unknown]>): number[] {
  return [...referred].map(([ino]) => ino).filter(isFileIno);
}
