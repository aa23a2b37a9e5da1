import { Fault } from '../base/errors.ts';

/** What a path in a log has room for. */
const PATH_MAX_BYTES = 79;
const POOL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** A directory of a pool, by its PersistentVolume's handle `<pool>/<directory>`. */
export interface StaticHandle {
  readonly pool: string;
  /** Relative to the pool's root; it may be several directories deep. */
  readonly path: string;
}

/** Undefined for the id of a volume that this driver made, and for what is neither. */
export function parseStaticHandle(volumeId: string): StaticHandle | undefined {
  const slash = volumeId.indexOf('/');
  const pool = volumeId.slice(0, Math.max(0, slash));
  const path = volumeId.slice(slash + 1);
  return POOL_NAME.test(pool) && isVolumeDirectory(path) ? { pool, path } : undefined;
}

/** Nothing outside the pool, and not where its own superblock and log are. */
export function isVolumeDirectory(path: string): boolean {
  if (path.includes('\0') || Buffer.byteLength(path) > PATH_MAX_BYTES) return false;
  const names = path.split('/');
  return names[0] !== '.meta' && !names.some((name) => ['', '.', '..'].includes(name));
}

/** INVALID where the key says anything else than the handle; it may be left out. */
export function agreesWithHandle(key: string, found: string | undefined, wanted: string): string {
  if (found === undefined || found === wanted) return wanted;
  throw new Fault(
    'INVALID',
    `volume_context.${key}: found "${found}", the volume's handle says "${wanted}"; leave it out`,
  );
}
