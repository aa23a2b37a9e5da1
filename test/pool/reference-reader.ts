import { crc32 } from 'node:zlib';
import { MiB } from '../../src/base/numbers.ts';

const LOG = 2 * MiB;
const ENTRY_BYTES = 544;

/**
 * What a reader of the reference makes of a log, by docs/format.md and with nothing of src/: it
 * reads next_index once, checks crc and number of each entry below it, knows FILE and MKDIR, and
 * passes the others over.
 */
export interface ReferenceView {
  /** The whole entries, for a comparison with what was written. */
  readonly entries: readonly Uint8Array[];
  readonly paths: readonly string[];
  /** What a log must not have. */
  readonly problems: readonly string[];
}

export function referenceView(bytes: Uint8Array): ReferenceView {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const u64 = (offset: number) => Number(view.getBigUint64(offset, true));
  const problems: string[] = [];
  if (view.getBigUint64(LOG, true) !== 0xbadcafef00dn) problems.push('log magic');
  if (u64(LOG + 24) !== crc32(bytes.subarray(LOG, LOG + 24))) problems.push('log header crc');
  const nextIndex = u64(LOG + 40);
  if (nextIndex > u64(LOG + 16) + 1) problems.push('next_index is beyond the log');
  const entries: Uint8Array[] = [];
  const paths = new Set<string>();
  const used: [number, number, string][] = [[0, LOG + u64(24), 'superblock and log']];
  const directories = new Set(['']);
  for (let index = 0; index < nextIndex && problems.length === 0; index++) {
    const at = LOG + 48 + index * ENTRY_BYTES;
    entries.push(bytes.slice(at, at + ENTRY_BYTES));
    if (u64(at + 536) !== crc32(bytes.subarray(at, at + 536))) problems.push(`crc of ${index}`);
    if (u64(at) !== index) problems.push(`number of ${index}`);
    const type = view.getUint32(at + 8, true);
    if (type > 1) continue;
    const path = textAt(bytes, at + (type === 0 ? 40 : 28));
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (!directories.has(parent)) problems.push(`${path}: no directory ${parent}`);
    if (paths.has(path)) problems.push(`${path} is there twice`);
    paths.add(path);
    if (type === 1) directories.add(path);
    else for (const range of extentsAt(view, at)) used.push([...range, path]);
  }
  used.sort(([a], [b]) => a - b);
  for (const [at, [, end, path]] of used.entries()) {
    const [start = Number.POSITIVE_INFINITY, , other] = used[at + 1] ?? [];
    if (start < end) problems.push(`${path} and ${other} share memory`);
  }
  return { entries, paths: [...paths], problems };
}

/** Of device 0. */
function extentsAt(view: DataView, at: number): [number, number][] {
  const u64 = (offset: number) => Number(view.getBigUint64(offset, true));
  const isSimple = view.getUint32(at + 120, true) === 0;
  const count = isSimple ? view.getUint32(at + 128, true) : u64(at + 136);
  const first = at + (isSimple ? 136 : 152);
  return Array.from({ length: count }, (_, extent) => first + extent * 24)
    .filter((base) => u64(base) === 0)
    .map((base) => [u64(base + 8), u64(base + 8) + u64(base + 16)]);
}

function textAt(bytes: Uint8Array, start: number): string {
  return Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString();
}
