import { MiB } from '../base/numbers.ts';
import { fmapExtents } from '../format/extents.ts';
import { DEVICES_MAX, type FileNode } from '../format/namespace.ts';
import { FOPEN } from '../fuse/abi-constants.ts';
import type { FileMap, MapExtent } from '../fuse/fmap.ts';
import { fileMapBytes, PUSH_MAP_MAX_BYTES, simpleMapBytes } from '../fuse/fmap.ts';

/** What a kernel turned out to be, by doing (fuse-famfs-abi.md); `buffered`: no famfs or no dax. */
export const GENERATIONS = ['buffered', 'pull', 'push2', 'push'] as const;
export type Generation = (typeof GENERATIONS)[number];

/** A file's place, as far as its map goes: `.meta` files have one too. */
export type MappedFile = Pick<FileNode, 'sizeBytes' | 'fmap'>;

/** How one generation of kernels is told where a file's bytes are. */
export interface DataPath {
  readonly generation: Generation;
  /** How the kernel learns devices: by asking, by being told, or not at all. */
  readonly devices: 'get-daxdev' | 'daxdev-open' | 'none';
  /** How many devices of a pool its files can be on, from the primary on. */
  readonly devicesMax: number;
  /**
   * FOPEN bits that answer OPEN. Buffered: none, so that the kernel drops its pages of the file and
   * an open sees what others wrote. On dax there are no pages, only what is mapped, which a kernel
   * that took the file for an ordinary one would tear from under those who map it.
   */
  readonly openFlags: number;
  /**
   * Why the kernel would refuse the file's map, or take it and misread it; undefined: it carries
   * it. Asked when a volume is staged, so that no open() has to fail for it.
   */
  refusal(file: MappedFile): string | undefined;
  /** The map to answer GET_FMAP with, for a file that has no `refusal`. */
  fileMap(file: MappedFile): FileMap;
}

interface Limits {
  readonly extents: number;
  readonly strips: number;
  readonly devices: number;
  readonly alignBytes: number;
}

const PULL: Limits = { extents: 32, strips: 32, devices: 1, alignBytes: 2 * MiB };
const PUSH2: Limits = { extents: Infinity, strips: Infinity, devices: 64, alignBytes: 4096 };
const PUSH: Limits = { extents: Infinity, strips: 0, devices: 1, alignBytes: 2 * MiB };
/** `chunk_size` on the wire has 32 bits. */
const CHUNK_MAX_BYTES = 2 ** 31;

const DATA_PATHS: Readonly<Record<Generation, DataPath>> = {
  buffered: {
    generation: 'buffered',
    devices: 'none',
    devicesMax: DEVICES_MAX,
    openFlags: 0,
    refusal: () => undefined,
    fileMap: asIs,
  },
  pull: direct('pull', 'get-daxdev', PULL),
  push2: direct('push2', 'daxdev-open', PUSH2),
  push: {
    ...direct('push', 'daxdev-open', PUSH),
    refusal: (file) => tooManyChunks(file) ?? limitOf(unrolled(file), PUSH),
    fileMap: unrolled,
  },
};

export function dataPathOf(generation: Generation): DataPath {
  return DATA_PATHS[generation];
}

/** A generation that takes the maps as the log has them. */
function direct(generation: Generation, devices: DataPath['devices'], limits: Limits): DataPath {
  return {
    generation,
    devices,
    devicesMax: limits.devices,
    openFlags: FOPEN.KEEP_CACHE,
    refusal: (file) => limitOf(asIs(file), limits),
    fileMap: asIs,
  };
}

function asIs({ fmap, sizeBytes }: MappedFile): FileMap {
  return { ...fmap, sizeBytes };
}

/**
 * One extent a chunk, in file order: what a kernel without interleaving needs. All chunks are of
 * one power-of-two length, so that it finds an offset's extent in O(1); the last one covers the end
 * of the file, in whole 2 MiB as its strip has them. Chunk c is in strip c mod n, at floor(c / n).
 */
function unrolled({ fmap, sizeBytes }: MappedFile): FileMap {
  if (fmap.type === 'simple') return { ...fmap, sizeBytes };
  const { chunkBytes, strips } = fmap;
  const extents: MapExtent[] = [];
  for (let chunk = 0; chunk * chunkBytes < sizeBytes; chunk++) {
    const strip = strips[chunk % strips.length] as MapExtent;
    const offset = strip.offset + Math.floor(chunk / strips.length) * chunkBytes;
    extents.push({ devindex: strip.devindex, offset, lengthBytes: chunkBytes });
  }
  return { type: 'simple', sizeBytes, extents };
}

/** Told before it is unrolled: the log says how many chunks there are, and may say anything. */
function tooManyChunks({ fmap, sizeBytes }: MappedFile): string | undefined {
  if (fmap.type === 'simple') return undefined;
  return mapTooLong(simpleMapBytes(Math.ceil(sizeBytes / fmap.chunkBytes)));
}

function mapTooLong(mapBytes: number): string | undefined {
  if (mapBytes <= PUSH_MAP_MAX_BYTES) return undefined;
  return `its map has ${mapBytes} bytes, at most ${PUSH_MAP_MAX_BYTES}; use larger chunks`;
}

function limitOf(map: FileMap, limits: Limits): string | undefined {
  const extents = map.type === 'simple' ? map.extents : map.strips;
  const most = map.type === 'simple' ? limits.extents : limits.strips;
  if (extents.length > most) {
    return `has ${extents.length} ${map.type === 'simple' ? 'extents' : 'strips'}, at most ${most}`;
  }
  const { alignBytes, devices } = limits;
  const tooLong = mapTooLong(fileMapBytes(map));
  if (tooLong !== undefined) return tooLong;
  if (map.type === 'interleaved' && map.chunkBytes > CHUNK_MAX_BYTES) {
    return `its chunks have ${map.chunkBytes} bytes, at most ${CHUNK_MAX_BYTES}`;
  }
  if (map.type === 'interleaved' && map.chunkBytes % alignBytes !== 0) {
    return `its chunks of ${map.chunkBytes} bytes are not aligned to ${alignBytes}`;
  }
  for (const { devindex, offset, lengthBytes } of extents) {
    if (devindex >= devices) return `is on device ${devindex}, only ${devices} can be used`;
    if (offset % alignBytes !== 0 || lengthBytes % alignBytes !== 0) {
      return `an extent of ${lengthBytes} bytes at ${offset} is not aligned to ${alignBytes}`;
    }
  }
  return undefined;
}

/** Every daxdev that a file's map names. */
export function devicesOf(file: MappedFile): ReadonlySet<number> {
  return new Set(fmapExtents(file.fmap).map(({ devindex }) => devindex));
}
