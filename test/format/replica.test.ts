import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import type { Extent } from '../../src/format/extents.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import type { Replica } from '../../src/format/replica.ts';
import { caught } from '../support/caught.ts';
import { sealed, withU64 } from './arbitraries.ts';
import {
  DATA,
  daxdev,
  deviceUuid,
  file,
  fileAt,
  mkdir,
  problemsOf,
  remove,
  replicaOf,
  SUPERBLOCK,
  UNIT,
} from './entries.ts';

const END = SUPERBLOCK.deviceSizeBytes;

function extent(offset: number, lengthBytes: number, devindex = 0): Extent {
  return { devindex, offset, lengthBytes };
}

function striped(strips: readonly Extent[], chunkBytes: number, sizeBytes = 1): NewEntry {
  return { ...file('x', 0), sizeBytes, fmap: { type: 'interleaved', chunkBytes, strips } };
}

/** The entry at its place in the log, one u64 of it replaced, the crc right. */
function patched(index: number, entry: NewEntry, offset: number, value: bigint): Uint8Array {
  return sealed(withU64(encodeLogEntry(index, entry), offset, value), 536);
}

/** The units of the memory for files that are not free, up to the tenth. */
function usedUnits({ space }: Replica): number[] {
  return Array.from({ length: 10 }, (_, unit) => unit).filter(
    (unit) => !space.isFree(extent(DATA + unit * UNIT, UNIT)),
  );
}

/** What stands before each entry of the tables: a directory, a file in units 2 and 3, a deleted. */
const BEFORE = [mkdir('d'), file('d/f', 2, 2), file('gone', 5), remove('gone', 2)];
const NEXT = BEFORE.length;

