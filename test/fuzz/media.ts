import { crc32 } from 'node:zlib';
import { Fault } from '../../src/base/errors.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import type { FieldAt } from './words.ts';

/*
 * The structs of format.md, written down a second time: neither what is fed to the code under test
 * nor the oracle may come from that code.
 */

export const LOG_START = 0x20_0000;
export const SLOT_BYTES = 544;
export const HEADER_BYTES = 48;
export const SUPERBLOCK_BYTES = 200;
export const UNIT_BYTES = 0x20_0000;
export const EXTENT_BYTES = 24;
export const PATH_BYTES = 80;

export const SB = {
  magic: [0, 8],
  version: [8, 8],
  logOffset: [16, 8],
  logLength: [24, 8],
  allocUnit: [32, 8],
  omfMajor: [40, 4],
  omfMinor: [44, 4],
  fsUuid: [48, 16],
  deviceUuid: [64, 16],
  systemUuid: [80, 16],
  crc: [96, 8],
  flags: [104, 4],
  pad: [108, 4],
  deviceSize: [112, 8],
  unusedUuid: [120, 16],
  deviceName: [136, 64],
} as const satisfies Record<string, FieldAt>;

export const HEADER = {
  magic: [0, 8],
  logLength: [8, 8],
  lastIndex: [16, 8],
  crc: [24, 8],
  nextSeqnum: [32, 8],
  nextIndex: [40, 8],
} as const satisfies Record<string, FieldAt>;

export const ENTRY = { seqnum: [0, 8], type: [8, 4], pad: [12, 4], crc: [536, 8] } as const;
export const FILE = {
  size: [16, 8],
  flags: [24, 4],
  uid: [28, 4],
  gid: [32, 4],
  mode: [36, 4],
  path: [40, PATH_BYTES],
  extType: [120, 4],
  pad0: [124, 4],
  count: [128, 4],
  pad1: [132, 4],
  extents: [136, 384],
  stripCount: [136, 8],
  chunkSize: [144, 8],
  strips: [152, 384],
} as const satisfies Record<string, FieldAt>;
export const MKDIR = {
  uid: [16, 4],
  gid: [20, 4],
  mode: [24, 4],
  path: [28, PATH_BYTES],
} as const satisfies Record<string, FieldAt>;
export const DELETE = {
  target: [16, 8],
  path: [24, PATH_BYTES],
} as const satisfies Record<string, FieldAt>;
export const DAXDEV = {
  size: [16, 8],
  uuid: [24, 16],
  index: [40, 4],
} as const satisfies Record<string, FieldAt>;

export const TYPE = { file: 0, mkdir: 1, delete: 2, daxdev: 3 } as const;

let latest: { bytes: Uint8Array; view: DataView } | undefined;

/** Fields of one struct are mostly read and written in a row: their view is kept. */
export function viewOf(bytes: Uint8Array): DataView {
  if (latest?.bytes !== bytes) {
    latest = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
  }
  return latest.view;
}

export function setWord(bytes: Uint8Array, [at]: FieldAt, value: number | bigint): void {
  viewOf(bytes).setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
}

export function setHalf(bytes: Uint8Array, [at]: FieldAt, value: number): void {
  viewOf(bytes).setUint32(at, value, true);
}

/** Puts the right checksum where a struct has it: of all bytes before it. */
function seal(bytes: Uint8Array, crc: FieldAt): Uint8Array {
  setWord(bytes, crc, crc32(bytes.subarray(0, crc[0])));
  return bytes;
}

export const sealSuperblock = (bytes: Uint8Array): Uint8Array => seal(bytes, SB.crc);
export const sealHeader = (bytes: Uint8Array): Uint8Array => seal(bytes, HEADER.crc);
export const sealEntry = (bytes: Uint8Array): Uint8Array => seal(bytes, ENTRY.crc);

/** What a pool is made with; all in bytes. */
export interface Geometry {
  readonly logBytes: number;
  readonly unitBytes: number;
  readonly deviceBytes: number;
}

