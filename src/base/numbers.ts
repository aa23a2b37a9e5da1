import { Fault } from './errors.ts';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

const TWO_32 = 0x1_0000_0000;
const HIGH_MAX = 0x20_0000; // 2^53 / 2^32

/** Reads a little-endian u64 quantity. Above 2^53 − 1 it is `CORRUPT`, named by `what`. */
export function getU64(view: DataView, offset: number, what: string): number {
  const value = getU64OrInfinity(view, offset);
  if (value === Number.POSITIVE_INFINITY) {
    const found = view.getBigUint64(offset, true);
    throw new Fault('CORRUPT', `${what}: found ${found}, expected a number below 2^53`);
  }
  return value;
}

/** Reads a little-endian u64 quantity; one above 2^53 − 1 becomes Infinity, which every limit
 * check refuses. For decoders that report instead of throwing. */
export function getU64OrInfinity(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  const low = view.getUint32(offset, true);
  // Not a sum: a small number that is computed as a large one may be kept as a heap object.
  if (high === 0) return low;
  return high < HIGH_MAX ? high * TWO_32 + low : Number.POSITIVE_INFINITY;
}

/** Writes a quantity (a safe integer ≥ 0) as a little-endian u64. */
export function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / TWO_32), true);
}

/** `value` rounded up to a multiple of `unit`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** `value` rounded down to a multiple of `unit`. */
export function roundDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}

export function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: KiB, M: MiB, G: GiB, T: TiB };

/** Parses `4096`, `64K`, `8MiB`, `1G` to bytes; INVALID names the option, the text, the forms. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match
    ? Number(match[1]) * (UNITS[match[2]?.toUpperCase() ?? ''] ?? Number.NaN)
    : -1;
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new Fault(
      'INVALID',
      `${option}: found "${text}", expected a size such as 4096, 8M or 1G`,
    );
  }
  return bytes;
}

/** `1.5 GiB`, `86.3 MiB`, `4096 B`: for people. Machines get plain byte counts. */
export function formatSize(bytes: number): string {
  for (const [unit, size] of [
    ['TiB', TiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1).replace(/\.0$/, '')} ${unit}`;
  }
  return `${bytes} B`;
}
