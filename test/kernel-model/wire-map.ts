import { getU64OrInfinity } from '../../src/base/numbers.ts';

/**
 * A GET_FMAP reply as a kernel reads it: decoded here from the byte offsets of fuse-famfs-abi.md,
 * not with the codec that wrote it. Quantities of 2^53 or more are Infinity.
 */
const HEADER_BYTES = 32;
const SIMPLE_BYTES = 24;
const IEXT_BYTES = 24;
const EXT_INTERLEAVED = 1;

export interface WireExtent {
  readonly devindex: number;
  readonly offset: number;
  readonly length: number;
}

export interface WireStripes {
  readonly nstrips: number;
  readonly chunkBytes: number;
  readonly nbytes: number;
  readonly strips: readonly WireExtent[];
}

export interface WireMap {
  readonly fileType: number;
  readonly version: number;
  readonly extType: number;
  readonly nextents: number;
  /** Push: what the whole map needs; pull: reserved. */
  readonly fmapSize: number;
  readonly fileSize: number;
  readonly extents: readonly WireExtent[];
  readonly stripes: readonly WireStripes[];
  /** What header and counts say that the message has; more than there is: it was cut short. */
  readonly saidBytes: number;
}

/** A range of a device, as a fault finds it. */
export interface Place {
  readonly devindex: number;
  readonly offset: number;
  readonly length: number;
}

/** Undefined where there is no room for a header. Reads no further than `payload` goes. */
export function readWireMap(payload: Uint8Array): WireMap | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const extType = view.getUint32(4, true);
  const nextents = view.getUint32(8, true);
  let extents: WireExtent[] = [];
  const stripes: WireStripes[] = [];
  let at = HEADER_BYTES;
  let saidBytes = HEADER_BYTES;
  const takeExtents = (count: number): WireExtent[] => {
    const taken: WireExtent[] = [];
    saidBytes += count * SIMPLE_BYTES;
    for (; taken.length < count && at + SIMPLE_BYTES <= payload.length; at += SIMPLE_BYTES) {
      taken.push({
        devindex: view.getUint32(at, true),
        offset: getU64OrInfinity(view, at + 8),
        length: getU64OrInfinity(view, at + 16),
      });
    }
    return taken;
  };
  if (extType !== EXT_INTERLEAVED) {
    extents = takeExtents(nextents);
  } else {
    saidBytes += nextents * IEXT_BYTES;
    while (stripes.length < nextents && at + IEXT_BYTES <= payload.length) {
      const nstrips = view.getUint32(at, true);
      const chunkBytes = view.getUint32(at + 4, true);
      const nbytes = getU64OrInfinity(view, at + 8);
      at += IEXT_BYTES;
      stripes.push({ nstrips, chunkBytes, nbytes, strips: takeExtents(nstrips) });
    }
  }
  return {
    fileType: view.getUint8(0),
    version: view.getUint16(2, true),
    extType,
    nextents,
    fmapSize: view.getUint32(12, true),
    fileSize: getU64OrInfinity(view, 16),
    extents,
    stripes,
    saidBytes,
  };
}

export function everyExtent(map: WireMap): readonly WireExtent[] {
  return [...map.extents, ...map.stripes.flatMap(({ strips }) => strips)];
}

/** Bytes of strip `at` that a fault can reach, so that the strip has to have. */
export function shareOf({ nstrips, chunkBytes, nbytes }: WireStripes, at: number): number {
  const rowBytes = nstrips * chunkBytes;
  const rows = Math.floor(nbytes / rowBytes);
  const rest = nbytes - rows * rowBytes - at * chunkBytes;
  return rows * chunkBytes + Math.max(0, Math.min(chunkBytes, rest));
}

/** The first place of a file's byte, and how far it goes on there; undefined: behind the map. */
export function placeOf(map: WireMap, offset: number): Place | undefined {
  if (map.extType !== EXT_INTERLEAVED) return placeInExtents(map.extents, offset);
  let rest = offset;
  for (const stripes of map.stripes) {
    if (rest < stripes.nbytes) return placeInStripes(stripes, rest);
    rest -= stripes.nbytes;
  }
  return undefined;
}

/** Every place of a range, in file order; neighbours on a device are one. */
export function placesOf(map: WireMap, offset: number, length: number): Place[] | undefined {
  const places: Place[] = [];
  for (let at = offset; at < offset + length; ) {
    const place = placeOf(map, at);
    if (place === undefined) return undefined;
    const taken = Math.min(place.length, offset + length - at);
    const last = places.at(-1);
    if (last?.devindex === place.devindex && last.offset + last.length === place.offset) {
      places[places.length - 1] = { ...last, length: last.length + taken };
    } else {
      places.push({ ...place, length: taken });
    }
    at += taken;
  }
  return places;
}

/** A list of equal power-of-two lengths is an array; any other is walked. */
function placeInExtents(extents: readonly WireExtent[], offset: number): Place | undefined {
  const step = extents[0]?.length ?? 0;
  if (isArray(extents, step)) {
    const at = Math.floor(offset / step);
    return placeIn(extents[at], offset - at * step);
  }
  let rest = offset;
  for (const extent of extents) {
    if (rest < extent.length) return placeIn(extent, rest);
    rest -= extent.length;
  }
  return undefined;
}

/** All of one power-of-two length, but for a last one that may be shorter. */
function isArray(extents: readonly WireExtent[], step: number): boolean {
  if (!Number.isInteger(Math.log2(step))) return false;
  return extents.every(({ length }, at) =>
    at === extents.length - 1 ? length <= step : length === step,
  );
}

function placeIn(extent: WireExtent | undefined, within: number): Place | undefined {
  if (extent === undefined || within >= extent.length) return undefined;
  const { devindex, offset, length } = extent;
  return { devindex, offset: offset + within, length: length - within };
}

function placeInStripes({ nstrips, chunkBytes, strips }: WireStripes, offset: number): Place {
  const chunk = Math.floor(offset / chunkBytes);
  const within = offset - chunk * chunkBytes;
  const strip = strips[chunk % nstrips] as WireExtent;
  const stripe = Math.floor(chunk / nstrips);
  return {
    devindex: strip.devindex,
    offset: strip.offset + stripe * chunkBytes + within,
    length: chunkBytes - within,
  };
}
