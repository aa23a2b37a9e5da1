import { crc32 } from 'node:zlib';
import { Fault } from '../base/errors.ts';
import { layout } from '../base/layout.ts';
import { getU64OrInfinity, setU64 } from '../base/numbers.ts';
import { formatUuid, parseUuid } from '../base/uuid.ts';
import { EXTENTS_MAX, type Extent, type Fmap, fmapExtents } from './extents.ts';
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
/** FILE; the fmap union is 416 bytes. */
const FILE = layout('log_entry FILE', 544, {
  header: [0, 16],
  size: [16, 8],
  flags: [24, 4],
  uid: [28, 4],
  gid: [32, 4],
  mode: [36, 4],
  path: [40, 80],
  extType: [120, 4],
  pad0: [124, 4],
  count: [128, 4],
  pad1: [132, 4],
  simple: [136, 8],
  chunkSize: [144, 8],
  strips: [152, 384],
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

const TYPE = { file: 0, mkdir: 1, delete: 2, 'add-daxdev': 3 } as const;
const EXT_SIMPLE = 0;
const EXT_INTERLEAVED = 1;
const EXTENT_BYTES = 24;
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

export type NewEntry = FileEntry | MkdirEntry | DeleteEntry | AddDaxdevEntry;
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

/** The 544 bytes of an entry; INVALID for a path that does not fit. Padding is zero. */
export function encodeLogEntry(seqnum: number, entry: NewEntry): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  setU64(view, E.seqnum, seqnum);
  view.setUint32(E.type, TYPE[entry.type], true);
  switch (entry.type) {
    case 'file':
      setU64(view, FILE.size, entry.sizeBytes);
      view.setUint32(FILE.flags, entry.flags, true);
      view.setUint32(FILE.uid, entry.uid, true);
      view.setUint32(FILE.gid, entry.gid, true);
      view.setUint32(FILE.mode, entry.mode, true);
      setPath(bytes, FILE.path, entry.path);
      setFmap(view, entry.fmap);
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

function setPath(bytes: Uint8Array, offset: number, path: string): void {
  const encoded = new TextEncoder().encode(path);
  if (encoded.length === 0 || encoded.length > PATH_MAX_BYTES) {
    throw new Fault(
      'INVALID',
      `path "${path}": has ${encoded.length} bytes, expected 1 to ${PATH_MAX_BYTES}`,
    );
  }
  if (encoded.includes(0)) {
    throw new Fault('INVALID', `path ${JSON.stringify(path)}: holds a NUL, which would end it`);
  }
  bytes.set(encoded, offset);
}

function setFmap(view: DataView, fmap: Fmap): void {
  if (fmap.type === 'simple') {
    view.setUint32(FILE.extType, EXT_SIMPLE, true);
    view.setUint32(FILE.count, fmap.extents.length, true);
    setExtents(view, FILE.simple, fmap.extents);
    return;
  }
  view.setUint32(FILE.extType, EXT_INTERLEAVED, true);
  view.setUint32(FILE.count, 1, true);
  setU64(view, FILE.simple, fmap.strips.length);
  setU64(view, FILE.chunkSize, fmap.chunkBytes);
  setExtents(view, FILE.strips, fmap.strips);
}

function setExtents(view: DataView, offset: number, extents: readonly Extent[]): void {
  extents.forEach((extent, at) => {
    setU64(view, offset + at * EXTENT_BYTES, extent.devindex);
    setU64(view, offset + at * EXTENT_BYTES + 8, extent.offset);
    setU64(view, offset + at * EXTENT_BYTES + 16, extent.lengthBytes);
  });
}

/**
 * Reads the entry that stands at `index` in the log. Its crc and seqnum are checked here, and that
 * the struct can be read; what it means in its pool is `Replica`'s to check. Never throws.
 */
export function decodeLogEntry(bytes: Uint8Array, index: number): DecodedEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ENTRY_BYTES);
  const crc = getU64OrInfinity(view, E.crc);
  const computed = crc32(bytes.subarray(0, E.crc));
  if (crc !== computed) {
    return damaged('ENTRY_CRC', `crc is ${crc}, the entry's bytes give ${computed}`);
  }
  const seqnum = getU64OrInfinity(view, E.seqnum);
  if (seqnum !== index) {
    return damaged('ENTRY_SEQNUM', `seqnum is ${seqnum}, expected its index, ${index}`);
  }
  const code = view.getUint32(E.type, true);
  switch (code) {
    case TYPE.file:
      return decodeFile(bytes, view);
    case TYPE.mkdir: {
      const path = pathAt(bytes, MKDIR.path);
      if (path === undefined) return badPath();
      const uid = view.getUint32(MKDIR.uid, true);
      const gid = view.getUint32(MKDIR.gid, true);
      const mode = view.getUint32(MKDIR.mode, true);
      return { ok: true, entry: { type: 'mkdir', path, uid, gid, mode } };
    }
    case TYPE.delete: {
      const path = pathAt(bytes, DELETE.path);
      if (path === undefined) return badPath();
      const targetIndex = getU64OrInfinity(view, DELETE.targetIndex);
      return { ok: true, entry: { type: 'delete', path, targetIndex } };
    }
    case TYPE['add-daxdev']: {
      const sizeBytes = getU64OrInfinity(view, ADD_DAXDEV.size);
      const deviceUuid = formatUuid(bytes.subarray(ADD_DAXDEV.uuid));
      const devindex = view.getUint32(ADD_DAXDEV.index, true);
      return { ok: true, entry: { type: 'add-daxdev', sizeBytes, deviceUuid, devindex } };
    }
    default:
      return { ok: true, entry: { type: 'unknown', code } };
  }
}

function decodeFile(bytes: Uint8Array, view: DataView): DecodedEntry {
  const fmap = fmapOf(view);
  if ('problem' in fmap) return rejected('FMAP', fmap.problem, fmap.named);
  const path = pathAt(bytes, FILE.path);
  if (path === undefined) return badPath(fmapExtents(fmap));
  return {
    ok: true,
    entry: {
      type: 'file',
      path,
      sizeBytes: getU64OrInfinity(view, FILE.size),
      flags: view.getUint32(FILE.flags, true),
      uid: view.getUint32(FILE.uid, true),
      gid: view.getUint32(FILE.gid, true),
      mode: view.getUint32(FILE.mode, true),
      fmap,
    },
  };
}

/** The fmap, or what is wrong with its counts and the extents that it names all the same. */
function fmapOf(view: DataView): Fmap | { problem: string; named: readonly Extent[] } {
  const type = view.getUint32(FILE.extType, true);
  const count = view.getUint32(FILE.count, true);
  if (type === EXT_SIMPLE) {
    const extents = extentsAt(view, FILE.simple, count);
    if (count >= 1 && count <= EXTENTS_MAX) return { type: 'simple', extents };
    return { problem: `${count} extents, expected 1 to ${EXTENTS_MAX}`, named: extents };
  }
  if (type !== EXT_INTERLEAVED) {
    return { problem: `ext_type is ${type}, expected 0 or 1`, named: [] };
  }
  const stripCount = getU64OrInfinity(view, FILE.simple);
  const strips = extentsAt(view, FILE.strips, stripCount);
  if (count !== 1) return { problem: `${count} interleaved extents, expected 1`, named: strips };
  if (stripCount < 1 || stripCount > EXTENTS_MAX) {
    return { problem: `${stripCount} strips, expected 1 to ${EXTENTS_MAX}`, named: strips };
  }
  return { type: 'interleaved', chunkBytes: getU64OrInfinity(view, FILE.chunkSize), strips };
}

/** The first `count` extents, at most as many as there is room for. */
function extentsAt(view: DataView, offset: number, count: number): Extent[] {
  const extents = new Array<Extent>(Math.min(count, EXTENTS_MAX));
  for (let at = 0; at < extents.length; at++) {
    const base = offset + at * EXTENT_BYTES;
    extents[at] = {
      devindex: getU64OrInfinity(view, base),
      offset: getU64OrInfinity(view, base + 8),
      lengthBytes: getU64OrInfinity(view, base + 16),
    };
  }
  return extents;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text up to the NUL; undefined when there is no NUL or it is no UTF-8. */
function pathAt(bytes: Uint8Array, offset: number): string | undefined {
  const end = bytes.indexOf(0, offset);
  if (end < 0 || end >= offset + PATH_BYTES) return undefined;
  let ascii = true;
  for (let at = offset; at < end && ascii; at++) ascii = (bytes[at] ?? 0) < 0x80;
  if (ascii)
    return Buffer.from(bytes.buffer, bytes.byteOffset, ENTRY_BYTES).toString('latin1', offset, end);
  try {
    return utf8.decode(bytes.subarray(offset, end));
  } catch {
    return undefined;
  }
}

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
