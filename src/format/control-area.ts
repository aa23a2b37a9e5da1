import { crc32 } from 'node:zlib';
import { layout } from '../base/layout.ts';
import { getU64OrInfinity, MiB, setU64 } from '../base/numbers.ts';
import { formatUuid, parseUuid } from '../base/uuid.ts';

/**
 * The control area: who may append to the log, and how often it was rewritten. It is ours, 1 MiB
 * into the superblock's 2 MiB, where the reference neither reads nor writes; a pool without one is
 * a pool that nobody took over yet. Little-endian; docs/one-writer.md has the protocol.
 *
 * | place | written by | a torn write gives |
 * |---|---|---|
 * | owner line | each host that takes over: a word for the pool, then one for itself | old or new |
 * | slot: state, committed | its host only, one word each, in a line each | old or new |
 * | slot: two records | its host only; the one that the state word does not point at | no change |
 *
 * No two hosts ever store to one cache line, but for the owner line.
 */
export const CONTROL_OFFSET = MiB;
export const SLOTS = 64;
const LINE_BYTES = 64;
/** The state words of all slots, a line each. */
export const STATES_OFFSET = CONTROL_OFFSET + 4096;
export const STATES_BYTES = SLOTS * LINE_BYTES;
const COMMITTED_OFFSET = STATES_OFFSET + STATES_BYTES;
const RECORDS_OFFSET = COMMITTED_OFFSET + SLOTS * LINE_BYTES;

/** The owner line: {owner word, pool tag}. */
export const OWNER_OFFSET = CONTROL_OFFSET;
export const OWNER_BYTES = 16;
export const TAG_OFFSET = CONTROL_OFFSET + 8;

/** Who owns the log: the slot of its host, and the epoch of its ownership; 0 is nobody. */
export function ownerWord(epoch: number, slot: number): number {
  return epoch * SLOTS + slot;
}

export function epochOfOwner(word: number): number {
  return Math.floor(word / SLOTS);
}

export function slotOfOwner(word: number): number {
  return word % SLOTS;
}

/**
 * - `pending`: its host has claimed the ownership and finds out what is there; nobody appends.
 * - `open`: its host appends, as long as the owner word names it.
 * - `closed`: nothing that its host ever stored can still reach memory, and it stores nothing more
 *   before the slot is in another state. It may be the owner all the same.
 */
export type SlotState = 'pending' | 'open' | 'closed';

const STATES: readonly (SlotState | undefined)[] = [undefined, 'pending', 'open', 'closed'];
const VERSIONS = 2 ** 24;

/** A word that is never the same again: every change of a slot's record gives it a new version. */
export interface SlotWord {
  readonly epoch: number;
  readonly version: number;
  readonly state: SlotState;
}

export function encodeSlotWord({ epoch, version, state }: SlotWord): number {
  return (epoch * VERSIONS + version) * 4 + STATES.indexOf(state);
}

/** Undefined for a slot that nobody has. */
export function decodeSlotWord(word: number): SlotWord | undefined {
  const state = STATES[word % 4];
  if (state === undefined || !Number.isSafeInteger(word)) return undefined;
  const rest = Math.floor(word / 4);
  return { epoch: Math.floor(rest / VERSIONS), version: rest % VERSIONS, state };
}

export function stateOffset(slot: number): number {
  return STATES_OFFSET + slot * LINE_BYTES;
}

/** The position up to which its host has appended, in the generation of its record. */
export function committedOffset(slot: number): number {
  return COMMITTED_OFFSET + slot * LINE_BYTES;
}

export function recordOffset(slot: number, { version }: SlotWord): number {
  return RECORDS_OFFSET + (slot * 2 + (version % 2)) * RECORD_BYTES;
}

/** A range of log indices that no reader looks at, since a host that is not fenced may write it. */
export interface VoidRange {
  /** That host's slot. */
  readonly slot: number;
  readonly from: number;
  readonly to: number;
}

/** A part of the primary device, in bytes. */
export interface DeviceRange {
  readonly offset: number;
  readonly lengthBytes: number;
}

/** What the log is to be rewritten with: its entries, deflated (RFC 1951), over the ranges. */
export interface Image {
  readonly entries: number;
  /** Of the entries' bytes. */
  readonly crc: number;
  /** Of the deflated bytes. */
  readonly lengthBytes: number;
  readonly ranges: readonly DeviceRange[];
}

/** What a host says of the log that it owns, or owned. */
export interface SlotRecord {
  /** The epoch of its last ownership that began in full; 0 while there was none. */
  readonly completedEpoch: number;
  /** How often the log was rewritten before. */
  readonly generation: number;
  readonly hostId: string;
  readonly hostName: string;
  /** The host is a node of a cluster, which knows it by its id. */
  readonly isNode: boolean;
  readonly voids: readonly VoidRange[];
  /** The image that the log is written from, or that is being made. */
  readonly image: Image | undefined;
  /** The log is being written from the image, for this generation: whoever comes goes on. */
  readonly isRewriting: boolean;
  /** The log was rewritten, and nothing is in its first slot: see `compactedLog`. */
  readonly isFirstVoid: boolean;
  /** How many entries its host may append between two looks at the owner word. */
  readonly batchEntries: number;
}

/** As many as the record has room for. */
export const VOIDS_MAX = 16;
export const IMAGE_RANGES_MAX = 8;
const HOST_NAME_BYTES = 63;

