import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { type Extent, type Fmap, fmapExtents } from '../../src/format/extents.ts';
import { decodeLogEntry, encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import { decodeLogHeader, encodeLogHeader } from '../../src/format/log-header.ts';
import { decodeSuperblock, encodeSuperblock } from '../../src/format/superblock.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { checkOf } from '../support/heap-memory.ts';
import type { VectorEntry, VectorExtent, VectorFacts } from '../support/vectors.ts';
import { imageMemory, readFacts, readImage, slotOf } from '../support/vectors.ts';

/** Images that the reference implementation made, in use as it made them. */
const CLEAN = ['a_empty_4g', 'b_tree_8g', 'c_interleaved_64g', 'd_full_log_64g', 'f_add_daxdev_8g'];
const LOG_OFFSET = 0x200000;

function superblockOf({ superblock }: VectorFacts) {
  return {
    logOffset: superblock.log_offset,
    logLengthBytes: superblock.log_len,
    allocUnitBytes: superblock.alloc_unit,
    omfMajor: superblock.omf_major,
    omfMinor: superblock.omf_minor,
    fsUuid: superblock.fs_uuid,
    deviceUuid: superblock.dev_uuid,
    systemUuid: superblock.system_uuid,
    flags: superblock.flags,
    deviceSizeBytes: superblock.daxdev_size,
    deviceName: superblock.daxdev_name,
  };
}

function extentOf({ devindex, offset, len }: VectorExtent): Extent {
  return { devindex, offset, lengthBytes: len };
}

function fmapOf(entry: VectorEntry): Fmap {
  if (entry.ext_type === 'simple') return { type: 'simple', extents: entry.extents.map(extentOf) };
  const strips = entry.strips.map(extentOf);
  return { type: 'interleaved', chunkBytes: entry.chunk_size, strips };
}

function entryOf(entry: VectorEntry): NewEntry {
  const { type, path, uid, gid } = entry;
  const mode = Number(entry.mode); // '0o644'
  if (type === 'mkdir') return { type, path, uid, gid, mode };
  if (type === 'add_daxdev') {
    const { dd_size: sizeBytes, dd_uuid: deviceUuid, dd_index: devindex } = entry;
    return { type: 'add-daxdev', sizeBytes, deviceUuid, devindex };
  }
  if (type !== 'file') throw new Error(`entry ${entry.index} has type ${type}`);
  const { size: sizeBytes, flags } = entry;
  return { type, path, sizeBytes, flags, uid, gid, mode, fmap: fmapOf(entry) };
}

function crcAt(bytes: Uint8Array, offset: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true));
}

describe.each(CLEAN)('%s, made by the reference', (name) => {
  const image = readImage(name);
  const facts = readFacts(name);

  test('has the superblock that an independent decoder read, and is written the same', () => {
    const bytes = image.subarray(0, 200);
    expect(decodeSuperblock(bytes)).toEqual(superblockOf(facts));
    expect(facts.superblock.version).toBe(48);
    expect(encodeSuperblock(superblockOf(facts))).toEqual(bytes);
    expect(crcAt(bytes, 96)).toBe(facts.superblock.crc);
  });

  test('has the log header that an independent decoder read, and is written the same', () => {
    const bytes = image.subarray(LOG_OFFSET, LOG_OFFSET + 48);
    const { len, last_index, next_seqnum, next_index, crc } = facts.log;
    const header = {
      logLengthBytes: len,
      lastIndex: last_index,
      nextSeqnum: next_seqnum,
      nextIndex: next_index,
    };
    expect(decodeLogHeader(bytes)).toEqual(header);
    expect(encodeLogHeader(header)).toEqual(bytes);
    expect(crcAt(bytes, 24)).toBe(crc);
  });

  test('has the entries that an independent decoder read, and each is written the same', () => {
    expect(facts.entries.length).toBe(facts.log.next_index);
    const slots = facts.entries.map(({ index }) => slotOf(image, index));
    const rewritten = facts.entries.map((each, index) => encodeLogEntry(index, entryOf(each)));
    const misread = facts.entries.filter((each, index) => {
      const decoded = decodeLogEntry(slotOf(image, index), index);
      return !isDeepStrictEqual(decoded, { ok: true, entry: entryOf(each) });
    });
    expect(misread).toEqual([]);
    // Not one byte differs, padding included: the reference clears what it does not use.
    expect(Buffer.compare(Buffer.concat(rewritten), Buffer.concat(slots))).toBe(0);
    expect(rewritten.map((bytes) => crcAt(bytes, 536))).toEqual(facts.entries.map((e) => e.crc));
    expect(facts.entries.map(({ seqnum }) => seqnum)).toEqual([...facts.entries.keys()]);
  });

  test('replays clean to the files, directories and memory of its entries', () => {
    const memory = imageMemory(name);
    const { replica } = new LogFollower(memory);
    const { namespace, space } = replica;
    const files = facts.entries.flatMap((entry) => {
      const decoded = entryOf(entry);
      return decoded.type === 'file' ? [{ ...decoded, index: entry.index }] : [];
    });
    const wrong = files.filter(({ type: kind, index: entryIndex, path, ...file }) => {
      const node = namespace.lookup(path);
      if (node?.kind !== 'file') return true;
      const { sizeBytes, flags, uid, gid, mode, fmap } = node;
      const found = { kind: node.kind, entryIndex: node.entryIndex, sizeBytes, flags };
      return !isDeepStrictEqual({ ...found, uid, gid, mode, fmap }, { kind, entryIndex, ...file });
    });
    expect(wrong).toEqual([]);
    const directories = facts.entries.filter(({ type }) => type === 'mkdir');
    for (const { path, uid, gid, mode } of directories) {
      const owner = { uid, gid, mode: Number(mode) };
      expect(namespace.lookup(path)).toMatchObject({ kind: 'directory', path, ...owner });
    }
    const extents = files.flatMap(({ fmap }) => fmapExtents(fmap));
    const taken = extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const devices = facts.entries.filter(({ type }) => type === 'add_daxdev');
    const added = devices.reduce((sum, { dd_size }) => sum + dd_size - 2 * MiB, 0);
    const total = facts.device_size - 10 * MiB + added;
    expect(extents.filter((extent) => space.isFree(extent))).toEqual([]);
    expect(checkOf(memory)).toEqual({
      usable: true,
      error: null,
      superblock: superblockOf(facts),
      log: {
        entries: facts.entries.length,
        applied: facts.entries.length,
        skipped: 0,
        capacity: 15420,
      },
      files: files.length,
      directories: directories.length,
      problems: [],
      allocatedBytes: taken,
      freeBytes: total - taken,
      largestFreeBytes: space.largestFreeBytes,
    });
  });
});

test('c_interleaved_64g has strips of the length that the formula gives', () => {
  const striped = readFacts('c_interleaved_64g').entries.filter((e) => e.ext_type !== 'simple');
  expect(striped.length).toBeGreaterThan(3);
  for (const { size, strips, chunk_size: chunk } of striped) {
    const length = Math.ceil(size / (strips.length * chunk)) * chunk;
    expect(strips.map(({ len }) => len)).toEqual(strips.map(() => length));
  }
});
