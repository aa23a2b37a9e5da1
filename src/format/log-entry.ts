import { crc32 } from 'node:zlib';
import { isZero } from '../base/bytes.ts';
import { Fault } from '../base/errors.ts';
import { layout } from '../base/layout.ts';
import { getU64OrInfinity, setU64 } from '../base/numbers.ts';
import { formatUuid, parseUuid } from '../base/uuid.ts';
import { type Extent, type Fmap, fmapExtents } from './extents.ts';
import { fmapAt, setFmap } from './fmap-codec.ts';
import { ENTRY_BYTES } from './log-header.ts';

/**
 * A log entry; format.md, "Log entry". Little-endian. Written once by the master, before the
 * next_index that reveals it; a torn write of a revealed entry is damage: its crc tells.
 */
const E = layout('log_entry', 544, {
  seqnum: [0, 8],
  type: [8, 4],
  pad: [12, 4],
  payload: [16, 520],
  crc: [536, 8],
});
/** Of the fmap's 416 bytes: fmap-codec.ts. */
const FILE = layout('log_entry FILE', 544, {
  header: [0, 16],
  size: [16, 8],
  flags: [24, 4],
  uid: [28, 4],
  gid: [32, 4],
  mode: [36, 4],
  path: [40, 80],
  fmap: [120, 416],
  crc: [536, 8],
});
const MKDIR = layout('log_entry MKDIR', 544, {
  header: [0, 16],
  uid: [16, 4],
  gid: [20, 4],
  mode: [24, 4],
  path: [28, 80],
  pad: [108, 428],
  crc: [536, 8],
});
/** Ours: the reference reserves the type and skips it. */
const DELETE = layout('log_entry DELETE', 544, {
  header: [0, 16],
  targetIndex: [16, 8],
  path: [24, 80],
  pad: [104, 432],
  crc: [536, 8],
});
const ADD_DAXDEV = layout('log_entry ADD_DAXDEV', 544, {
  header: [0, 16],
  size: [16, 8],
  uuid: [24, 16],
  index: [40, 4],
  pad: [44, 492],
  crc: [536, 8],
});

/** Offsets in an entry of the two words that a repair may replace alone. */
export const SEQNUM_OFFSET = E.seqnum;
export const CRC_OFFSET = E.crc;

const TYPE = { file: 0, mkdir: 1, delete: 2, filler: 2, 'add-daxdev': 3 } as const;
const PATH_BYTES = 80;
/** Longest path of a log entry, in bytes without its NUL. */
export const PATH_MAX_BYTES = PATH_BYTES - 1;
/** FILE flags: every host may read and write; and: every host may only read. */
export const FLAG_ALL_HOSTS_RW = 2;
export const FLAG_ALL_HOSTS_RO = 1;

export interface FileEntry {
  readonly type: 'file';
  readonly path: string;
  readonly sizeBytes: number;
  readonly flags: number;
  readonly uid: number;
  readonly gid: number;
  /** Permissions, without the file type's bits. */
  readonly mode: number;
  readonly fmap: Fmap;
}

export interface MkdirEntry {
  readonly type: 'mkdir';
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface DeleteEntry {
  readonly type: 'delete';
  /** Index of the entry that made what goes. */
  readonly targetIndex: number;
  readonly path: string;
}

export interface AddDaxdevEntry {
  readonly type: 'add-daxdev';
  readonly sizeBytes: number;
  readonly deviceUuid: string;
  readonly devindex: number;
}

/**
 * A slot that nothing is in: ours, for slots that must not be written while readers can see them.
 * A DELETE, since the reference's readers skip those, that names nothing.
 */
export interface FillerEntry {
  readonly type: 'filler';
}

const NO_TARGET = 2n ** 64n - 1n;

export type NewEntry = FillerEntry | FileEntry | MkdirEntry | DeleteEntry | AddDaxdevEntry;
export type LogEntry = NewEntry | { readonly type: 'unknown'; readonly code: number };

/** Damage stops a replay: no master wrote these bytes. A rejected entry is passed over. */
export type DecodedEntry =
  | { readonly ok: true; readonly entry: LogEntry }
  | {
      readonly ok: false;
      readonly damage: boolean;
      readonly code: string;
      readonly message: string;
      /** The memory that a rejected file names, as far as it can be read. */
      readonly named: readonly Extent[];
    };

/** Offset in an entry of the stamp, in what is padding for the reference. */
export const STAMP_OFFSET = E.pad;

/**
 * The 544 bytes of an entry; INVALID for a path that does not fit. Padding is zero, but for the
 * stamp: the low 32 bits of the generation of the log, by which a follower tells it from an older
 * one with one look at entry 0, which begins in the cache line of next_index.
 */
export function encodeLogEntry(seqnum: number, entry: NewEntry, generation = 0): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  setU64(view, E.seqnum, seqnum);
  view.setUint32(E.type, TYPE[entry.type], true);
  view.setUint32(STAMP_OFFSET, generation % 2 ** 32, true);
  switch (entry.type) {
    case 'filler':
      view.setBigUint64(DELETE.targetIndex, NO_TARGET, true);
      break;
    case 'file':
      setU64(view, FILE.size, entry.sizeBytes);
      view.setUint32(FILE.flags, entry.flags, true);
      view.setUint32(FILE.uid, entry.uid, true);
      view.setUint32(FILE.gid, entry.gid, true);
      view.setUint32(FILE.mode, entry.mode, true);
      setPath(bytes, FILE.path, entry.path);
      setFmap(view, FILE.fmap, entry.fmap);
      break;
    case 'mkdir':
      view.setUint32(MKDIR.uid, entry.uid, true);
      view.setUint32(MKDIR.gid, entry.gid, true);
      view.setUint32(MKDIR.mode, entry.mode, true);
      setPath(bytes, MKDIR.path, entry.path);
      break;
    case 'delete':
      setU64(view, DELETE.targetIndex, entry.targetIndex);
      setPath(bytes, DELETE.path, entry.path);
      break;
    case 'add-daxdev':
      setU64(view, ADD_DAXDEV.size, entry.sizeBytes);
      bytes.set(parseUuid('device uuid', entry.deviceUuid), ADD_DAXDEV.uuid);
      view.setUint32(ADD_DAXDEV.index, entry.devindex, true);
      break;
  }
  setU64(view, E.crc, crc32(bytes.subarray(0, E.crc)));
  return bytes;
}

