import { assert } from '../base/errors.ts';

/** A range of one device of the pool, in bytes. */
export interface Extent {
  readonly devindex: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Where a file's bytes are: extents one after the other, or chunks dealt round to strips. */
export type Fmap =
  | { readonly type: 'simple'; readonly extents: readonly Extent[] }
  | {
      readonly type: 'interleaved';
      readonly chunkBytes: number;
      readonly strips: readonly Extent[];
    };

/** Most extents of a simple fmap, and most strips of an interleaved one (format.md, "fmap"). */
export const EXTENTS_MAX = 16;

/** Every device range that the file owns, in the fmap's order. */
export function fmapExtents(fmap: Fmap): readonly Extent[] {
  return fmap.type === 'simple' ? fmap.extents : fmap.strips;
}

/** How many bytes of a file the fmap can hold, given how they are dealt out. */
export function fmapCapacity(fmap: Fmap): number {
  if (fmap.type === 'simple') {
    let sum = 0;
    for (const { lengthBytes } of fmap.extents) sum += lengthBytes;
    return sum;
  }
  // The file ends in the first strip that is full: strip s holds chunks s, s + n, s + 2n, …
  const count = fmap.strips.length;
  const firstMissing = fmap.strips.map(
    ({ lengthBytes }, at) => Math.floor(lengthBytes / fmap.chunkBytes) * count + at,
  );
  return Math.min(...firstMissing) * fmap.chunkBytes;
}

/**
 * The device ranges of a file's bytes [offset, offset + lengthBytes), in file order; neighbours on
 * a device are one range. The caller keeps the range within the file's size.
 */
export function resolve(fmap: Fmap, offset: number, lengthBytes: number): Extent[] {
  return fmap.type === 'simple'
    ? resolveSimple(fmap.extents, offset, lengthBytes)
    : resolveInterleaved(fmap.strips, fmap.chunkBytes, offset, lengthBytes);
}

function resolveSimple(extents: readonly Extent[], offset: number, lengthBytes: number): Extent[] {
  const ranges: Range[] = [];
  let skip = offset;
  let left = lengthBytes;
  for (const extent of extents) {
    if (left === 0) break;
    if (skip >= extent.lengthBytes) {
      skip -= extent.lengthBytes;
      continue;
    }
    const take = Math.min(left, extent.lengthBytes - skip);
    appendRange(ranges, extent.devindex, extent.offset + skip, take);
    left -= take;
    skip = 0;
  }
  assert(left === 0, `a file's range ends ${left} bytes behind its extents`);
  return ranges;
}

/** format.md: c = offset / chunk; strip c mod n; there at floor(c / n)·chunk + the rest. */
function resolveInterleaved(
  strips: readonly Extent[],
  chunkBytes: number,
  offset: number,
  lengthBytes: number,
): Extent[] {
  const ranges: Range[] = [];
  const end = offset + lengthBytes;
  for (let at = offset; at < end; ) {
    const chunk = Math.floor(at / chunkBytes);
    const within = at - chunk * chunkBytes;
    const strip = strips[chunk % strips.length];
    assert(strip !== undefined, 'an interleaved file has no strip');
    const take = Math.min(chunkBytes - within, end - at);
    const device = strip.offset + Math.floor(chunk / strips.length) * chunkBytes + within;
    appendRange(ranges, strip.devindex, device, take);
    at += take;
  }
  return ranges;
}

/** An extent that may still grow. */
interface Range {
  readonly devindex: number;
  readonly offset: number;
  lengthBytes: number;
}

function appendRange(ranges: Range[], devindex: number, offset: number, lengthBytes: number): void {
  const last = ranges.at(-1);
  if (last?.devindex === devindex && last.offset + last.lengthBytes === offset) {
    last.lengthBytes += lengthBytes;
  } else {
    ranges.push({ devindex, offset, lengthBytes });
  }
}
