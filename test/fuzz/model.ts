import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import {
  capacityOf,
  DAXDEV,
  DELETE,
  ENTRY,
  EXTENT_BYTES,
  FILE,
  HEADER,
  HEADER_BYTES,
  LOG_START,
  type LogImage,
  MKDIR,
  PATH_BYTES,
  SB,
  SLOT_BYTES,
  TYPE,
  UNIT_BYTES,
  viewOf,
} from './media.ts';
import { RangeSet } from './range-set.ts';
import type { FieldAt } from './words.ts';

/*
 * What format.md says of a device's bytes, in the plainest way there is: the oracle of the fuzzer.
 * It shares no code with src/format. All numbers of the media are bigint until they are known to be
 * in range, so that no rounding can hide an overflow.
 */

export interface ModelExtent {
  readonly devindex: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface ModelNode {
  readonly kind: 'file' | 'directory';
  readonly index: number;
  readonly sizeBytes: number;
  readonly extents: readonly ModelExtent[];
  /** 0: the extents follow each other. */
  readonly chunkBytes: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface ModelDevice {
  /** Files may have [start, sizeBytes). */
  readonly start: number;
  readonly sizeBytes: number;
  /** In hexadecimal. */
  readonly uuid: string;
  /** What any entry named of it, taken or rejected. */
  readonly used: RangeSet;
}

interface RawExtent {
  readonly devindex: bigint;
  readonly offset: bigint;
  readonly length: bigint;
}

const MAX = 2n ** 53n;
const DAMAGE = ['ENTRY_CRC', 'ENTRY_SEQNUM'];

function word(bytes: Uint8Array, [at]: FieldAt): bigint {
  return viewOf(bytes).getBigUint64(at, true);
}

function half(bytes: Uint8Array, [at]: FieldAt): number {
  return viewOf(bytes).getUint32(at, true);
}

function textOf(bytes: Uint8Array, [at, length]: FieldAt): string {
  return Buffer.from(bytes.subarray(at, at + length)).toString('hex');
}

function isSealed(bytes: Uint8Array, crc: FieldAt): boolean {
  return word(bytes, crc) === BigInt(crc32(bytes.subarray(0, crc[0])));
}

function isPowerOf2(value: bigint): boolean {
  return value > 0n && (value & (value - 1n)) === 0n;
}

/** The geometry in a superblock that a reader must take, or undefined where it must refuse. */
export function modelSuperblock(
  bytes: Uint8Array,
): { logBytes: number; unitBytes: number; deviceBytes: number } | undefined {
  if (bytes.length < 200 || word(bytes, SB.magic) !== 0x87b282ffn) return undefined;
  if (!isSealed(bytes, SB.crc) || word(bytes, SB.version) !== 48n) return undefined;
  if (half(bytes, SB.omfMajor) !== 2) return undefined;
  const logLength = word(bytes, SB.logLength);
  const unit = word(bytes, SB.allocUnit);
  const device = word(bytes, SB.deviceSize);
  if (unit !== 4096n && unit !== BigInt(UNIT_BYTES)) return undefined;
  if (word(bytes, SB.logOffset) !== BigInt(LOG_START)) return undefined;
  if (!isPowerOf2(logLength) || logLength < 0x80_0000n || device >= MAX) return undefined;
  // The log of a secondary device's pool is on another device.
  if (!isSecondary(bytes) && device < BigInt(LOG_START) + logLength) return undefined;
  return { logBytes: Number(logLength), unitBytes: Number(unit), deviceBytes: Number(device) };
}

function isSecondary(superblock: Uint8Array): boolean {
  return half(superblock, SB.flags) === 2;
}

/** What a pool can be opened by: the superblock of a primary device. */
export function modelPrimary(bytes: Uint8Array): ReturnType<typeof modelSuperblock> {
  const geometry = modelSuperblock(bytes);
  return geometry === undefined || isSecondary(bytes) ? undefined : geometry;
}

/** next_index of a log header that a reader must take, or undefined where it must refuse. */
export function modelHeader(bytes: Uint8Array): { logBytes: number; next: number } | undefined {
  if (bytes.length < HEADER_BYTES || word(bytes, HEADER.magic) !== 0xbadcafef00dn) return undefined;
  if (!isSealed(bytes, HEADER.crc)) return undefined;
  const words = [HEADER.logLength, HEADER.lastIndex, HEADER.nextSeqnum, HEADER.nextIndex];
  if (words.some((field) => word(bytes, field) >= MAX)) return undefined;
  const [logBytes, last, , next] = words.map((field) => Number(word(bytes, field)));
  const capacity = capacityOf(logBytes as number);
  if (last !== capacity - 1 || (next as number) > capacity) return undefined;
  return { logBytes: logBytes as number, next: next as number };
}

/** A pool as an image makes it, entry by entry. */
export class Model {
  readonly nodes = new Map<string, ModelNode>();
  readonly devices: ModelDevice[];
  readonly nextIndex: number;
  readonly capacity: number;
  readonly unitBytes: number;
  position = 0;
  applied = 0;
  damaged = false;
  /** Of each entry that is not taken, every reason that there is, by its code. */
  readonly reasons = new Map<number, ReadonlySet<string>>();
  /** Memory of files that a DELETE took away, in log order. */
  readonly dead: ModelExtent[] = [];
  /** Paths that a DELETE took away, in log order. */
  readonly removed: string[] = [];

  private constructor(image: LogImage, geometry: { unitBytes: number; deviceBytes: number }) {
    const { logBytes, next } = modelHeader(image.header) as { logBytes: number; next: number };
    this.unitBytes = geometry.unitBytes;
    this.capacity = capacityOf(logBytes);
    this.nextIndex = next;
    const start = LOG_START + logBytes;
    const uuid = textOf(image.superblock, SB.deviceUuid);
    this.devices = [{ start, sizeBytes: geometry.deviceBytes, uuid, used: new RangeSet() }];
    const nothing = new Uint8Array(SLOT_BYTES);
    for (let index = 0; index < next && !this.damaged; index++) {
      this.#entry(image.entries[index] ?? nothing);
    }
  }

  /** The pool of an image, or undefined where opening it must fail. */
  static of(image: LogImage): Model | undefined {
    const geometry = modelPrimary(image.superblock);
    const header = modelHeader(image.header);
    if (geometry === undefined || geometry.logBytes !== header?.logBytes) return undefined;
    if (geometry.deviceBytes > image.memoryBytes) return undefined;
    return new Model(image, geometry);
  }

  #entry(bytes: Uint8Array): void {
    const isInOrder = word(bytes, ENTRY.seqnum) === BigInt(this.position);
    if (!isSealed(bytes, ENTRY.crc) || !isInOrder) {
      this.damaged = true;
      this.reasons.set(this.position, new Set(isInOrder ? ['ENTRY_CRC'] : DAMAGE));
      return;
    }
    const reasons = this.#take(bytes);
    if (reasons.size === 0) this.applied += 1;
    else this.reasons.set(this.position, reasons);
    this.position += 1;
  }

  /** Takes an entry into the pool, or says everything that speaks against it. */
  #take(bytes: Uint8Array): ReadonlySet<string> {
    const reasons = new Set<string>();
    const type = half(bytes, ENTRY.type);
    if (type === TYPE.file) this.#file(bytes, reasons);
    else if (type === TYPE.mkdir) this.#mkdir(bytes, reasons);
    else if (type === TYPE.delete) this.#delete(bytes, reasons);
    else if (type === TYPE.daxdev) this.#daxdev(bytes, reasons);
    else reasons.add('ENTRY_TYPE');
    return reasons;
  }

