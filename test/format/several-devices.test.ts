import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS, type Layout } from '../../src/format/allocator.ts';
import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import { Replica } from '../../src/format/replica.ts';
import { caught } from '../support/caught.ts';
import { DATA, daxdev, remove, SUPERBLOCK, UNIT } from './entries.ts';

const superblock = { ...SUPERBLOCK, deviceSizeBytes: 2 * GiB };
const SIZES = [2 * GiB, GiB, 3 * GiB];
const ADDED: readonly NewEntry[] = [daxdev(1, SIZES[1]), daxdev(2, SIZES[2])];

/** A writer's log of a pool over three devices, and its memory as the test counts it. */
class Pool {
  readonly log: Uint8Array[] = [];
  readonly replica: Replica;
  /** Who has each unit of each device: the superblock or log, or a file's entry. */
  readonly owners = SIZES.map((sizeBytes, at) => {
    const owners = new Array<number>(sizeBytes / UNIT).fill(-1);
    return owners.fill(-2, 0, at === 0 ? DATA / UNIT : 1);
  });

  constructor(openDevices: number) {
    this.replica = new Replica(superblock, { openDevices });
    for (const entry of ADDED) this.append(entry);
  }

  append(entry: NewEntry): number {
    const index = this.log.length;
    const bytes = encodeLogEntry(index, entry);
    this.replica.applyEntry(bytes);
    this.log.push(bytes);
    return index;
  }

  create(layout: Layout, sizeBytes: number): void {
    const fmap = this.replica.space.find(layout, sizeBytes);
    const path = `f${this.log.length}`;
    const owner = { flags: 2, uid: 0, gid: 0, mode: 0o644 };
    const index = this.append({ type: 'file', path, sizeBytes, ...owner, fmap });
    for (const extent of fmapExtents(fmap)) this.#take(extent, index);
  }

  /** The memory stays taken. */
  delete(which: number): void {
    const files = [...this.replica.namespace.files()];
    const file = files[which % Math.max(1, files.length)];
    if (file !== undefined) this.append(remove(file.path, file.entryIndex));
  }

  #take({ devindex, offset, lengthBytes }: Extent, index: number): void {
    const owners = this.owners[devindex] ?? [];
    const [from, to] = [offset / UNIT, (offset + lengthBytes) / UNIT];
    expect(owners.slice(from, to).every((owner) => owner === -1)).toBe(true);
    expect(to).toBeLessThanOrEqual(owners.length);
    owners.fill(index, from, to);
  }

  free(devindex: number): number {
    return (this.owners[devindex] ?? []).filter((owner) => owner === -1).length * UNIT;
  }
}

/** The primary alone has room for two buckets. */
const STRIPED: Layout = { strips: 2, buckets: 2, chunkBytes: UNIT };
const layout = fc.constantFrom(CONTIGUOUS, STRIPED);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(layout, fc.integer({ min: 1, max: 400 * MiB })) },
  { weight: 1, arbitrary: fc.nat() },
);

function stateOf({ namespace, space, problems, devices, position }: Replica) {
  const files = [...namespace.files()].map(({ path, ino, fmap }) => [path, ino, fmap]);
  return { files, free: space.freeBytes, problems, devices, position };
}

describe('a pool over three devices', () => {
  test('gives memory to one file only, and every host replays the same of it', () => {
    const used = new Set<number>();
    const check = (steps: readonly (readonly [Layout, number] | number)[], open: number) => {
      const pool = new Pool(open);
      for (const each of steps) {
        if (typeof each === 'number') pool.delete(each);
        else if (each[1] <= pool.replica.space.largestAllocatable(each[0])) pool.create(...each);
        else expect(caught(() => pool.create(...each)).code).toBe('NO_SPACE');
      }
      const untouched = SIZES.map((sizeBytes, at) => sizeBytes - (at === 0 ? DATA : UNIT));
      for (let devindex = open; devindex < 3; devindex++) {
        expect(pool.free(devindex)).toBe(untouched[devindex]);
      }
      const free = [0, 1, 2].reduce((sum, devindex) => sum + pool.free(devindex), 0);
      expect(pool.replica.space.freeBytes).toBe(free);
      // A host that opens other devices sees the same files and the same memory.
      const other = new Replica(superblock, { openDevices: 1 });
      other.applyBatch(Buffer.concat(pool.log), pool.log.length);
      expect(stateOf(other)).toEqual(stateOf(pool.replica));
      expect(other.problems).toEqual([]);
      for (const file of other.namespace.files()) {
        for (const { devindex } of fmapExtents(file.fmap)) used.add(devindex);
      }
    };
    const steps = fc.array(step, { maxLength: 30, size: 'max' });
    fc.assert(fc.property(steps, fc.integer({ min: 1, max: 3 }), check), { numRuns: 60 });
    expect([...used].sort()).toEqual([0, 1, 2]);
  });
});