export function makeSuperblock({ logBytes, unitBytes, deviceBytes }: Geometry): Uint8Array {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  setWord(bytes, SB.magic, 0x87b282ff);
  setWord(bytes, SB.version, 48);
  setWord(bytes, SB.logOffset, LOG_START);
  setWord(bytes, SB.logLength, logBytes);
  setWord(bytes, SB.allocUnit, unitBytes);
  setHalf(bytes, SB.omfMajor, 2);
  setHalf(bytes, SB.omfMinor, 2);
  for (const [at, sizeBytes] of [SB.fsUuid, SB.deviceUuid, SB.systemUuid]) {
    bytes.fill(at, at, at + sizeBytes);
  }
  setHalf(bytes, SB.flags, 1);
  setWord(bytes, SB.deviceSize, deviceBytes);
  bytes.set(Buffer.from('/dev/dax0.0'), SB.deviceName[0]);
  return sealSuperblock(bytes);
}

export function capacityOf(logBytes: number): number {
  return Math.floor((logBytes - HEADER_BYTES) / SLOT_BYTES);
}

export function makeHeader(logBytes: number, nextIndex: number | bigint): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  setWord(bytes, HEADER.magic, 0xbadcafef00dn);
  setWord(bytes, HEADER.logLength, logBytes);
  setWord(bytes, HEADER.lastIndex, capacityOf(logBytes) - 1);
  setWord(bytes, HEADER.nextSeqnum, nextIndex);
  setWord(bytes, HEADER.nextIndex, nextIndex);
  return sealHeader(bytes);
}

/** The bytes of a device that matter: all others are zero. */
export interface LogImage {
  readonly superblock: Uint8Array;
  readonly header: Uint8Array;
  /** The slots of the log from the first one on. */
  readonly entries: readonly Uint8Array[];
  readonly memoryBytes: number;
}

/** What a follower has of memory: it reads, and anything else is a failure. */
export abstract class FollowedMemory implements SharedMemory {
  abstract readonly lengthBytes: number;
  abstract read(offset: number, lengthBytes: number): Uint8Array;

  write(): void {
    throw new Error('memory: a follower must not write');
  }

  publish(): void {
    throw new Error('memory: a follower must not publish');
  }

  flush(): void {
    throw new Error('memory: a follower must not flush');
  }

  [Symbol.dispose](): void {}
}

/** A device of any size with an image's bytes; as strict about ranges as a mapping is. */
export class ImageMemory extends FollowedMemory {
  readonly lengthBytes: number;
  readonly #image: LogImage;
  /** How often memory was read, to tell a loop that makes no progress from work. */
  reads = 0;

  constructor(image: LogImage) {
    super();
    this.#image = image;
    this.lengthBytes = image.memoryBytes;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const isRange = Number.isSafeInteger(offset) && Number.isSafeInteger(lengthBytes);
    if (!isRange || offset < 0 || lengthBytes < 0 || offset + lengthBytes > this.lengthBytes) {
      throw new Fault('INVALID', `memory: ${lengthBytes} bytes at ${offset} are outside of it`);
    }
    this.reads += 1;
    const bytes = new Uint8Array(lengthBytes);
    const { superblock, header, entries } = this.#image;
    overlay(bytes, offset, superblock, 0);
    overlay(bytes, offset, header, LOG_START);
    const first = LOG_START + HEADER_BYTES;
    const from = Math.max(0, Math.floor((offset - first) / SLOT_BYTES));
    for (let at = from; at < entries.length; at++) {
      const place = first + at * SLOT_BYTES;
      if (place >= offset + lengthBytes) break;
      overlay(bytes, offset, entries[at] as Uint8Array, place);
    }
    return bytes;
  }
}

/** Copies what `piece`, at `pieceAt`, shares with `window`, which shows memory from `windowAt`. */
function overlay(window: Uint8Array, windowAt: number, piece: Uint8Array, pieceAt: number): void {
  const from = Math.max(windowAt, pieceAt);
  const to = Math.min(windowAt + window.length, pieceAt + piece.length);
  if (from < to) window.set(piece.subarray(from - pieceAt, to - pieceAt), from - windowAt);
}