/** For a repair: the same entry with another number, and the crc that goes with it. */
export function renumbered(bytes: Uint8Array, seqnum: number): Uint8Array {
  const copy = bytes.slice(0, ENTRY_BYTES);
  const view = new DataView(copy.buffer);
  setU64(view, E.seqnum, seqnum);
  setU64(view, E.crc, crc32(copy.subarray(0, E.crc)));
  return copy;
}

/** Size and memory of a FILE, crc, number and path passed over. */
export interface FileMemory {
  readonly sizeBytes: number;
  readonly fmap: Fmap;
  /** False where the fmap is none: then `fmap` has what extents it names all the same, or none. */
  readonly isExact: boolean;
}

/** For a repair: size and memory as an entry's bytes say them, if its type is FILE. */
export function fileMemoryIn(bytes: Uint8Array): FileMemory | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ENTRY_BYTES);
  if (view.getUint32(E.type, true) !== TYPE.file) return undefined;
  const sizeBytes = getU64OrInfinity(view, FILE.size);
  const fmap = fmapAt(view, FILE.fmap);
  if (fmap.type !== 'unreadable') return { sizeBytes, fmap, isExact: true };
  return { sizeBytes, fmap: { type: 'simple', extents: fmap.named }, isExact: false };
}

/**
 * For a repair: whether an entry is of a type without memory and has only zeroes where that type
 * has its padding; a FILE has its fmap there, which is never all zero.
 */
export function isBareOfMemory(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ENTRY_BYTES);
  const code = view.getUint32(E.type, true);
  const pad = PAD_BY_TYPE[code];
  return pad !== undefined && isZero(bytes.subarray(pad, E.crc));
}

const PAD_BY_TYPE: Readonly<Record<number, number>> = {
  [TYPE.mkdir]: MKDIR.pad,
  [TYPE.delete]: DELETE.pad,
  [TYPE['add-daxdev']]: ADD_DAXDEV.pad,
};

const encoder = new TextEncoder();

function setPath(bytes: Uint8Array, offset: number, path: string): void {
  const room = bytes.subarray(offset, offset + PATH_MAX_BYTES);
  if (path === '' || encoder.encodeInto(path, room).read < path.length) {
    const found = encoder.encode(path).length;
    const text = `path "${path}": has ${found} bytes, expected 1 to ${PATH_MAX_BYTES}`;
    throw new Fault('INVALID', text);
  }
  if (path.includes('\0')) {
    throw new Fault('INVALID', `path ${JSON.stringify(path)}: holds a NUL, which would end it`);
  }
}

/** Reads the one entry of `bytes`, which stands at `index` in the log: see `EntryBatch.decode`. */
export function decodeLogEntry(bytes: Uint8Array, index: number): DecodedEntry {
  return new EntryBatch(bytes).decode(0, index);
}

/**
 * Entries as they were copied out of a log, one after the other. One view serves them all, and
 * whatever else is copied to the same bytes later: views and slices for each entry took a quarter
 * of a replay's time (docs/decisions/0017).
 */
