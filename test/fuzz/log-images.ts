import { Author, emptyPool } from './author.ts';
import {
  ENTRY,
  HEADER,
  HEADER_BYTES,
  LOG_START,
  type LogImage,
  makeHeader,
  makeSuperblock,
  SB,
  SLOT_BYTES,
  SUPERBLOCK_BYTES,
  sealEntry,
  sealHeader,
  sealSuperblock,
  setHalf,
  setWord,
  UNIT_BYTES,
  viewOf,
} from './media.ts';
import type { Random } from './random.ts';
import { type VectorImage, vectorImages } from './vector-images.ts';
import { flipSome, spoilField } from './words.ts';

/** A whole log, and now and then a superblock or a header that is wrong, checksums right. */
export function authoredImage(random: Random): LogImage {
  const unitBytes = random.oneIn(3) ? 4096 : UNIT_BYTES;
  const logBytes = random.oneIn(10) ? 2 ** random.between(23, 40) : 2 ** 23;
  const spare = random.pick([
    () => UNIT_BYTES * random.between(20, 4000),
    () => UNIT_BYTES * random.between(20, 4000) + 4096 * random.below(512),
    () => UNIT_BYTES * random.between(0, 20) + random.below(UNIT_BYTES),
    () => 2 ** random.between(32, 45) + (random.oneIn(3) ? random.between(-4097, 4097) : 0),
    () => 2 ** 53 - 1 - LOG_START - logBytes,
  ]);
  const deviceBytes = LOG_START + logBytes + spare();
  const author = new Author(random, emptyPool(unitBytes, logBytes, deviceBytes));
  if (random.oneIn(60)) author.writeDevices(random.between(60, 70));
  if (random.oneIn(300)) author.writeRejected(1500);
  author.write(random.oneIn(60) ? random.between(100, 400) : random.between(0, 30));
  const { entries } = author;
  const image = {
    superblock: makeSuperblock({ logBytes, unitBytes, deviceBytes }),
    header: makeHeader(logBytes, entries.length),
    entries,
    memoryBytes: deviceBytes,
  };
  return random.oneIn(12) ? spoilGeometry(random, image) : image;
}

/** One absurd field of superblock or header under a right checksum, or another size of memory. */
function spoilGeometry(random: Random, image: LogImage): LogImage {
  const superblock = image.superblock.slice();
  const header = image.header.slice();
  const capacity = viewOf(header).getBigUint64(HEADER.lastIndex[0], true) + 1n;
  if (random.oneIn(3)) {
    spoilField(random, superblock, random.pick(Object.values(SB)));
    if (!random.oneIn(4)) sealSuperblock(superblock);
  } else {
    const next = [HEADER.nextIndex, HEADER.nextSeqnum];
    spoilField(random, header, random.pick([...next, ...next, ...Object.values(HEADER)]));
    if (random.oneIn(4)) setWord(header, HEADER.nextIndex, capacity + BigInt(random.below(2)));
    if (!random.oneIn(4)) sealHeader(header);
  }
  const memoryBytes = random.oneIn(8) ? random.below(2 * image.memoryBytes) : image.memoryBytes;
  return { ...image, superblock, header, memoryBytes };
}

/** Bytes without any sense, in devices of any size; some with the magics that open a door. */
export function randomImage(random: Random): LogImage {
  const superblock = random.bytes(SUPERBLOCK_BYTES);
  const header = random.bytes(HEADER_BYTES);
  const entries = Array.from({ length: random.below(6) }, () => random.bytes(SLOT_BYTES));
  if (random.oneIn(2)) {
    superblock.set(makeSuperblock({ logBytes: 2 ** 23, unitBytes: 4096, deviceBytes: 2 ** 32 }));
    if (random.oneIn(2)) {
      header.set(makeHeader(2 ** 23, random.below(12)));
      if (random.oneIn(2)) for (const [at, entry] of entries.entries()) reseal(entry, at);
    }
  }
  const memoryBytes = random.oneIn(4) ? random.below(2 ** 24) : 2 ** random.between(24, 45);
  return { superblock, header, entries, memoryBytes };
}

/** The right sequence number and checksum around whatever an entry says. */
function reseal(entry: Uint8Array, index: number): void {
  setWord(entry, ENTRY.seqnum, index);
  setHalf(entry, ENTRY.type, (entry[8] ?? 0) % 5);
  sealEntry(entry);
}

/** The vectors, the one with a full log seldom: it takes a hundred times as long. */
function pickVector(random: Random): VectorImage {
  const vectors = vectorImages();
  const small = vectors.filter(({ image }) => image.entries.length < 1000);
  return random.pick(random.oneIn(500) ? vectors : small);
}

/** Flipped bits and bytes in what another implementation wrote; half of them sealed again. */
export function flippedVector(random: Random): LogImage {
  const { image } = pickVector(random);
  const superblock = image.superblock.slice();
  const header = image.header.slice();
  const entries = [...image.entries];
  const seals = random.oneIn(2);
  const places = random.weighted<'superblock' | 'header' | 'entry'>([
    [1, 'superblock'],
    [1, 'header'],
    [entries.length > 0 ? 3 : 0, 'entry'],
  ]);
  if (places === 'superblock') {
    flipSome(random, superblock);
    if (seals) sealSuperblock(superblock);
  } else if (places === 'header') {
    flipSome(random, header);
    if (seals) sealHeader(header);
  } else {
    const at = random.below(entries.length);
    const entry = (entries[at] as Uint8Array).slice();
    flipSome(random, entry);
    if (seals) sealEntry(entry);
    entries[at] = entry;
  }
  return { ...image, superblock, header, entries };
}

/** An author goes on with the log of a vector. */
export function continuedVector(random: Random): LogImage {
  const usable = vectorImages().filter(({ beginning }) => beginning !== undefined);
  const { image, beginning } = random.pick(usable);
  if (beginning === undefined) throw new Error('no vector to go on with');
  const author = new Author(random, beginning);
  author.write(random.between(1, 25));
  const entries = [...image.entries.slice(0, beginning.nextIndex), ...author.entries];
  const header = image.header.slice();
  setWord(header, HEADER.nextIndex, entries.length);
  setWord(header, HEADER.nextSeqnum, entries.length);
  return { ...image, header, entries };
}

/** An entry of a type that nobody defines: valid, and passed over. */
function passedOver(index: number): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  setWord(bytes, ENTRY.seqnum, index);
  setHalf(bytes, ENTRY.type, 0xffff_ffff);
  return sealEntry(bytes);
}

export function isPassedOver(entry: Uint8Array): boolean {
  return viewOf(entry).getUint32(ENTRY.type[0], true) === 0xffff_ffff;
}

/** The same image with a shorter log, or with an entry that says nothing in place of one. */
export function* simplerImages(image: LogImage): Iterable<LogImage> {
  const { entries } = image;
  const next = viewOf(image.header).getBigUint64(HEADER.nextIndex[0], true);
  if (next <= BigInt(entries.length)) {
    for (const length of [entries.length >> 1, entries.length - 1]) {
      if (length < 0) continue;
      const header = image.header.slice();
      setWord(header, HEADER.nextIndex, length);
      setWord(header, HEADER.nextSeqnum, length);
      yield { ...image, header, entries: entries.slice(0, length) };
    }
  }
  for (let run = entries.length >> 1; run >= 1; run >>= 1) {
    for (let at = 0; at < entries.length; at += run) {
      if (entries.slice(at, at + run).every(isPassedOver)) continue;
      const plain = entries.map((entry, index) =>
        index >= at && index < at + run ? passedOver(index) : entry,
      );
      yield { ...image, entries: plain };
    }
  }
}