const R = layout('slot record', 512, {
  word: [0, 8],
  tag: [8, 8],
  completedEpoch: [16, 8],
  generation: [24, 8],
  hostId: [32, 16],
  hostName: [48, 64],
  voidCount: [112, 4],
  rangeCount: [116, 4],
  imageEntries: [120, 4],
  imageCrc: [124, 4],
  voids: [128, 192],
  flags: [320, 8],
  batchEntries: [328, 4],
  imageBytes: [332, 4],
  pad: [336, 40],
  ranges: [376, 128],
  crc: [504, 8],
});
export const RECORD_BYTES = R.size;
export const CONTROL_BYTES = RECORDS_OFFSET + SLOTS * 2 * RECORD_BYTES - CONTROL_OFFSET;

/** The rest of the superblock's 2 MiB, which whoever reaches the log reaches: for an image. */
export const SPARE: DeviceRange = {
  offset: CONTROL_OFFSET + CONTROL_BYTES,
  lengthBytes: 2 * MiB - CONTROL_OFFSET - CONTROL_BYTES,
};

/** What ties a control area to its pool: a pool made anew in the same memory has another uuid. */
export function poolTag(fsUuid: string): bigint {
  const bytes = parseUuid('fs uuid', fsUuid);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

export function encodeRecord(word: SlotWord, tag: bigint, record: SlotRecord): Uint8Array {
  const bytes = new Uint8Array(R.size);
  const view = new DataView(bytes.buffer);
  setU64(view, R.word, encodeSlotWord(word));
  view.setBigUint64(R.tag, tag, true);
  setU64(view, R.completedEpoch, record.completedEpoch);
  setU64(view, R.generation, record.generation);
  bytes.set(parseUuid('host id', record.hostId), R.hostId);
  const name = bytes.subarray(R.hostName, R.hostName + HOST_NAME_BYTES);
  new TextEncoder().encodeInto(record.hostName, name);
  view.setUint32(R.voidCount, record.voids.length, true);
  for (const [at, { slot, from, to }] of record.voids.entries()) {
    for (const [word, value] of [slot, from, to].entries()) {
      view.setUint32(R.voids + at * 12 + word * 4, value, true);
    }
  }
  const { image } = record;
  const flags = [record.isRewriting, record.isFirstVoid, record.isNode];
  view.setUint8(
    R.flags,
    flags.reduce((bits, flag, at) => bits | (flag ? 1 << at : 0), 0),
  );
  view.setUint32(R.batchEntries, record.batchEntries, true);
  view.setUint32(R.rangeCount, image?.ranges.length ?? 0, true);
  view.setUint32(R.imageEntries, image?.entries ?? 0, true);
  view.setUint32(R.imageCrc, image?.crc ?? 0, true);
  view.setUint32(R.imageBytes, image?.lengthBytes ?? 0, true);
  for (const [at, { offset, lengthBytes }] of (image?.ranges ?? []).entries()) {
    setU64(view, R.ranges + at * 16, offset);
    setU64(view, R.ranges + at * 16 + 8, lengthBytes);
  }
  setU64(view, R.crc, crc32(bytes.subarray(0, R.crc)));
  return bytes;
}

/** The record that goes with the state word; undefined where these bytes are not it. */
export function decodeRecord(
  bytes: Uint8Array,
  word: SlotWord,
  tag: bigint,
): SlotRecord | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isOurs =
    getU64OrInfinity(view, R.crc) === crc32(bytes.subarray(0, R.crc)) &&
    getU64OrInfinity(view, R.word) === encodeSlotWord(word) &&
    view.getBigUint64(R.tag, true) === tag;
  const voidCount = view.getUint32(R.voidCount, true);
  const rangeCount = view.getUint32(R.rangeCount, true);
  if (!isOurs || voidCount > VOIDS_MAX || rangeCount > IMAGE_RANGES_MAX) return undefined;
  const name = bytes.subarray(R.hostName, R.voidCount);
  const flags = view.getUint8(R.flags);
  const ranges = Array.from({ length: rangeCount }, (_, at) => ({
    offset: getU64OrInfinity(view, R.ranges + at * 16),
    lengthBytes: getU64OrInfinity(view, R.ranges + at * 16 + 8),
  }));
  return {
    completedEpoch: getU64OrInfinity(view, R.completedEpoch),
    generation: getU64OrInfinity(view, R.generation),
    hostId: formatUuid(bytes.subarray(R.hostId)),
    hostName: new TextDecoder().decode(name.subarray(0, Math.max(0, name.indexOf(0)))),
    voids: Array.from({ length: voidCount }, (_, at) => ({
      slot: view.getUint32(R.voids + at * 12, true),
      from: view.getUint32(R.voids + at * 12 + 4, true),
      to: view.getUint32(R.voids + at * 12 + 8, true),
    })),
    isRewriting: (flags & 1) !== 0,
    isFirstVoid: (flags & 2) !== 0,
    isNode: (flags & 4) !== 0,
    batchEntries: view.getUint32(R.batchEntries, true),
    image: rangeCount === 0 ? undefined : imageIn(view, ranges),
  };
}

function imageIn(view: DataView, ranges: readonly DeviceRange[]): Image {
  const [entries, crc, lengthBytes] = [R.imageEntries, R.imageCrc, R.imageBytes].map((offset) =>
    view.getUint32(offset, true),
  ) as [number, number, number];
  return { entries, crc, lengthBytes, ranges };
}
