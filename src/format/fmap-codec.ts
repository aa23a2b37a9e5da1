import { layout } from '../base/layout.ts';
import { getU64OrInfinity, setU64 } from '../base/numbers.ts';
import { EXTENTS_MAX, type Extent, type Fmap } from './extents.ts';

/** The fmap of a FILE entry; format.md, "fmap". `simple` is nstrips of an interleaved one. */
const F = layout('log_entry fmap', 416, {
  extType: [0, 4],
  pad0: [4, 4],
  count: [8, 4],
  pad1: [12, 4],
  simple: [16, 8],
  chunkSize: [24, 8],
  strips: [32, 384],
});
const EXT_SIMPLE = 0;
const EXT_INTERLEAVED = 1;
const EXTENT_BYTES = 24;

/** Writes the fmap to the bytes from `base` on, which are zero. */
export function setFmap(view: DataView, base: number, fmap: Fmap): void {
  if (fmap.type === 'simple') {
    view.setUint32(base + F.extType, EXT_SIMPLE, true);
    view.setUint32(base + F.count, fmap.extents.length, true);
    setExtents(view, base + F.simple, fmap.extents);
    return;
  }
  view.setUint32(base + F.extType, EXT_INTERLEAVED, true);
  view.setUint32(base + F.count, 1, true);
  setU64(view, base + F.simple, fmap.strips.length);
  setU64(view, base + F.chunkSize, fmap.chunkBytes);
  setExtents(view, base + F.strips, fmap.strips);
}

function setExtents(view: DataView, offset: number, extents: readonly Extent[]): void {
  extents.forEach((extent, at) => {
    setU64(view, offset + at * EXTENT_BYTES, extent.devindex);
    setU64(view, offset + at * EXTENT_BYTES + 8, extent.offset);
    setU64(view, offset + at * EXTENT_BYTES + 16, extent.lengthBytes);
  });
}

/** An fmap with impossible counts: what is wrong, and the extents that it names all the same. */
export interface Unreadable {
  readonly type: 'unreadable';
  readonly problem: string;
  readonly named: readonly Extent[];
}

/** The fmap of which the bytes start at `base`. */
export function fmapAt(view: DataView, base: number): Fmap | Unreadable {
  const type = view.getUint32(base + F.extType, true);
  const count = view.getUint32(base + F.count, true);
  if (type === EXT_SIMPLE) {
    const extents = extentsAt(view, base + F.simple, count);
    if (count >= 1 && count <= EXTENTS_MAX) return { type: 'simple', extents };
    return unreadable(`${count} extents, expected 1 to ${EXTENTS_MAX}`, extents);
  }
  if (type !== EXT_INTERLEAVED) return unreadable(`ext_type is ${type}, expected 0 or 1`, []);
  const stripCount = getU64OrInfinity(view, base + F.simple);
  const strips = extentsAt(view, base + F.strips, stripCount);
  if (count !== 1) return unreadable(`${count} interleaved extents, expected 1`, strips);
  if (stripCount < 1 || stripCount > EXTENTS_MAX) {
    return unreadable(`${stripCount} strips, expected 1 to ${EXTENTS_MAX}`, strips);
  }
  const chunkBytes = getU64OrInfinity(view, base + F.chunkSize);
  return { type: 'interleaved', chunkBytes, strips };
}

function unreadable(problem: string, named: readonly Extent[]): Unreadable {
  return { type: 'unreadable', problem, named };
}

/** The first `count` extents, at most as many as there is room for. */
function extentsAt(view: DataView, offset: number, count: number): Extent[] {
  if (count === 0) return [];
  // A literal of one: an array that grows from none has room for 16.
  const extents = [extentAt(view, offset)];
  for (let at = 1; at < Math.min(count, EXTENTS_MAX); at++) {
    extents.push(extentAt(view, offset + at * EXTENT_BYTES));
  }
  return extents;
}

function extentAt(view: DataView, offset: number): Extent {
  return {
    devindex: getU64OrInfinity(view, offset),
    offset: getU64OrInfinity(view, offset + 8),
    lengthBytes: getU64OrInfinity(view, offset + 16),
  };
}
