import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { Namespace, type Node } from '../../src/format/namespace.ts';
import { heldInodes, type Resolve, reportReferences } from '../../src/fs/reference-report.ts';
import { References } from '../../src/fs/references.ts';
import { at, FILES_AT, ModelPool, simple } from '../kernel-model/model-pool.ts';

const OWNER = { uid: 0, gid: 0, mode: 0o644, flags: 0 };
const placeOf = (file: number) => at(FILES_AT + file * 2 * MiB, 2 * MiB);

/** `count` files of a volume, and the resolver of a server for which they are deleted or live. */
function filesOf(count: number, isLive: boolean) {
  const namespace = new Namespace();
  const volume = namespace.addDirectory(namespace.root, 'vol', 0, OWNER);
  const files = Array.from({ length: count }, (_, file) =>
    namespace.addFile(volume, `f${file}`, 1 + file, {
      ...{ ...OWNER, sizeBytes: 2 * MiB },
      fmap: simple(placeOf(file)),
    }),
  );
  const resolve: Resolve = (ino) => {
    const node: Node | undefined = namespace.byIno(ino);
    return node && { node, isLive };
  };
  return { volume, files, resolve };
}

/** A deleted file as a compacted log has it. */
function quarantined(volume: string): { ino: number; resolve: Resolve } {
  const namespace = new Namespace();
  const name = `+${volume.slice(0, 48)}+1z`;
  const fmap = simple(placeOf(0));
  const file = { ...OWNER, sizeBytes: 2 * MiB, fmap };
  const node = namespace.addFile(namespace.root, name, 1, file);
  return { ino: node.ino, resolve: () => ({ node, isLive: false }) };
}

function referred(...inos: readonly number[]): References {
  const references = new References();
  for (const ino of inos) references.lookedUp(ino);
  return references;
}

describe('a report of references', () => {
  test('lists 256 deleted files at most, and says how many there are', () => {
    const { files, resolve } = filesOf(300, false);
    const references = referred(...files.map(({ ino }) => ino));
    const { deleted, deletedCount } = reportReferences(references, resolve, undefined);
    expect([deleted.length, deletedCount]).toEqual([256, 300]);
    expect(deleted[255]).toEqual({
      ...{ volume: 'vol', ino: files[255]?.ino, lookups: 1, openFiles: 0 },
      extents: [placeOf(255)],
    });
  });

  test('has no deleted directory: it has no memory', () => {
    const { volume, resolve } = filesOf(0, false);
    expect(reportReferences(referred(volume.ino), resolve, undefined)).toMatchObject({
      ...{ volumes: [], deletedCount: 0 },
    });
  });

  test('has a file that the log does not know in every answer, of no volume', () => {
    const { files, resolve } = filesOf(1, true);
    const stranger = (files[0]?.ino ?? 0) + 512;
    for (const path of [undefined, 'vol', 'other']) {
      const report = reportReferences(referred(stranger), resolve, path);
      expect(report.deleted).toEqual([
        { volume: undefined, ino: stranger, extents: [], lookups: 1, openFiles: 0 },
      ]);
    }
  });

  test('is of the path that was asked about, not of one that begins alike', () => {
    const { files, resolve } = filesOf(11, true);
    const references = referred(...files.map(({ ino }) => ino));
    const cached = (path: string) =>
      reportReferences(references, resolve, path).volumes.map(({ cachedInodes }) => cachedInodes);
    expect(cached('vol')).toEqual([11]);
    expect(cached('vol/f1')).toEqual([1]);
    expect(cached('vo')).toEqual([]);
  });
});

test('a server that replays the log tells of the deleted file that the table still counts', () => {
  const pool = new ModelPool();
  pool.directory('old');
  const index = pool.file('old/data', simple(placeOf(0)));
  pool.remove('old/data', index);
  pool.remove('old', 0);
  pool.directory('new');
  pool.file('new/data', simple(placeOf(1)));
  const ino = 16 + FILES_AT / 4096;
  const references = referred(ino);
  references.opened(ino);
  using fs = pool.fileSystem({ references });
  expect(fs.referenceReport()).toEqual({
    ...{ volumes: [], volumeCount: 0, deletedCount: 1 },
    deleted: [{ volume: 'old', ino, extents: [placeOf(0)], lookups: 1, openFiles: 1 }],
  });
  references.released(ino);
  references.forgotten(ino, 1);
  expect(fs.referenceReport()).toMatchObject({ deleted: [], deletedCount: 0 });
});

describe('a report of references to files in quarantine', () => {
  test('knows the volume of a deleted file that a log written anew calls by another name', () => {
    const name = `pvc-${'0'.repeat(60)}`;
    const { resolve, ino } = quarantined(name);
    const { deleted } = reportReferences(referred(ino), resolve, name);
    expect(deleted).toMatchObject([{ volume: name.slice(0, 48), ino }]);
    expect(reportReferences(referred(ino), resolve, 'pvc-1').deletedCount).toBe(0);
  });
});

describe('held inodes', () => {
  test('are those of deleted files, in order', () => {
    const { volume, files, resolve } = filesOf(3, false);
    const inos = files.map(({ ino }) => ino);
    expect(heldInodes(referred(volume.ino, ...[...inos].reverse()), resolve)).toEqual(inos);
  });

  test('are none while the files live', () => {
    const { files, resolve } = filesOf(3, true);
    expect(heldInodes(referred(...files.map(({ ino }) => ino)), resolve)).toEqual([]);
  });

  test('have among them what the log does not know, but nothing of the pool itself', () => {
    const { files } = filesOf(1, false);
    const ino = files[0]?.ino ?? 0;
    expect(heldInodes(referred(ino), () => undefined)).toEqual([ino]);
    expect(heldInodes(referred(ino), () => 'own')).toEqual([]);
  });

  test('are listed up to 4096; more are unknown, which is not none', () => {
    const { files, resolve } = filesOf(4097, false);
    const inos = files.map(({ ino }) => ino);
    expect(heldInodes(referred(...inos.slice(1)), resolve)).toHaveLength(4096);
    expect(heldInodes(referred(...inos), resolve)).toBeUndefined();
  });
});
