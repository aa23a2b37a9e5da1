import { viewOf } from './media.ts';
import type { Random } from './random.ts';

const MiB = 1n << 20n;

/** Numbers at which code is known to go wrong: ends of ranges, signs, the limits of the format. */
const U64: readonly bigint[] = [
  ...[0n, 1n, 2n, 7n, 8n, 15n, 16n, 17n, 63n, 64n, 65n, 255n, 511n, 512n, 544n],
  ...[4095n, 4096n, 4097n, 8192n, MiB, 2n * MiB - 1n, 2n * MiB, 2n * MiB + 1n, 4n * MiB],
  ...[8n * MiB, 10n * MiB, 12n * MiB, 16n * MiB, 1024n * MiB, 4096n * MiB],
  ...[31n, 32n, 44n, 47n, 48n, 52n, 53n, 56n, 62n].flatMap((bit) => {
    const power = 1n << bit;
    return [power - 4096n, power - 1n, power, power + 1n, power + 4096n];
  }),
  ...[(1n << 63n) - 1n, 1n << 63n, (1n << 63n) + 1n],
  ...[1n, 4095n, 4096n, 2n * MiB, 1n << 32n].map((less) => (1n << 64n) - less),
];

const U32: readonly number[] = [
  ...[0, 1, 2, 3, 4, 7, 15, 16, 17, 31, 32, 47, 48, 63, 64, 65, 99, 100, 255, 256, 4096],
  ...[0o777, 0o7777, 0o40755, 0o100644, 0xffff, 0x10000],
  ...[0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff],
];

/** An absurd 64-bit word; `near` is what stands there now. */
export function oddU64(random: Random, near: bigint): bigint {
  const word = random.weighted<() => bigint>([
    [6, () => random.pick(U64)],
    [2, () => BigInt.asUintN(64, near + BigInt(random.between(-2, 2)))],
    [1, () => BigInt.asUintN(64, near + 4096n * BigInt(random.between(-2, 2)))],
    [1, () => BigInt.asUintN(64, near + 2n * MiB * BigInt(random.between(-2, 2)))],
    [1, () => near ^ (1n << BigInt(random.below(64)))],
    [1, () => (BigInt(random.u32()) << 32n) | BigInt(random.u32())],
  ]);
  return word();
}

export function oddU32(random: Random, near: number): number {
  const word = random.weighted<() => number>([
    [4, () => random.pick(U32)],
    [2, () => near + random.between(-2, 2)],
    [1, () => near ^ (1 << random.below(32))],
    [1, () => random.u32()],
  ]);
  return word() >>> 0;
}

/** A field of a struct: its offset and its size in bytes (4, 8, or any number of plain bytes). */
export type FieldAt = readonly [offset: number, sizeBytes: number];

/** Overwrites one field with something absurd. */
export function spoilField(random: Random, bytes: Uint8Array, [at, sizeBytes]: FieldAt): void {
  const view = viewOf(bytes);
  if (sizeBytes === 8) {
    view.setBigUint64(at, oddU64(random, view.getBigUint64(at, true)), true);
  } else if (sizeBytes === 4) {
    view.setUint32(at, oddU32(random, view.getUint32(at, true)), true);
  } else {
    bytes.set(random.bytes(sizeBytes), at);
  }
}

/** Changes a few bits or bytes anywhere. */
export function flipSome(random: Random, bytes: Uint8Array): void {
  for (let left = random.between(1, 3); left > 0 && bytes.length > 0; left--) {
    const at = random.below(bytes.length);
    bytes[at] = random.oneIn(2) ? (bytes[at] ?? 0) ^ (1 << random.below(8)) : random.u32();
  }
}
