import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { GiB, TiB } from '../../src/base/numbers.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { type DirectoryNode, Namespace, type Node } from '../../src/format/namespace.ts';
import type { Replica } from '../../src/format/replica.ts';
import { caught } from '../support/caught.ts';
import { DATA, daxdev, file, fileAt, mkdir, remove, replicaOf, UNIT } from './entries.ts';

/** Two names whose hashes agree in the 51 bits that a directory's inode number has room for. */
const COLLIDING = ['dir-3qlqa', 'dir-1bqwc3'] as const;

/** architecture.md, idea 3: bit 52 and 51 bits of a hash of the path. */
function hashedIno(path: string): number {
  const digest = createHash('sha256').update(path).digest();
  return Number((1n << 52n) | (digest.readBigUInt64BE(0) >> 13n));
}

/** Inode number of every node, by path. */
function inosOf(replica: Replica): Record<string, number> {
  const inos: Record<string, number> = {};
  const visit = (directory: DirectoryNode): void => {
    for (const node of directory.children()) {
      inos[node.path] = node.ino;
      if (node.kind === 'directory') visit(node);
    }
  };
  visit(replica.namespace.root);
  return inos;
}

const TREE: readonly NewEntry[] = [
  mkdir('d'),
  file('d/gone', 0),
  mkdir('d/e'),
  file('d/e/f', 1, 3),
  remove('d/gone', 1),
  file('g', 7),
  mkdir('é'),
];

describe('inode number', () => {
  test('of the root is 1', () => {
    const { namespace } = replicaOf(TREE);
    expect(namespace.root.ino).toBe(1);
    expect(namespace.byIno(1)).toBe(namespace.root);
  });

  test('of a file is the place of its first extent, in pages, above a small constant', () => {
    const other = { devindex: 1, offset: 4 * UNIT, lengthBytes: UNIT };
    const strips = [DATA + 8 * UNIT, DATA].map((offset) => ({
      devindex: 0,
      offset,
      lengthBytes: UNIT,
    }));
    const replica = replicaOf([
      daxdev(1),
      file('a', 3),
      fileAt('b', other, { devindex: 0, offset: DATA + 5 * UNIT, lengthBytes: UNIT }),
      { ...file('c', 0), fmap: { type: 'interleaved', chunkBytes: UNIT, strips } },
    ]);
    expect(inosOf(replica)).toEqual({
      a: 16 + (DATA + 3 * UNIT) / 4096,
      b: 16 + 2 ** 44 + (4 * UNIT) / 4096,
      c: 16 + (DATA + 8 * UNIT) / 4096,
    });
  });

  test('of a file stays below those of directories, at the end of the last device too', () => {
    const devices = Array.from({ length: 63 }, (_, at): NewEntry => {
      return daxdev(at + 1, at < 62 ? GiB : 4096 * TiB); // together below 2^53
    });
    const last = { devindex: 63, offset: 4096 * TiB - UNIT, lengthBytes: UNIT };
    const replica = replicaOf([...devices, fileAt('a', last), mkdir('d')]);
    const { a, d } = inosOf(replica);
    expect(a).toBe(16 + 63 * 2 ** 44 + last.offset / 4096);
    expect(a).toBeLessThan(2 ** 52);
    expect(d).toBeGreaterThanOrEqual(2 ** 52);
    expect(d).toBeLessThan(2 ** 53);
  });

  test('of a directory is a hash of its path', () => {
    const { d, 'd/e': e, é } = inosOf(replicaOf(TREE));
    expect([d, e, é]).toEqual([hashedIno('d'), hashedIno('d/e'), hashedIno('é')]);
  });

  test.each([
    [COLLIDING[0], COLLIDING[1]],
    [COLLIDING[1], COLLIDING[0]],
  ])('of two directories that collide, %s and %s, goes in log order', (first, second) => {
    expect(hashedIno(first)).toBe(hashedIno(second));
    const replica = replicaOf([mkdir(first), mkdir(second)]);
    const ino = hashedIno(first);
    expect(inosOf(replica)).toEqual({ [first]: ino, [second]: ino + 1 });
    expect(replica.namespace.byIno(ino)?.path).toBe(first);
    expect(replica.namespace.byIno(ino + 1)?.path).toBe(second);
  });

  test('of a directory stays when the one goes that it collided with', () => {
    const [first, second] = COLLIDING;
    const log = [mkdir(first), mkdir(second), remove(first, 0)];
    const ino = hashedIno(first);
    expect(inosOf(replicaOf(log))).toEqual({ [second]: ino + 1 });
    expect(replicaOf(log).namespace.byIno(ino)).toBeUndefined();
    expect(inosOf(replicaOf([...log, mkdir(first)]))).toEqual({ [first]: ino, [second]: ino + 1 });
  });

  test('is the same in every replay, and in that of the compacted log', () => {
    const inos = inosOf(replicaOf(TREE));
    expect(Object.keys(inos)).toEqual(['d', 'd/e', 'd/e/f', 'g', 'é']);
    expect(inosOf(replicaOf(TREE))).toEqual(inos);
    const compacted = [file('g', 7), mkdir('é'), mkdir('d'), mkdir('d/e'), file('d/e/f', 1, 3)];
    expect(inosOf(replicaOf(compacted))).toEqual(inos);
    expect(new Set(Object.values(inos)).size).toBe(5);
  });
});

