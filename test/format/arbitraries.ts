import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { MiB } from '../../src/base/numbers.ts';
import type { Extent, Fmap } from '../../src/format/extents.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { LOG_OFFSET, logCapacity } from '../../src/format/log-header.ts';
import type { Superblock } from '../../src/format/superblock.ts';

const word = fc.nat(0xffff_ffff);
const quantity = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, Number.MAX_SAFE_INTEGER));

/** Text of at most `maxBytes` bytes of UTF-8, of any characters but NUL. */
function text(minLength: number, maxBytes: number): fc.Arbitrary<string> {
  return fc
    .oneof(
      fc.string({ minLength, maxLength: maxBytes }),
      fc.string({ unit: 'binary', minLength, maxLength: maxBytes / 3 }),
    )
    .filter((value) => Buffer.byteLength(value) <= maxBytes && !value.includes('\0'));
}

const extent: fc.Arbitrary<Extent> = fc.record({
  devindex: quantity,
  offset: quantity,
  lengthBytes: quantity,
});
const extents = fc.array(extent, { minLength: 1, maxLength: 16 });

const fmap: fc.Arbitrary<Fmap> = fc.oneof(
  fc.record({ type: fc.constant('simple' as const), extents }),
  fc.record({
    type: fc.constant('interleaved' as const),
    chunkBytes: quantity,
    strips: extents,
  }),
);

const path = text(1, 79);
const owner = { uid: word, gid: word, mode: word };

/** Entries of every type that can be written, with any values that their fields can hold. */
export const newEntry: fc.Arbitrary<NewEntry> = fc.oneof(
  fc.record({
    type: fc.constant('file' as const),
    path,
    sizeBytes: quantity,
    flags: word,
    fmap,
    ...owner,
  }),
  fc.record({ type: fc.constant('mkdir' as const), path, ...owner }),
  fc.record({ type: fc.constant('delete' as const), path, targetIndex: quantity }),
  fc.record({
    type: fc.constant('add-daxdev' as const),
    sizeBytes: quantity,
    deviceUuid: fc.uuid(),
    devindex: word,
  }),
);

export const logLength = fc.nat(7).map((power) => 8 * MiB * 2 ** power);

export const superblock: fc.Arbitrary<Superblock> = logLength.chain((logLengthBytes) =>
  fc.record({
    logOffset: fc.constant(LOG_OFFSET),
    logLengthBytes: fc.constant(logLengthBytes),
    allocUnitBytes: fc.constantFrom(4096, 2 * MiB),
    omfMajor: fc.constant(2),
    omfMinor: word,
    fsUuid: fc.uuid(),
    deviceUuid: fc.uuid(),
    systemUuid: fc.uuid(),
    flags: word,
    deviceSizeBytes: fc.integer({
      min: LOG_OFFSET + logLengthBytes,
      max: Number.MAX_SAFE_INTEGER,
    }),
    deviceName: text(0, 63),
  }),
);

export const logHeader = logLength.chain((logLengthBytes) =>
  fc.record({
    logLengthBytes: fc.constant(logLengthBytes),
    lastIndex: fc.constant(logCapacity(logLengthBytes) - 1),
    nextSeqnum: quantity,
    nextIndex: fc.nat(logCapacity(logLengthBytes)),
  }),
);

/** A copy with one little-endian u64 replaced. */
export function withU64(bytes: Uint8Array, offset: number, value: bigint): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setBigUint64(offset, value, true);
  return copy;
}

/** A copy whose crc, at `crcOffset`, is right for the bytes before it. */
export function sealed(bytes: Uint8Array, crcOffset: number): Uint8Array {
  return withU64(bytes, crcOffset, BigInt(crc32(bytes.subarray(0, crcOffset))));
}

/** Every copy of the bytes that differs from them in one bit. */
export function* bitFlips(bytes: Uint8Array): Iterable<{ at: number; bytes: Uint8Array }> {
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const copy = bytes.slice();
      copy[at] = (copy[at] ?? 0) ^ (1 << bit);
      yield { at, bytes: copy };
    }
  }
}
