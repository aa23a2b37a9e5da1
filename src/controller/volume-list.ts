import { Fault } from '../base/errors.ts';
import { parseStaticHandle } from '../csi/volume-handle.ts';
import { type Volume, volumeIn } from './volume.ts';
import { isVolumeId } from './volume-id.ts';
import type { VolumePool } from './volume-pool.ts';

/** Keeps a reply below the 4 MiB that gRPC clients take, with a few nodes on every volume. */
const MAX_PAGE = 5000;

export interface VolumePage {
  readonly volumes: readonly Volume[];
  /** Where the next page starts; empty on the last one. */
  readonly nextToken: string;
}

/** A place in the order of volumes: pools as configured, then by inode number within a pool. */
interface PoolPlace {
  readonly pool: VolumePool;
  /** Of the first directory to list. */
  readonly ino: number;
}

/** Behind all pools: the static handle to go on with, in alphabetical order. */
interface StaticPlace {
  readonly handle: string;
}

/**
 * One page of all volumes, at most `maxEntries` (0: no wish). The order is that of the directories'
 * inode numbers, which nothing changes: a volume made or deleted between two pages neither moves
 * nor repeats any other, nor does a compaction of the log. Then come those of static handles,
 * sorted. BUSY (ABORTED, as the specification wants) for a token that is not ours: start again
 * without one.
 */
export function listVolumes(
  pools: readonly VolumePool[],
  startingToken: string,
  maxEntries: number,
  statics: readonly Volume[] = [],
): VolumePage {
  const place = startingToken === '' ? undefined : decodeToken(pools, startingToken);
  const [first, handle] =
    place === undefined || 'pool' in place ? [place, ''] : [undefined, place.handle];
  const wanted = maxEntries === 0 ? MAX_PAGE : Math.min(maxEntries, MAX_PAGE);
  const volumes: Volume[] = [];
  const seen = pools.slice(0, first === undefined ? 0 : pools.indexOf(first.pool));
  for (const pool of handle === '' ? pools.slice(seen.length) : []) {
    pool.follow();
    const { root } = pool.replica.namespace;
    for (const node of root.childrenFrom(pool === first?.pool ? first.ino : 0)) {
      if (node.kind !== 'directory' || !isVolumeId(node.name)) continue;
      // Of two pools with the same volume id, the first is the one that every call means.
      if (seen.some((other) => other.replica.namespace.lookup(node.name))) continue;
      const volume = volumeIn(pool, node);
      if (volume === undefined) continue;
      if (volumes.length === wanted) {
        return { volumes, nextToken: encodeToken(`${pool.fsUuid}/${node.ino}`) };
      }
      volumes.push(volume);
    }
    seen.push(pool);
  }
  for (const volume of statics.filter(({ id }) => id >= handle)) {
    if (volumes.length === wanted) return { volumes, nextToken: encodeToken(`=${volume.id}`) };
    volumes.push(volume);
  }
  return { volumes, nextToken: '' };
}

function encodeToken(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function decodeToken(pools: readonly VolumePool[], token: string): PoolPlace | StaticPlace {
  const text = Buffer.from(token, 'base64url').toString('utf8');
  const handle = text.slice(1);
  if (text.startsWith('=') && parseStaticHandle(handle) !== undefined) return { handle };
  const [, fsUuid, ino] = /^([0-9a-f-]{36})\/(\d{1,16})$/.exec(text) ?? [];
  const pool = pools.find((one) => one.fsUuid === fsUuid);
  if (pool === undefined || ino === undefined) {
    throw new Fault(
      'BUSY',
      `starting_token: found "${token}", expected the next_token of an earlier page; list again ` +
        'from the start',
    );
  }
  return { pool, ino: Number(ino) };
}
