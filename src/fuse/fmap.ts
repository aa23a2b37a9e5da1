import { layout } from '../base/layout.ts';
import { MiB, setU64 } from '../base/numbers.ts';

/**
 * Replies to GET_FMAP and GET_DAXDEV, and the limits of the kernels that ask; fuse-famfs-abi.md,
 * "Structures". Little-endian.
 */
const FMAP_HEADER = layout('fuse_famfs_fmap_header', 32, {
  fileType: [0, 1], // 0: a regular file
  reserved0: [1, 1],
  fmapVersion: [2, 2],
  extType: [4, 4],
  nextents: [8, 4],
  fmapSize: [12, 4], // push: bytes of the whole map, this header included; pull: reserved
  fileSize: [16, 8],
  reserved1: [24, 8],
});
const SIMPLE_EXT = layout('fuse_famfs_simple_ext', 24, {
  devindex: [0, 4],
  reserved: [4, 4],
  offset: [8, 8],
  len: [16, 8],
});
const IEXT = layout('fuse_famfs_iext', 24, {
  nstrips: [0, 4],
  chunkSize: [4, 4],
  nbytes: [8, 8],
  reserved: [16, 8],
});
const DAXDEV_OUT = layout('fuse_get_daxdev_out', 280, {
  index: [0, 2],
  reserved0: [2, 2],
  reserved1: [4, 4],
  reserved2: [8, 8],
  reserved3: [16, 8],
  name: [24, 256],
});
/** Body of GET_FMAP from a push kernel; a pull kernel sends none. */
export const GET_FMAP_IN = layout('fuse_get_fmap_in', 8, { room: [0, 4], pad: [4, 4] });

export const DAXDEV_OUT_BYTES = DAXDEV_OUT.size;
export const FMAP_HEADER_BYTES = FMAP_HEADER.size;
/** A pull kernel has room for one page of a map; a push kernel takes up to 16 MiB of it. */
export const PULL_MAP_MAX_BYTES = 4096;
export const PUSH_MAP_MAX_BYTES = 16 * MiB;
/** Longest path of a device, without its NUL. */
export const DAXDEV_NAME_MAX_BYTES = 255;
const FMAP_VERSION = 1;
const EXT_SIMPLE = 0;
const EXT_INTERLEAVED = 1;

/** A range of a daxdev, in bytes. */
export interface MapExtent {
  readonly devindex: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Where a file's bytes are, as a kernel with famfs is told; sizes in bytes. */
export type FileMap =
  | {
      readonly type: 'simple';
      readonly sizeBytes: number;
      readonly extents: readonly MapExtent[];
    }
  | {
      readonly type: 'interleaved';
      readonly sizeBytes: number;
      readonly chunkBytes: number;
      readonly strips: readonly MapExtent[];
    };

export function simpleMapBytes(extents: number): number {
  return FMAP_HEADER.size + extents * SIMPLE_EXT.size;
}

/** Length of the whole message that describes the map, its header included. */
export function fileMapBytes(map: FileMap): number {
  return map.type === 'simple'
    ? simpleMapBytes(map.extents.length)
    : FMAP_HEADER.size + IEXT.size + map.strips.length * SIMPLE_EXT.size;
}

/** Writes only the header: a push kernel then asks again, with room for all of the map. */
export function putFileMapHeader(view: DataView, at: number, map: FileMap, push: boolean): void {
  view.setUint8(at + FMAP_HEADER.fileType, 0);
  view.setUint8(at + FMAP_HEADER.reserved0, 0);
  view.setUint16(at + FMAP_HEADER.fmapVersion, FMAP_VERSION, true);
  const isSimple = map.type === 'simple';
  view.setUint32(at + FMAP_HEADER.extType, isSimple ? EXT_SIMPLE : EXT_INTERLEAVED, true);
  view.setUint32(at + FMAP_HEADER.nextents, isSimple ? map.extents.length : 1, true);
  view.setUint32(at + FMAP_HEADER.fmapSize, push ? fileMapBytes(map) : 0, true);
  setU64(view, at + FMAP_HEADER.fileSize, map.sizeBytes);
  setU64(view, at + FMAP_HEADER.reserved1, 0);
}

/** Writes header and extents: `fileMapBytes(map)` bytes at `at`. */
export function putFileMap(view: DataView, at: number, map: FileMap, push: boolean): void {
  putFileMapHeader(view, at, map, push);
  let next = at + FMAP_HEADER.size;
  if (map.type === 'interleaved') {
    view.setUint32(next + IEXT.nstrips, map.strips.length, true);
    view.setUint32(next + IEXT.chunkSize, map.chunkBytes, true);
    setU64(view, next + IEXT.nbytes, map.sizeBytes);
    setU64(view, next + IEXT.reserved, 0);
    next += IEXT.size;
  }
  for (const extent of map.type === 'simple' ? map.extents : map.strips) {
    view.setUint32(next + SIMPLE_EXT.devindex, extent.devindex, true);
    view.setUint32(next + SIMPLE_EXT.reserved, 0, true);
    setU64(view, next + SIMPLE_EXT.offset, extent.offset);
    setU64(view, next + SIMPLE_EXT.len, extent.lengthBytes);
    next += SIMPLE_EXT.size;
  }
}

/** Writes the reply to GET_DAXDEV, of which the kernel takes `name` only: a path. */
export function putDaxdev(bytes: Uint8Array, at: number, index: number, path: string): void {
  bytes.fill(0, at, at + DAXDEV_OUT.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint16(at + DAXDEV_OUT.index, index, true);
  new TextEncoder().encodeInto(
    path,
    bytes.subarray(at + DAXDEV_OUT.name, at + DAXDEV_OUT.size - 1),
  );
}
