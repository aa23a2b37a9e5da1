import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Fault } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import type { Fmap } from '../../src/format/extents.ts';
import { type DirectoryNode, Namespace, type Node } from '../../src/format/namespace.ts';

const OWNER = { uid: 10, gid: 20, mode: 0o750 };

function simple(...offsets: number[]): Fmap {
  const extents = offsets.map((offset) => ({ devindex: 0, offset, lengthBytes: 2 * MiB }));
  return { type: 'simple', extents };
}

function facts(fmap: Fmap) {
  return { ...OWNER, sizeBytes: 4096, flags: 2, fmap };
}

/** Adds a node where the path says, as a replay does. */
function make(namespace: Namespace, path: string, entryIndex: number, fmap?: Fmap) {
  const place = namespace.place(path);
  if (place instanceof Fault) throw place;
  const { parent, name } = place;
  return fmap === undefined
    ? namespace.addDirectory(parent, name, entryIndex, OWNER)
    : namespace.addFile(parent, name, entryIndex, facts(fmap));
}

function problemOf(namespace: Namespace, path: string): string {
  const place = namespace.place(path);
  return place instanceof Fault ? place.code : 'none';
}

const unit = fc.integer({ min: 0, max: 2 ** 40 });
const extent = fc
  .tuple(fc.nat(63), unit, fc.integer({ min: 1, max: 2 ** 30 }))
  .map(([devindex, at, units]) => ({ devindex, offset: at * 4096, lengthBytes: units * 4096 }));
const extents = fc.array(extent, { minLength: 1, maxLength: 16 });
const fmap = fc.oneof(
  extents.map((all): Fmap => ({ type: 'simple', extents: all })),
  extents.map((strips): Fmap => ({ type: 'interleaved', chunkBytes: 2 * MiB, strips })),
);

describe('a file node', () => {
  test('gives back every fmap that it was made with', () => {
    fc.assert(
      fc.property(fmap, (given) => {
        const namespace = new Namespace();
        expect(namespace.addFile(namespace.root, 'file', 0, facts(given)).fmap).toEqual(given);
      }),
    );
  });

  test('keeps its own facts, whatever its neighbours in the log have', () => {
    const namespace = new Namespace();
    const { root } = namespace;
    const base = { uid: 1, gid: 2, mode: 0o640, flags: 2 };
    const others = [{ uid: 9 }, { gid: 9 }, { mode: 0o777 }, { flags: 1 }];
    const wanted = [base, ...others.flatMap((change) => [{ ...base, ...change }, base]), base];
    const nodes = wanted.map((each, at) => {
      return namespace.addFile(root, `file-${at}`, at, { ...facts(simple(at * 2 * MiB)), ...each });
    });
    const found = nodes.map(({ uid, gid, mode, flags }) => ({ uid, gid, mode, flags }));
    expect(found).toEqual(wanted);
  });

  test('keeps of a mode what chmod can set', () => {
    const namespace = new Namespace();
    const { root } = namespace;
    const file = namespace.addFile(root, 'file', 0, { ...facts(simple(0)), mode: 0o107640 });
    const directory = namespace.addDirectory(root, 'directory', 1, { ...OWNER, mode: 0o041750 });
    expect([file.mode, directory.mode]).toEqual([0o7640, 0o1750]);
  });
});

describe('the parent of the last path', () => {
  test('is not taken for a parent once it is deleted', () => {
    const namespace = new Namespace();
    make(namespace, 'volume', 0);
    const file = make(namespace, 'volume/one', 1, simple(0));
    expect(problemOf(namespace, 'volume/two')).toBe('none');
    namespace.remove(file);
    const gone = namespace.lookup('volume');
    if (gone !== undefined) namespace.remove(gone);
    expect(problemOf(namespace, 'volume/two')).toBe('NOT_FOUND');
  });

  test('gives way to a directory that was made anew in its place', () => {
    const namespace = new Namespace();
    const old = make(namespace, 'volume', 0);
    expect(problemOf(namespace, 'volume/one')).toBe('none');
    namespace.remove(old);
    const anew = make(namespace, 'volume', 1);
    expect(make(namespace, 'volume/one', 2, simple(0)).parent).toBe(anew);
  });

  test('is no parent of a path that only starts alike', () => {
    const namespace = new Namespace();
    make(namespace, 'ab', 0);
    expect(problemOf(namespace, 'ab/file')).toBe('none');
    for (const path of ['abc/file', 'a/file', 'ac/file', 'ab/c/file']) {
      expect([path, problemOf(namespace, path)]).toEqual([path, 'NOT_FOUND']);
    }
  });
});

describe('a path', () => {
  test('is judged by the rules one by one, however plain it looks', () => {
    const part = fc.constantFrom('', '.', '..', '.meta', '...', '.a', 'a', 'a.b', '-', 'ü', 'a b');
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), (parts) => {
        const path = parts.join('/');
        const wrong =
          parts.some((name) => name === '' || name === '.' || name === '..') ||
          parts[0] === '.meta';
        const expected = wrong ? 'INVALID' : parts.length === 1 ? 'none' : 'NOT_FOUND';
        expect([path, problemOf(new Namespace(), path)]).toEqual([path, expected]);
      }),
    );
  });

  test.each([
    ['79 letters', 'x'.repeat(79), 'none'],
    ['80 letters', 'x'.repeat(80), 'INVALID'],
    ['79 bytes, two to a letter but one', `x${'ü'.repeat(39)}`, 'none'],
    ['80 bytes, two to a letter', 'ü'.repeat(40), 'INVALID'],
    ['a NUL', 'a\0b', 'INVALID'],
    ['a line feed at its end', 'a\n', 'none'],
  ])('of %s is judged by its bytes', (_, path, expected) => {
    expect(problemOf(new Namespace(), path)).toBe(expected);
  });
});

describe('a directory', () => {
  test('lists its children in log order, or by inode number from any of them on', () => {
    const kinds = { isListed: fc.boolean(), isDirectory: fc.boolean() };
    const action = fc.record({ name: fc.nat(30), from: fc.nat(2 ** 31), ...kinds });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const namespace = new Namespace();
        const directory = make(namespace, 'd', 0) as DirectoryNode;
        const living = new Map<string, Node>();
        actions.forEach(({ name: number, from, isListed, isDirectory }, at) => {
          const name = `child-${number}`;
          const node = living.get(name);
          living.delete(name);
          // Each file in a place of its own, up and down; a directory has its number by its name.
          const fmap = isDirectory ? undefined : simple(((at * 53) % 81) * MiB);
          if (node !== undefined) namespace.remove(node);
          else living.set(name, make(namespace, `d/${name}`, at + 1, fmap));
          if (!isListed) return;
          const namesOf = (nodes: Iterable<Node>) => [...nodes].map((child) => child.name);
          expect(namesOf(directory.children())).toEqual([...living.keys()]);
          const expected = [...living.values()].sort((a, b) => a.ino - b.ino);
          const first = expected[from % (expected.length + 1)]?.ino ?? from % 25_000;
          expect(namesOf(directory.childrenFrom(first))).toEqual(
            namesOf(expected.filter(({ ino }) => ino >= first)),
          );
        });
      }),
    );
  });
});