describe('namespace', () => {
  const { namespace } = replicaOf(TREE);

  test('finds what is there by path and by inode number, and nothing else', () => {
    for (const [path, ino] of Object.entries(inosOf(replicaOf(TREE)))) {
      expect(namespace.lookup(path)).toMatchObject({ path, ino });
      expect(namespace.byIno(ino)).toBe(namespace.lookup(path));
    }
    expect(namespace.lookup('')).toBe(namespace.root);
    for (const path of ['d/gone', 'x', 'g/x', '/d', 'd/', 'd//e', '.', '..', 'd/.', '__proto__']) {
      expect([path, namespace.lookup(path)]).toEqual([path, undefined]);
    }
    expect([...namespace.files()].map((each) => each.path)).toEqual(['d/e/f', 'g']);
    expect([namespace.fileCount, namespace.directoryCount]).toEqual([2, 3]);
  });

  test.each<[string, string, string, RegExp]>([
    ['no path', '', 'INVALID', /has 0 bytes, expected 1 to 79/],
    ['80 bytes', 'p'.repeat(80), 'INVALID', /has 80 bytes/],
    ['40 characters of 80 bytes', 'é'.repeat(40), 'INVALID', /has 80 bytes/],
    ['an absolute path', '/d', 'INVALID', /is absolute/],
    ['a slash at the end', 'x/', 'INVALID', /empty component/],
    ['two slashes', 'd//x', 'INVALID', /empty component/],
    ['a dot', 'd/./x', 'INVALID', /component "\."/],
    ['a way up', 'd/../x', 'INVALID', /component "\.\."/],
    ['a NUL', 'a\0b', 'INVALID', /holds a NUL/],
    ['.meta', '.meta', 'INVALID', /reserved/],
    ['a file in .meta', '.meta/.log', 'INVALID', /reserved/],
    ['a missing parent', 'x/y', 'NOT_FOUND', /parent directory is missing/],
    ['a deleted parent', 'd/gone/y', 'NOT_FOUND', /is missing/],
    ['a file as parent', 'g/y', 'NOT_FOUND', /is a file/],
    ['a file that is there', 'g', 'EXISTS', /a file from log entry 5/],
    ['a directory that is there', 'd/e', 'EXISTS', /a directory from log entry 2/],
  ])('has no place for %s', (_, path, code, message) => {
    expect(namespace.place(path)).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(caught(() => namespace.checkNewPath(path)).code).toBe(code);
  });

  test.each([
    ['x', ''],
    ['d/gone', 'd'],
    ['d/e/..x', 'd/e'],
    ['d/.meta', 'd'],
    ['.metal', ''],
    ['é/\n"', 'é'],
    ['p'.repeat(79), ''],
  ])('has a place for %j in %j', (path, parent) => {
    expect(namespace.checkNewPath(path)).toBe(path);
    expect(namespace.place(path)).toEqual({
      parent: namespace.lookup(parent),
      name: path.slice(path.lastIndexOf('/') + 1),
    });
  });

  test('starts with nothing but a root that everybody may read', () => {
    const { root, fileCount, directoryCount } = new Namespace();
    expect(root).toMatchObject({ ino: 1, path: '', mode: 0o755, entryIndex: -1, childCount: 0 });
    expect([fileCount, directoryCount]).toEqual([0, 0]);
  });

  test('lists a directory in log order, or from any inode number on, as others come and go', () => {
    const entries: NewEntry[] = [mkdir('d')];
    for (let at = 1; at <= 100; at++) entries.push(file(`d/${at}`, 300 - at));
    for (let at = 1; at <= 100; at++) if (at % 10 > 0) entries.push(remove(`d/${at}`, at));
    entries.push(file('d/1', 100), file('d/new', 101)); // entries 191 and 192
    const { namespace } = replicaOf(entries);
    const d = namespace.lookup('d') as DirectoryNode;
    const tens = ['10', '20', '30', '40', '50', '60', '70', '80', '90', '100'];
    expect([...d.children()].map(({ name }) => name)).toEqual([...tens, '1', 'new']);
    const namesFrom = (first: number) => [...d.childrenFrom(first)].map(({ name }) => name);
    const byPlace = ['1', 'new', ...tens.reverse()];
    expect(namesFrom(0)).toEqual(byPlace);
    const { ino } = d.child('60') as Node;
    expect(namesFrom(ino)).toEqual(byPlace.slice(byPlace.indexOf('60')));
    expect(namesFrom(ino + 1)).toEqual(byPlace.slice(byPlace.indexOf('60') + 1));
    expect(namesFrom((d.child('10') as Node).ino + 1)).toEqual([]);
    expect(d.childCount).toBe(12);
    expect(d.child('1')).toMatchObject({ entryIndex: 191 });
  });

  test('lists a name once that was deleted and is there again', () => {
    const log = [file('a', 0), file('b', 1), remove('a', 0), file('a', 2)];
    const { root } = replicaOf(log).namespace;
    const listed = [...root.children()].map(({ name, entryIndex }) => [name, entryIndex]);
    expect(listed).toEqual([
      ['b', 1],
      ['a', 3],
    ]);
  });
});
