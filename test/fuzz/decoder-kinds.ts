import { decodeLogEntry } from '../../src/format/log-entry.ts';
import { decodeLogHeader } from '../../src/format/log-header.ts';
import { decodeSuperblock } from '../../src/format/superblock.ts';
import { Author, emptyPool } from './author.ts';
import { type AnyKind, anyKind, hexRuns, simplerBytes } from './kind.ts';
import {
  capacityOf,
  ENTRY,
  HEADER,
  HEADER_BYTES,
  makeHeader,
  makeSuperblock,
  SB,
  SLOT_BYTES,
  SUPERBLOCK_BYTES,
  sealEntry,
  sealHeader,
  sealSuperblock,
  setHalf,
  UNIT_BYTES,
  viewOf,
} from './media.ts';
import { modelHeader, modelSuperblock } from './model.ts';
import type { Random } from './random.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';
import { type FieldAt, flipSome, spoilField } from './words.ts';

/** Random bytes of a length about right, or a good struct that was spoilt and sealed again. */
function structBytes(
  random: Random,
  good: Uint8Array,
  fields: Record<string, FieldAt>,
  seal: (bytes: Uint8Array) => Uint8Array,
): Uint8Array {
  if (random.oneIn(8)) return random.bytes(random.below(2 * good.length));
  for (let left = random.below(3); left > 0; left--) {
    spoilField(random, good, random.pick(Object.values(fields)));
  }
  if (!random.oneIn(8)) seal(good);
  if (random.oneIn(4)) flipSome(random, good);
  return random.oneIn(16) ? good.slice(0, random.below(good.length)) : good;
}

/** The decoded struct, or undefined where it was refused by a Fault. */
function decoded<T>(decode: () => T, group: string, tally: Tally): T | undefined {
  try {
    const result = decode();
    tally.count(group, 'decoded');
    return result;
  } catch (error) {
    const fault = foreseen(error);
    tally.count(group, fault.code);
    return undefined;
  }
}

function runSuperblock(bytes: Uint8Array, _: Random, tally: Tally): void {
  const found = decoded(() => decodeSuperblock(bytes), 'superblock', tally);
  const expected = modelSuperblock(bytes);
  mustEqual(found !== undefined, expected !== undefined, 'superblock accepted');
  if (found === undefined || expected === undefined) return;
  mustEqual(found.logLengthBytes, expected.logBytes, 'log_len');
  mustEqual(found.allocUnitBytes, expected.unitBytes, 'alloc_unit');
  mustEqual(found.deviceSizeBytes, expected.deviceBytes, 'device size');
  must(!found.deviceName.includes('\0'), 'the device’s name holds a NUL');
}

function runHeader(bytes: Uint8Array, _: Random, tally: Tally): void {
  const found = decoded(() => decodeLogHeader(bytes), 'log header', tally);
  const expected = modelHeader(bytes);
  mustEqual(found !== undefined, expected !== undefined, 'log header accepted');
  if (found === undefined || expected === undefined) return;
  mustEqual(found.nextIndex, expected.next, 'next_index');
  mustEqual(found.logLengthBytes, expected.logBytes, 'log length');
  must(found.nextIndex <= capacityOf(found.logLengthBytes), 'next_index is beyond the log');
}

/** An entry is always 544 bytes: the reader cuts the log into slots. */
function entryBytes(random: Random): Uint8Array {
  const bytes = random.oneIn(8) ? random.bytes(SLOT_BYTES) : authoredEntry(random);
  if (random.oneIn(3)) setHalf(bytes, ENTRY.type, random.below(5));
  if (!random.oneIn(10)) sealEntry(bytes);
  return bytes;
}

function authoredEntry(random: Random): Uint8Array {
  const author = new Author(random, emptyPool(UNIT_BYTES, 2 ** 23, 2 ** 36));
  author.write(1);
  return author.entries[0] as Uint8Array;
}

function runEntry(bytes: Uint8Array, _: Random, tally: Tally): void {
  const seqnum = viewOf(bytes).getBigUint64(0, true);
  const index = seqnum < 2n ** 53n ? Number(seqnum) : 0;
  // Amid other bytes: what is read beyond the slot would show.
  const amid = new Uint8Array(3 * SLOT_BYTES).fill(0x41);
  amid.set(bytes, SLOT_BYTES);
  const slot = amid.subarray(SLOT_BYTES, 2 * SLOT_BYTES);
  const found = decodeLogEntry(slot, index);
  if (!found.ok) {
    tally.count('entry', found.code);
    must(found.message.length > 0 && found.message.length < 1000, 'no message, or a long one');
    return;
  }
  const { entry } = found;
  tally.count('entry', entry.type);
  if ('path' in entry) {
    must(Buffer.byteLength(entry.path) < 80, 'a path is longer than its field');
    must(!entry.path.includes('\0'), 'a path holds a NUL');
  }
  if (entry.type !== 'file') return;
  const extents = entry.fmap.type === 'simple' ? entry.fmap.extents : entry.fmap.strips;
  must(extents.length >= 1 && extents.length <= 16, `${extents.length} extents`);
  const words = extents.flatMap((e) => [e.devindex, e.offset, e.lengthBytes]);
  const areQuantities = [...words, entry.sizeBytes].every(
    (value) => (Number.isSafeInteger(value) && value >= 0) || value === Number.POSITIVE_INFINITY,
  );
  must(areQuantities, 'a quantity is neither a safe integer nor Infinity');
}

function bytesKind(
  name: string,
  weight: number,
  mayCut: boolean,
  generate: (random: Random) => Uint8Array,
  run: (bytes: Uint8Array, random: Random, tally: Tally) => void,
): AnyKind {
  return anyKind<Uint8Array>({
    name,
    weight,
    generate,
    run,
    shrink: (bytes) => simplerBytes(bytes, mayCut),
    show: (bytes) => [`${name}: ${hexRuns(bytes)}`],
  });
}

export const DECODER_KINDS: readonly AnyKind[] = [
  bytesKind(
    'superblock',
    9,
    true,
    (random) => {
      const deviceBytes = 2 ** random.between(24, 45);
      const good = makeSuperblock({ logBytes: 2 ** 23, unitBytes: UNIT_BYTES, deviceBytes });
      must(good.length === SUPERBLOCK_BYTES, 'a superblock has 200 bytes');
      return structBytes(random, good, SB, sealSuperblock);
    },
    runSuperblock,
  ),
  bytesKind(
    'log header',
    7,
    true,
    (random) => {
      const logBytes = 2 ** random.between(10, 45);
      const capacity = capacityOf(logBytes);
      const next = random.oneIn(2) ? capacity + random.between(-1, 1) : random.below(15_421);
      const good = makeHeader(logBytes, next);
      must(good.length === HEADER_BYTES, 'a log header has 48 bytes');
      return structBytes(random, good, HEADER, sealHeader);
    },
    runHeader,
  ),
  bytesKind('log entry', 16, false, entryBytes, runEntry),
];