describe('replay', () => {
  test.each<[string, NewEntry | Uint8Array, string]>([
    ['a path up', file('../x', 0), 'PATH'],
    ['an absolute path', mkdir('/x'), 'PATH'],
    ['the name .meta', mkdir('.meta'), 'PATH'],
    ['a path in .meta', file('.meta/x', 0), 'PATH'],
    ['a missing parent', file('x/y', 0), 'PARENT'],
    ['a file as parent', mkdir('d/f/y'), 'PARENT'],
    ['a deleted parent', mkdir('gone/y'), 'PARENT'],
    ['a file over a directory', file('d', 0), 'DUPLICATE'],
    ['a directory over a file', mkdir('d/f'), 'DUPLICATE'],
    ['the same file again', file('d/f', 0), 'DUPLICATE'],
    ['an unaligned extent', fileAt('x', extent(DATA + 4096, UNIT)), 'EXTENT_ALIGN'],
    ['an unaligned length', fileAt('x', extent(DATA, UNIT + 4096)), 'EXTENT_ALIGN'],
    ['an empty extent', fileAt('x', extent(DATA, UNIT), extent(DATA + UNIT, 0)), 'EXTENT_ALIGN'],
    ['an offset of 2^53', patched(NEXT, file('x', 0), 144, 2n ** 53n), 'EXTENT_ALIGN'],
    ['a length of 2^64 - 1', patched(NEXT, file('x', 0), 152, 2n ** 64n - 1n), 'EXTENT_ALIGN'],
    ['an extent in the log', fileAt('x', extent(4 * MiB, UNIT)), 'EXTENT_RANGE'],
    [
      'an extent that begins in the log',
      fileAt('x', extent(DATA - UNIT, 3 * UNIT)),
      'EXTENT_RANGE',
    ],
    ['an extent past the end', fileAt('x', extent(END - UNIT, 2 * UNIT)), 'EXTENT_RANGE'],
    ['a device that is not there', fileAt('x', extent(DATA, UNIT, 1)), 'EXTENT_RANGE'],
    ['a device of 2^53', patched(NEXT, file('x', 0), 136, 2n ** 53n), 'EXTENT_RANGE'],
    ['memory of a live file', file('x', 3), 'EXTENT_OVERLAP'],
    ['memory of a live file, in part', file('x', 1, 2), 'EXTENT_OVERLAP'],
    ['memory of a deleted file', file('x', 5), 'EXTENT_OVERLAP'],
    [
      'its own memory twice',
      fileAt('x', extent(DATA, 2 * UNIT), extent(DATA, UNIT)),
      'EXTENT_OVERLAP',
    ],
    ['no bytes', { ...file('x', 0), sizeBytes: 0 }, 'FILE_SIZE'],
    ['more bytes than its extent', { ...file('x', 0), sizeBytes: UNIT + 1 }, 'FILE_SIZE'],
    ['a size of 2^53', patched(NEXT, file('x', 0), 16, 2n ** 53n), 'FILE_SIZE'],
    ['chunks longer than its strip', striped([extent(DATA, UNIT)], 2 * UNIT), 'FILE_SIZE'],
    [
      'more bytes than its strips deal out',
      striped([extent(DATA, 2 * UNIT), extent(DATA + 6 * UNIT, UNIT)], UNIT, 3 * UNIT + 1),
      'FILE_SIZE',
    ],
    ['a chunk of 3 units', striped([extent(DATA, 6 * UNIT)], 3 * UNIT), 'CHUNK_SIZE'],
    ['a chunk under a unit', striped([extent(DATA, UNIT)], 4096), 'CHUNK_SIZE'],
    ['a chunk of none', striped([extent(DATA, UNIT)], 0), 'CHUNK_SIZE'],
    ['no extent', { ...file('x', 0), fmap: { type: 'simple', extents: [] } }, 'FMAP'],
    ['a type that nobody defines', patched(NEXT, mkdir('x'), 8, 4n), 'ENTRY_TYPE'],
    ['a delete of what is not there', remove('x', 1), 'DELETE_TARGET'],
    ['a delete of what was there before', remove('gone', 2), 'DELETE_TARGET'],
    ['a delete of another entry', remove('d/f', 0), 'DELETE_TARGET'],
    ['a delete of 2^53', patched(NEXT, remove('d/f', 1), 16, 2n ** 53n), 'DELETE_TARGET'],
    ['a delete of the root', patched(NEXT, remove('x', 0), 24, 0n), 'DELETE_TARGET'],
    ['a delete of a directory that is not empty', remove('d', 0), 'DELETE_NOT_EMPTY'],
    ['a device out of order', daxdev(2), 'DAXDEV_INDEX'],
    ['a device again', daxdev(0), 'DAXDEV_INDEX'],
    ['a device with no room', daxdev(1, UNIT), 'DAXDEV_SIZE'],
    ['a device of 2^53', patched(NEXT, daxdev(1), 16, 2n ** 53n), 'DAXDEV_SIZE'],
    ['the primary', { ...daxdev(1), deviceUuid: SUPERBLOCK.deviceUuid }, 'DAXDEV_UUID'],
  ])('rejects and reports %s, and goes on', (_, entry, code) => {
    const replica = replicaOf([...BEFORE, entry, mkdir('good')]);
    expect(problemsOf(replica)).toEqual([`${NEXT} ${code}`]);
    expect(replica).toMatchObject({ position: 6, applied: 5, skipped: 1, damage: undefined });
    const { namespace } = replica;
    expect([...namespace.root.children()].map(({ name }) => name)).toEqual(['d', 'good']);
    expect(namespace.lookup('d/f')).toMatchObject({ entryIndex: 1 });
    expect(namespace.fileCount).toBe(1);
  });

  test.each<[string, NewEntry | Uint8Array, number[]]>([
    ['as duplicate', file('d/f', 7), [7]],
    ['for its path', file('../x', 7), [7]],
    ['for a path that is no text', patched(NEXT, file('x', 7), 40, 0xffn), [7]],
    ['for its size', { ...file('x', 7), sizeBytes: 0 }, [7]],
    ['as too many extents', patched(NEXT, file('x', 7), 128, 17n), [7]],
    ['as not aligned', fileAt('x', extent(DATA + 7 * UNIT + 4096, UNIT)), [7, 8]],
    ['for a length without an end', patched(NEXT, file('x', 8), 152, 2n ** 63n), [8, 9]],
    ['as partly the log', fileAt('x', extent(4 * MiB, DATA + UNIT - 4 * MiB)), [0]],
    ['as partly that of others', fileAt('x', extent(DATA + UNIT, 6 * UNIT)), [1, 4, 6]],
    ['as its own twice', fileAt('x', extent(DATA, 2 * UNIT), extent(DATA + UNIT, UNIT)), [0, 1]],
    ['for its chunks', striped([extent(DATA, UNIT), extent(DATA + 8 * UNIT, UNIT)], 0), [0, 8]],
  ])('keeps the memory that a file names which is rejected %s', (_, entry, units) => {
    const replica = replicaOf([...BEFORE, entry]);
    expect(replica.skipped).toBe(1);
    expect(usedUnits(replica)).toEqual([2, 3, 5, ...units].sort((a, b) => a - b));
  });

  test('keeps the end of a device that a file names past which it goes', () => {
    const { space } = replicaOf([fileAt('x', extent(END - UNIT, GiB))]);
    expect(space.isFree(extent(END - UNIT, UNIT))).toBe(false);
    expect(space.isFree(extent(DATA, END - UNIT - DATA))).toBe(true);
  });

  test('applies what is unusual and valid', () => {
    const replica = replicaOf([
      mkdir('d', { mode: 0o40_7777, uid: 7, gid: 2 ** 32 - 1 }),
      { ...fileAt('d/two', extent(DATA + UNIT, UNIT), extent(DATA, UNIT)), sizeBytes: 2 * UNIT },
      { ...file('d/ro', 2), flags: 1, mode: 0o100_444, sizeBytes: 1 },
      daxdev(1),
      daxdev(2, UNIT + 4096),
      fileAt('other', extent(UNIT, GiB - UNIT, 1)),
    ]);
    expect(problemsOf(replica)).toEqual([]);
    const { namespace, space } = replica;
    expect(namespace.lookup('d')).toMatchObject({ mode: 0o7777, uid: 7, gid: 2 ** 32 - 1 });
    expect(namespace.lookup('d/ro')).toMatchObject({ flags: 1, mode: 0o444, sizeBytes: 1 });
    expect(space.deviceCount).toBe(3);
    expect(space.contains(extent(0, UNIT, 1))).toBe(false); // the superblock of a secondary
    expect(space.allocatedBytes).toBe(3 * UNIT + GiB - UNIT);
  });

  test('takes extents of 4096 bytes where the superblock says so', () => {
    const superblock = { ...SUPERBLOCK, allocUnitBytes: 4096 };
    const entry = fileAt('x', extent(DATA + 4096, 4096), extent(DATA + 12288, 4096));
    const replica = replicaOf([entry], { superblock });
    expect(problemsOf(replica)).toEqual([]);
    expect(usedUnits(replica)).toEqual([0]);
  });

  test('knows its devices, and gives none of them a second index', () => {
    const again = { ...daxdev(2), deviceUuid: deviceUuid(1) };
    const replica = replicaOf([daxdev(1), again, daxdev(2, 2 * GiB)]);
    expect(problemsOf(replica)).toEqual(['1 DAXDEV_UUID']);
    expect(replica.devices).toEqual([
      { deviceUuid: SUPERBLOCK.deviceUuid, sizeBytes: SUPERBLOCK.deviceSizeBytes },
      { deviceUuid: deviceUuid(1), sizeBytes: GiB },
      { deviceUuid: deviceUuid(2), sizeBytes: 2 * GiB },
    ]);
  });

  test('takes 64 devices and no more', () => {
    const devices = Array.from({ length: 64 }, (_, at) => daxdev(at + 1));
    expect(problemsOf(replicaOf(devices))).toEqual(['63 DAXDEV_INDEX']);
  });

  test('lets a deleted path be used again, but not its memory', () => {
    const removed: string[] = [];
    const log = [mkdir('d'), file('d/f', 0), remove('d/f', 1), file('d/f', 1), remove('d/f', 3)];
    const options = { onRemove: (node: { path: string; ino: number }) => removed.push(node.path) };
    const replica = replicaOf([...log, remove('d', 0), file('d', 2)], options);
    expect(problemsOf(replica)).toEqual([]);
    expect(removed).toEqual(['d/f', 'd/f', 'd']);
    expect(usedUnits(replica)).toEqual([0, 1, 2]);
    expect(replica.deadExtents()).toEqual([extent(DATA, UNIT), extent(DATA + UNIT, UNIT)]);
    expect(replica.namespace).toMatchObject({ fileCount: 1, directoryCount: 0 });
  });

  test.each<[string, Uint8Array, string]>([
    ['a wrong crc', withU64(encodeLogEntry(1, mkdir('b')), 536, 0n), 'ENTRY_CRC'],
    ['another seqnum', encodeLogEntry(2, mkdir('b')), 'ENTRY_SEQNUM'],
    ['zeroes', new Uint8Array(544), 'ENTRY_CRC'],
  ])('stops for good at an entry with %s, and says how much is lost', (_, damaged, code) => {
    const replica = replicaOf([mkdir('a')]);
    const images = [damaged, encodeLogEntry(2, mkdir('c'))];
    const batch = new Uint8Array(2 * 544);
    for (const [at, image] of images.entries()) batch.set(image, at * 544);
    replica.applyBatch(batch, 2);
    replica.noteLost(5);
    replica.applyBatch(encodeLogEntry(1, mkdir('b')), 1);
    expect(replica.damage).toMatchObject({ index: 1, code });
    expect(replica.problems).toMatchObject([
      { index: 1, code },
      { index: 1, code: 'ENTRIES_LOST', message: expect.stringMatching(/^4 entries/) },
    ]);
    expect(replica).toMatchObject({ position: 1, applied: 1, skipped: 0 });
    expect(replica.namespace.directoryCount).toBe(1);
  });

  test('counts all problems, and keeps the first thousand', () => {
    const replica = replicaOf(Array.from({ length: 1100 }, (_, at) => mkdir(`no/${at}`)));
    expect(replica.problems.length).toBe(1000);
    expect(replica.problems.at(-1)?.index).toBe(999);
    expect(replica).toMatchObject({ problemCount: 1100, skipped: 1100, applied: 0 });
  });

  test('treats an own entry that it rejects as a bug', () => {
    const replica = replicaOf([mkdir('a')]);
    replica.applyEntry(encodeLogEntry(1, mkdir('a/b')));
    expect(caught(() => replica.applyEntry(encodeLogEntry(2, mkdir('a'))))).toEqual({
      code: 'INTERNAL',
      message: expect.stringMatching(/own log entry 2: DUPLICATE: path "a"/),
    });
  });
});