  #file(bytes: Uint8Array, reasons: Set<string>): void {
    const { extents, chunk, valid } = namedExtents(bytes);
    if (!valid) reasons.add('FMAP');
    this.#judgeExtents(extents, chunk, reasons);
    const size = word(bytes, FILE.size);
    if (chunk !== 0n && valid && (size < 1n || size > room(extents, chunk))) {
      reasons.add('FILE_SIZE');
    }
    for (const extent of extents) this.#use(extent);
    const path = this.#judgePath(pathIn(bytes, FILE.path), reasons);
    if (reasons.size > 0) return;
    this.nodes.set(path, {
      ...this.#owner(bytes, FILE),
      kind: 'file',
      index: this.position,
      sizeBytes: Number(size),
      extents: extents.map(({ devindex, offset, length }) => ({
        devindex: Number(devindex),
        offset: Number(offset),
        lengthBytes: Number(length),
      })),
      chunkBytes: Number(chunk ?? 0n),
    });
  }

  #mkdir(bytes: Uint8Array, reasons: Set<string>): void {
    const path = this.#judgePath(pathIn(bytes, MKDIR.path), reasons);
    if (reasons.size > 0) return;
    const directory = { kind: 'directory', sizeBytes: 0, extents: [], chunkBytes: 0 } as const;
    this.nodes.set(path, { ...directory, ...this.#owner(bytes, MKDIR), index: this.position });
  }

  #delete(bytes: Uint8Array, reasons: Set<string>): void {
    const path = pathIn(bytes, DELETE.path);
    const isFiller = path === '' && word(bytes, DELETE.target) === 2n ** 64n - 1n;
    if (isFiller) return;
    if (path === undefined) reasons.add('PATH');
    const node = this.nodes.get(path ?? '');
    if (node === undefined || word(bytes, DELETE.target) !== BigInt(node.index)) {
      reasons.add('DELETE_TARGET');
    }
    if ([...this.nodes.keys()].some((other) => other.startsWith(`${path}/`))) {
      reasons.add('DELETE_NOT_EMPTY');
    }
    if (reasons.size > 0 || path === undefined) return;
    this.dead.push(...(node?.extents ?? []));
    this.nodes.delete(path);
    this.removed.push(path);
  }

  #daxdev(bytes: Uint8Array, reasons: Set<string>): void {
    const size = word(bytes, DAXDEV.size);
    const next = this.devices.length;
    if (half(bytes, DAXDEV.index) !== next || next >= 64) reasons.add('DAXDEV_INDEX');
    // A pool's memory is counted in numbers: all of it together is below 2^53.
    const all = this.devices.reduce((sum, { sizeBytes }) => sum + BigInt(sizeBytes), size);
    if (size <= BigInt(UNIT_BYTES) || all >= MAX) reasons.add('DAXDEV_SIZE');
    const uuid = textOf(bytes, DAXDEV.uuid);
    if (this.devices.some((other) => other.uuid === uuid)) reasons.add('DAXDEV_UUID');
    if (reasons.size > 0) return;
    this.devices.push({ start: UNIT_BYTES, sizeBytes: Number(size), uuid, used: new RangeSet() });
  }

  #owner(bytes: Uint8Array, fields: { uid: FieldAt; gid: FieldAt; mode: FieldAt }) {
    return {
      uid: half(bytes, fields.uid),
      gid: half(bytes, fields.gid),
      mode: half(bytes, fields.mode) & 0o7777,
    };
  }

  /** Whether a new node may have this path. */
  canPlace(path: string): boolean {
    const reasons = new Set<string>();
    this.#judgePath(path, reasons);
    return reasons.size === 0;
  }

  /** The path; what speaks against a new node there is added to the reasons. */
  #judgePath(path: string | undefined, reasons: Set<string>): string {
    if (path === undefined || !isPoolPath(path)) reasons.add('PATH');
    if (path === undefined) return '';
    if (this.nodes.has(path)) reasons.add('DUPLICATE');
    const slash = path.lastIndexOf('/');
    const hasParent = slash < 0 || this.nodes.get(path.slice(0, slash))?.kind === 'directory';
    if (!hasParent) reasons.add('PARENT');
    return path;
  }

  #judgeExtents(
    extents: readonly RawExtent[],
    chunk: bigint | undefined,
    reasons: Set<string>,
  ): void {
    const unit = BigInt(this.unitBytes);
    if (chunk !== undefined && (!isPowerOf2(chunk) || chunk % unit !== 0n || chunk >= MAX)) {
      reasons.add('CHUNK_SIZE');
    }
    const own = new Map<bigint, RangeSet>();
    for (const { devindex, offset, length } of extents) {
      const isAligned = length > 0n && offset % unit === 0n && length % unit === 0n;
      // A reader that counts in numbers cannot tell whether a larger one is a multiple.
      if (!isAligned || offset >= MAX || length >= MAX) reasons.add('EXTENT_ALIGN');
      const device = devindex < 64n ? this.devices[Number(devindex)] : undefined;
      const isInside =
        device !== undefined &&
        offset >= BigInt(device.start) &&
        offset + length <= BigInt(device.sizeBytes);
      if (!isInside) reasons.add('EXTENT_RANGE');
      if (device === undefined || offset >= BigInt(device.sizeBytes)) continue;
      const start = Number(offset);
      const end = Math.min(device.sizeBytes, Number(offset + length));
      const mine = own.get(devindex) ?? new RangeSet();
      own.set(devindex, mine);
      if (device.used.overlaps(start, end) || mine.overlaps(start, end)) {
        reasons.add('EXTENT_OVERLAP');
      }
      mine.add(start, end);
    }
  }

  #use({ devindex, offset, length }: RawExtent): void {
    const device = devindex < 64n ? this.devices[Number(devindex)] : undefined;
    if (device === undefined || offset >= BigInt(device.sizeBytes)) return;
    const end = offset + length < BigInt(device.sizeBytes) ? offset + length : device.sizeBytes;
    device.used.add(Math.max(device.start, Number(offset)), Number(end));
  }
}

