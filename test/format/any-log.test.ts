import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import type { DirectoryNode, Node } from '../../src/format/namespace.ts';
import type { Replica } from '../../src/format/replica.ts';
import {
  DATA,
  daxdev,
  deviceUuid,
  fileAt,
  mkdir,
  remove,
  replicaOf,
  SUPERBLOCK,
  UNIT,
} from './entries.ts';

const superblock = { ...SUPERBLOCK, deviceSizeBytes: DATA + 100 * UNIT };
const SECOND_BYTES = 60 * UNIT;
/** What no extent is aligned to that is accepted. */
const PART = UNIT / 4;

const path = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'a/b', 'a/c', 'b/a', 'a/b/c') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('..', '../x', '/a', 'a//b', 'a/', '.meta', 'a/../b'),
  },
);
/** Anywhere, often free; or among the first units, where the log ends and others want to be. */
const unit = fc.oneof(
  { weight: 4, arbitrary: fc.noBias(fc.integer({ min: 5, max: 120 })) },
  { weight: 1, arbitrary: fc.integer({ min: 3, max: 12 }) },
);
const extent: fc.Arbitrary<Extent> = fc
  .tuple(fc.nat(15), unit, fc.constantFrom(1, 1, 1, 2, 2, 4), fc.nat(15))
  .map(([device, unit, units, oddity]) => ({
    devindex: device < 12 ? 0 : 15 - device,
    offset: unit * UNIT + (oddity === 7 ? PART : 0),
    lengthBytes: oddity === 5 ? 0 : units * UNIT,
  }));
const extents = fc.oneof(
  extent.map((one) => [one]),
  fc.array(extent, { minLength: 1, maxLength: 3 }),
);
const file: fc.Arbitrary<NewEntry> = fc
  .record({ path, extents, striped: fc.nat(3), chunk: fc.nat(7), sizeBytes: fc.nat(UNIT + PART) })
  .map(({ path, extents, striped, chunk, sizeBytes }) => {
    const chunkBytes = chunk === 5 ? PART : UNIT;
    const entry = { ...fileAt(path, ...extents), sizeBytes };
    if (striped > 0) return entry;
    return { ...entry, fmap: { type: 'interleaved', chunkBytes, strips: extents } };
  });
const directory = path.map((path) => mkdir(path));
const deletion = fc.tuple(path, fc.nat(20)).map(([path, target]) => remove(path, target));
const device = fc
  .tuple(fc.constantFrom(1, 1, 0, 2), fc.constantFrom(0, 1, 2, 3))
  .map(([devindex, which]): NewEntry => {
    const uuid = which === 0 ? SUPERBLOCK.deviceUuid : deviceUuid(which);
    return { ...daxdev(devindex, SECOND_BYTES), deviceUuid: uuid };
  });
const entry = fc.oneof(
  { weight: 12, arbitrary: file },
  { weight: 4, arbitrary: directory },
  { weight: 4, arbitrary: deletion },
  { weight: 1, arbitrary: device },
);

/** Entries whose deletes often hit: they name the last entry of their path. */
const logs = fc.array(fc.tuple(entry, fc.nat(3)), { maxLength: 40, size: 'max' }).map((list) =>
  list.map(([entry, aims], index) => {
    if (entry.type !== 'delete' || aims === 0) return entry;
    const isTarget = ([other]: readonly [NewEntry, number]) =>
      'path' in other && other.path === entry.path && other.type !== 'delete';
    const targetIndex = list.slice(0, index).findLastIndex(isTarget);
    return targetIndex < 0 ? entry : { ...entry, targetIndex };
  }),
);

/** Parts of each device: 1 where an entry names them, once the device is there. */
function namedParts(log: readonly NewEntry[], replica: Replica): Uint8Array[] {
  const devices = [new Uint8Array(superblock.deviceSizeBytes / PART).fill(1, 0, DATA / PART)];
  const uuids = [superblock.deviceUuid];
  for (const each of log) {
    const isNext = each.type === 'add-daxdev' && each.devindex === devices.length;
    if (isNext && !uuids.includes(each.deviceUuid)) {
      uuids.push(each.deviceUuid);
      devices.push(new Uint8Array(SECOND_BYTES / PART).fill(1, 0, UNIT / PART));
    }
    if (each.type !== 'file') continue;
    for (const { devindex, offset, lengthBytes } of fmapExtents(each.fmap)) {
      devices[devindex]?.fill(1, offset / PART, (offset + lengthBytes) / PART);
    }
  }
  expect(replica.devices.map(({ deviceUuid: uuid }) => uuid)).toEqual(uuids);
  return devices;
}