export class EntryBatch {
  readonly bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #view: DataView;
  /** What the crc of each slot is of, made when it is first asked for. */
  readonly #covered: Uint8Array[] = [];

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * Reads entry `slot` of the batch, which stands at `index` in the log. Its crc and seqnum are
   * checked here, and that the struct can be read; what it means in its pool is `Replica`'s to
   * check. Never throws.
   */
  decode(slot: number, index: number): DecodedEntry {
    const base = slot * ENTRY_BYTES;
    const view = this.#view;
    const crc = getU64OrInfinity(view, base + E.crc);
    const covered = this.#covered[slot] ?? this.bytes.subarray(base, base + E.crc);
    this.#covered[slot] = covered;
    const computed = crc32(covered);
    if (crc !== computed) {
      return damaged('ENTRY_CRC', `crc is ${crc}, the entry's bytes give ${computed}`);
    }
    const seqnum = getU64OrInfinity(view, base + E.seqnum);
    if (seqnum !== index) {
      return damaged('ENTRY_SEQNUM', `seqnum is ${seqnum}, expected its index, ${index}`);
    }
    const code = view.getUint32(base + E.type, true);
    switch (code) {
      case TYPE.file:
        return this.#file(base);
      case TYPE.mkdir:
        return this.#mkdir(base);
      case TYPE.delete:
        return this.#delete(base);
      case TYPE['add-daxdev']:
        return this.#addDaxdev(base);
      default:
        return { ok: true, entry: { type: 'unknown', code } };
    }
  }

  #file(base: number): DecodedEntry {
    const view = this.#view;
    const fmap = fmapAt(view, base + FILE.fmap);
    if (fmap.type === 'unreadable') return rejected('FMAP', fmap.problem, fmap.named);
    const path = this.#path(base + FILE.path);
    if (path === undefined) return badPath(fmapExtents(fmap));
    return {
      ok: true,
      entry: {
        type: 'file',
        path,
        sizeBytes: getU64OrInfinity(view, base + FILE.size),
        flags: view.getUint32(base + FILE.flags, true),
        uid: view.getUint32(base + FILE.uid, true),
        gid: view.getUint32(base + FILE.gid, true),
        mode: view.getUint32(base + FILE.mode, true),
        fmap,
      },
    };
  }

  #mkdir(base: number): DecodedEntry {
    const view = this.#view;
    const path = this.#path(base + MKDIR.path);
    if (path === undefined) return badPath();
    const uid = view.getUint32(base + MKDIR.uid, true);
    const gid = view.getUint32(base + MKDIR.gid, true);
    const mode = view.getUint32(base + MKDIR.mode, true);
    return { ok: true, entry: { type: 'mkdir', path, uid, gid, mode } };
  }

  #delete(base: number): DecodedEntry {
    const path = this.#path(base + DELETE.path);
    if (path === undefined) return badPath();
    const view = this.#view;
    const targetIndex = getU64OrInfinity(view, base + DELETE.targetIndex);
    const isFiller =
      path === '' && view.getBigUint64(base + DELETE.targetIndex, true) === NO_TARGET;
    if (isFiller) return { ok: true, entry: { type: 'filler' } };
    return { ok: true, entry: { type: 'delete', path, targetIndex } };
  }

  #addDaxdev(base: number): DecodedEntry {
    const sizeBytes = getU64OrInfinity(this.#view, base + ADD_DAXDEV.size);
    const deviceUuid = formatUuid(this.bytes.subarray(base + ADD_DAXDEV.uuid));
    const devindex = this.#view.getUint32(base + ADD_DAXDEV.index, true);
    return { ok: true, entry: { type: 'add-daxdev', sizeBytes, deviceUuid, devindex } };
  }

  /** The text up to the NUL; undefined when there is no NUL or it is no UTF-8. */
  #path(start: number): string | undefined {
    const bytes = this.bytes;
    const limit = start + PATH_BYTES;
    let end = start;
    let allBits = 0;
    for (let byte = bytes[end] ?? 0; byte !== 0; byte = bytes[end] ?? 0) {
      allBits |= byte;
      if (++end === limit) return undefined;
    }
    if (allBits < 0x80) return this.#text.toString('latin1', start, end);
    try {
      return utf8.decode(bytes.subarray(start, end));
    } catch {
      return undefined;
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function badPath(named: readonly Extent[] = []): DecodedEntry {
  const message = `its path is not UTF-8 of at most ${PATH_MAX_BYTES} bytes and a NUL`;
  return rejected('PATH', message, named);
}

function rejected(code: string, message: string, named: readonly Extent[]): DecodedEntry {
  return { ok: false, damage: false, code, message, named };
}

function damaged(code: string, message: string): DecodedEntry {
  return { ok: false, damage: true, code, message, named: [] };
}