/** Every extent that the struct has room for; not `valid` where its counts make no sense. */
function namedExtents(bytes: Uint8Array): {
  extents: RawExtent[];
  chunk: bigint | undefined;
  valid: boolean;
} {
  const type = half(bytes, FILE.extType);
  if (type > 1) return { extents: [], chunk: undefined, valid: false };
  const count = BigInt(half(bytes, FILE.count));
  const many = type === 0 ? count : word(bytes, FILE.stripCount);
  const [first] = type === 0 ? FILE.extents : FILE.strips;
  const extents: RawExtent[] = [];
  for (let at = 0; at < (many < 16n ? Number(many) : 16); at++) {
    const base = first + at * EXTENT_BYTES;
    extents.push({
      devindex: word(bytes, [base, 8]),
      offset: word(bytes, [base + 8, 8]),
      length: word(bytes, [base + 16, 8]),
    });
  }
  const valid = many >= 1n && many <= 16n && (type === 0 || count === 1n);
  return { extents, chunk: type === 0 ? undefined : word(bytes, FILE.chunkSize), valid };
}

/** The bytes that extents hold: full rounds of chunks, and what the first strips have beyond. */
function room(extents: readonly RawExtent[], chunk: bigint | undefined): bigint {
  if (chunk === undefined) return extents.reduce((sum, { length }) => sum + length, 0n);
  const chunks = extents.map(({ length }) => length / chunk);
  const rounds = chunks.reduce((least, count) => (count < least ? count : least));
  const more = chunks.indexOf(rounds);
  return (rounds * BigInt(extents.length) + BigInt(more)) * chunk;
}

/** Bytes up to the NUL, as text; undefined where there is none or it is no UTF-8. */
function pathIn(bytes: Uint8Array, [at]: FieldAt): string | undefined {
  const field = Buffer.from(bytes.slice(at, at + PATH_BYTES));
  const end = field.indexOf(0);
  if (end < 0) return undefined;
  return isUtf8(field.subarray(0, end)) ? field.toString('utf8', 0, end) : undefined;
}

/** Whether a path stays in its pool and can be carried by a file system. */
export function isPoolPath(path: string): boolean {
  if (path === '' || Buffer.byteLength(path) > 79 || path.includes('\0')) return false;
  const names = path.split('/');
  return names[0] !== '.meta' && !names.some((name) => ['', '.', '..'].includes(name));
}
