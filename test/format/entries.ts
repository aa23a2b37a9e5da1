import { GiB, MiB } from '../../src/base/numbers.ts';
import type { Extent } from '../../src/format/extents.ts';
import {
  type AddDaxdevEntry,
  type DeleteEntry,
  encodeLogEntry,
  type FileEntry,
  type MkdirEntry,
  type NewEntry,
} from '../../src/format/log-entry.ts';
import { Replica, type ReplicaOptions } from '../../src/format/replica.ts';
import type { Superblock } from '../../src/format/superblock.ts';

/** The unit of allocation, and where the memory for files starts behind an 8 MiB log. */
export const UNIT = 2 * MiB;
export const DATA = 10 * MiB;

export const SUPERBLOCK: Superblock = {
  logOffset: 2 * MiB,
  logLengthBytes: 8 * MiB,
  allocUnitBytes: UNIT,
  omfMajor: 2,
  omfMinor: 2,
  fsUuid: '00000000-0000-4000-8000-000000000001',
  deviceUuid: '00000000-0000-4000-8000-000000000002',
  systemUuid: '00000000-0000-4000-8000-000000000003',
  flags: 1,
  deviceSizeBytes: GiB,
  deviceName: 'test',
};

export function mkdir(path: string, change: Partial<MkdirEntry> = {}): MkdirEntry {
  return { type: 'mkdir', path, uid: 0, gid: 0, mode: 0o755, ...change };
}

/** A file in the units [unit, unit + units) of the memory for files, as large as they are. */
export function file(path: string, unit: number, units = 1): FileEntry {
  return fileAt(path, { devindex: 0, offset: DATA + unit * UNIT, lengthBytes: units * UNIT });
}

export function fileAt(path: string, ...extents: readonly Extent[]): FileEntry {
  const sizeBytes = extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const fmap = { type: 'simple', extents } as const;
  return { type: 'file', path, sizeBytes, flags: 2, uid: 0, gid: 0, mode: 0o644, fmap };
}

/** The uuid of a test's device of that index. */
export function deviceUuid(devindex: number): string {
  return `00000000-0000-4000-9000-${String(devindex).padStart(12, '0')}`;
}

export function daxdev(devindex: number, sizeBytes = GiB): AddDaxdevEntry {
  return { type: 'add-daxdev', sizeBytes, deviceUuid: deviceUuid(devindex), devindex };
}

export function remove(path: string, targetIndex: number): DeleteEntry {
  return { type: 'delete', path, targetIndex };
}

/** What a host makes of a log with these entries; bytes go in as they are. */
export function replicaOf(
  entries: readonly (NewEntry | Uint8Array)[],
  { superblock = SUPERBLOCK, ...options }: ReplicaOptions & { superblock?: Superblock } = {},
): Replica {
  const replica = new Replica(superblock, options);
  for (const [at, entry] of entries.entries()) {
    replica.apply(entry instanceof Uint8Array ? entry : encodeLogEntry(at, entry));
  }
  return replica;
}

/** Index and code of each problem, such as `3 PATH`. */
export function problemsOf(replica: Replica): string[] {
  return replica.problems.map(({ index, code }) => `${index} ${code}`);
}