function nodesOf(directory: DirectoryNode): Node[] {
  return [...directory.children()].flatMap((node) =>
    node.kind === 'directory' ? [node, ...nodesOf(node)] : [node],
  );
}

/** What a host can observe of a log. */
function stateOf({ namespace, space, problems, position, applied }: Replica) {
  const nodes = nodesOf(namespace.root).map(({ path, ino, entryIndex }) => [path, ino, entryIndex]);
  return { nodes, free: space.freeBytes, problems, position, applied };
}

describe('any log', () => {
  test('leaves free exactly what no entry names, and no memory to two files', () => {
    const total = { live: 0, dead: 0, rejected: 0 };
    const check = (log: readonly NewEntry[]) => {
      const replica = replicaOf(log, { superblock });
      total.live += replica.namespace.fileCount;
      total.dead += replica.deadExtents().length;
      total.rejected += replica.skipped;
      const named = namedParts(log, replica);
      const freeParts = named.flatMap((parts) => [...parts]).filter((part) => part === 0).length;
      expect(replica.space.freeBytes).toBe(freeParts * PART);
      const owned = [...replica.namespace.files()].flatMap((file) => fmapExtents(file.fmap));
      const owners = named.map((parts) => new Uint8Array(parts.length));
      for (const each of [...owned, ...replica.deadExtents()]) {
        expect([each.offset % UNIT, each.lengthBytes % UNIT]).toEqual([0, 0]);
        expect(replica.space.contains(each)).toBe(true);
        expect(replica.space.isFree(each)).toBe(false);
        const range = [each.offset / PART, (each.offset + each.lengthBytes) / PART] as const;
        expect(owners[each.devindex]?.subarray(...range).includes(1)).toBe(false);
        owners[each.devindex]?.fill(1, ...range);
      }
    };
    fc.assert(fc.property(logs, check), { numRuns: 200 });
    expect(total.live).toBeGreaterThan(50);
    expect(total.dead).toBeGreaterThan(5);
    expect(total.rejected).toBeGreaterThan(300);
  });

  test('gives a tree that hangs together and stays inside the pool', () => {
    const check = (log: readonly NewEntry[]) => {
      const replica = replicaOf(log, { superblock });
      const { namespace } = replica;
      const nodes = nodesOf(namespace.root);
      for (const node of nodes) {
        expect(node.path).toMatch(/^[abcd](\/[abcd])*$/);
        expect(namespace.lookup(node.path)).toBe(node);
        expect(namespace.byIno(node.ino)).toBe(node);
        expect(log[node.entryIndex]).toMatchObject({ path: node.path });
      }
      expect(new Set(nodes.map(({ ino }) => ino)).size).toBe(nodes.length);
      expect(namespace.fileCount + namespace.directoryCount).toBe(nodes.length);
      expect([...namespace.files()].length).toBe(namespace.fileCount);
      expect(replica.applied + replica.problemCount).toBe(replica.position);
      expect(replica.position).toBe(log.length);
    };
    fc.assert(fc.property(logs, check), { numRuns: 200 });
  });

  test('means the same however it is cut into batches', () => {
    const check = (log: readonly NewEntry[], cut: number) => {
      const images = log.map((each, at) => encodeLogEntry(at, each));
      const whole = replicaOf(images, { superblock });
      const parts = replicaOf([], { superblock });
      const bytes = Buffer.concat(images);
      const first = Math.min(cut, images.length);
      parts.applyBatch(bytes, first);
      parts.applyBatch(bytes.subarray(first * 544), images.length - first);
      expect(stateOf(parts)).toEqual(stateOf(whole));
    };
    fc.assert(fc.property(logs, fc.nat(40), check));
  });
});
