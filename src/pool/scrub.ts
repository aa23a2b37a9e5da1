import { MiB } from '../base/numbers.ts';
import type { DeviceRange } from '../format/control-area.ts';
import { fmapExtents } from '../format/extents.ts';
import type { DeadFile, Replica } from '../format/replica.ts';

/** As much as is zeroed in one hold of the lock: some milliseconds. */
const PIECE_BYTES = 16 * MiB;

/**
 * The piece of a deleted file's memory that begins after `done` bytes of it; undefined behind its
 * end, where the log has the file not any more, and on other devices than the primary.
 */
export function pieceOf(
  replica: Replica,
  { node: { ino }, deletedAt }: DeadFile,
  done: number,
): DeviceRange | undefined {
  const dead = replica.dead.find((one) => one.node.ino === ino && one.deletedAt === deletedAt);
  let before = 0;
  for (const { devindex, offset, lengthBytes } of dead ? fmapExtents(dead.node.fmap) : []) {
    if (devindex !== 0) continue;
    const from = Math.max(0, done - before);
    if (from < lengthBytes) {
      return { offset: offset + from, lengthBytes: Math.min(PIECE_BYTES, lengthBytes - from) };
    }
    before += lengthBytes;
  }
  return undefined;
}
