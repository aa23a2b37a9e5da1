import { beforeEach, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS, type Layout } from '../../src/format/allocator.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { directoryIno } from '../../src/format/namespace.ts';
import type { DeadFile, Replica } from '../../src/format/replica.ts';
import type { FamfsFileSystem } from '../../src/fs/famfs-file-system.ts';
import { References } from '../../src/fs/references.ts';
import type { Attr } from '../../src/fuse/operations.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { ModelPool } from '../kernel-model/model-pool.ts';
import { caught } from '../support/caught.ts';
import { writerOf } from '../support/log-writer.ts';

const OWNER = { uid: 0, gid: 0 };
const UNIT = 2 * MiB;

let pool: ModelPool;
let writer: LogWriter;
let references: References;
let told: string[];
let isReleased: (dead: DeadFile) => boolean;

beforeEach(() => {
  pool = new ModelPool();
  isReleased = () => false;
  writer = writerOf(new LogFollower(pool.memory), { isReleased: (dead) => isReleased(dead) });
  references = new References();
  told = [];
});

/** A server of the one node, or the next one: what the kernel refers to outlives it. */
function serve(): FamfsFileSystem {
  const onRemoved = (parent: number, name: string) => told.push(`${parent} ${name}`);
  return pool.fileSystem({ generation: 'push2', references, onRemoved });
}

function append(plan: (replica: Replica) => NewEntry[]): void {
  writer.appendHeld((replica) => ({ entries: plan(replica), result: undefined }));
}

function mkdir(path: string, mode = 0o755): void {
  append(() => [{ type: 'mkdir', path, ...OWNER, mode }]);
}

function make(path: string, sizeBytes = UNIT, layout: Layout = CONTIGUOUS, mode = 0o644): void {
  append(({ space }) => {
    const fmap = space.find(layout, sizeBytes);
    return [{ type: 'file', path, sizeBytes, flags: 2, ...OWNER, mode, fmap }];
  });
}

function remove(...paths: readonly string[]): void {
  append(({ namespace }) =>
    paths.map((path) => {
      const targetIndex = namespace.lookup(path)?.entryIndex ?? -1;
      return { type: 'delete', path, targetIndex };
    }),
  );
}

/** As a kernel looks a path up: each name is a reference more. */
function lookUp(fs: FamfsFileSystem, path: string): Attr {
  let at = 1;
  let attr: Attr | undefined;
  for (const name of path.split('/')) {
    const found = fs.lookup(at, name);
    if (typeof found === 'number') throw new Error(`${path}: errno ${found}`);
    fs.lookedUp(found.ino);
    at = found.ino;
    attr = found;
  }
  return attr as Attr;
}

/** What one READDIR gives that has room for so many names. */
function listing(fs: FamfsFileSystem, ino: number, cookie: number, room: number) {
  const names: string[] = [];
  let next = cookie;
  const error = fs.readdir(ino, cookie, (name, _, nextCookie) => {
    if (names.length === room) return false;
    names.push(name);
    next = nextCookie;
    return true;
  });
  expect(error).toBe(0);
  return { names, next };
}

describe('a listing that is under way', () => {
  test('names all that stays there once, over compactions, deletions and a new server', () => {
    const kept = Array.from({ length: 200 }, (_, at) => `kept-${at}`);
    const gone = Array.from({ length: 100 }, (_, at) => `gone-${at}`);
    mkdir('d');
    for (const [at, name] of kept.entries()) {
      if (at < gone.length) make(`d/${gone[at]}`);
      if (at % 3 === 0) mkdir(`d/${name}`);
      else make(`d/${name}`);
    }
    isReleased = () => true;
    let fs = serve();
    const { ino } = lookUp(fs, 'd');
    const seen: string[] = [];
    let doomed = 0;
    for (let cookie = 0, calls = 0; ; calls++) {
      const { names, next } = listing(fs, ino, cookie, 3);
      if (names.length === 0 || calls > 1000) break;
      seen.push(...names);
      cookie = next;
      // Some go, some come where those were, and then the log is another one.
      remove(...gone.slice(doomed, doomed + 2).map((name) => `d/${name}`));
      doomed += 2;
      make(`d/new-${calls}`);
      if (calls % 5 === 0) writer.compactHeld();
      fs.follow();
      if (calls % 8 !== 0) continue;
      fs[Symbol.dispose]();
      fs = serve();
    }
    expect(doomed).toBeGreaterThan(gone.length);
    expect(seen.filter((name) => name.startsWith('kept')).sort()).toEqual([...kept].sort());
    expect(seen.slice(0, 2)).toEqual(['.', '..']);
    expect(new Set(seen).size).toBe(seen.length);
    fs[Symbol.dispose]();
  });
});

describe('a server over a compaction', () => {
  test('gives every node the same number, attributes and map', () => {
    make('first');
    mkdir('d');
    mkdir('d/e', 0o700);
    make('d/e/striped', 64 * MiB, { strips: 2, buckets: 2, chunkBytes: UNIT });
    make('d/small', 5, CONTIGUOUS, 0o600);
    remove('first');
    using fs = serve();
    const facts = () =>
      ['d', 'd/e', 'd/e/striped', 'd/small'].map((path) => {
        const attr = lookUp(fs, path);
        return { attr, fmap: fs.getFmap(attr.ino) };
      });
    const before = facts();
    const { generation } = new LogFollower(pool.memory);
    writer.compactHeld();
    fs.follow();
    expect(new LogFollower(pool.memory).generation).toBeGreaterThan(generation);
    expect(facts()).toEqual(before);
    using successor = serve();
    expect(before.map(({ attr }) => successor.getattr(attr.ino))).toEqual(
      before.map(({ attr }) => attr),
    );
    expect(told).toEqual([]);
  });

  test('keeps a deleted file that is open, as its successors do, until it is forgotten', () => {
    mkdir('v');
    make('v/data', 3 * MiB);
    let fs = serve();
    const { ino } = lookUp(fs, 'v/data');
    fs.open(ino, 0);
    const fmap = fs.getFmap(ino);
    remove('v/data', 'v');
    for (let servers = 0; servers < 3; servers++) {
      writer.compactHeld();
      fs.follow();
      expect(fs.getattr(ino)).toMatchObject({ ino, sizeBytes: 3 * MiB });
      expect(fs.getFmap(ino)).toEqual(fmap);
      expect(fs.lookup(1, 'v')).toBe(-2);
      const { deleted } = fs.referenceReport();
      expect(deleted).toMatchObject([{ ino, lookups: 1, openFiles: 1, volume: 'v' }]);
      expect(fs.referenceReport('v').deletedCount).toBe(1);
      fs[Symbol.dispose]();
      fs = serve();
    }
    fs.release(ino);
    fs.forget(ino, 1);
    expect(fs.getattr(ino)).toBe(-2);
    expect(fs.referenceReport().deletedCount).toBe(0);
    fs[Symbol.dispose]();
  });

  test('tells of a name that went with the log before, which its successor never saw', () => {
    mkdir('v');
    mkdir('v/deep');
    make('v/deep/data');
    make('v/other');
    {
      using fs = serve();
      lookUp(fs, 'v/deep/data');
      lookUp(fs, 'v/other');
    }
    remove('v/deep/data', 'v/deep', 'v/other', 'v');
    make('v'); // a file now
    writer.compactHeld();
    writer.compactHeld();
    using successor = serve();
    // The directories are gone without a trace; the kernel looks there for the names.
    expect(told.sort()).toEqual(
      [`${directoryIno('v')} other`, `${directoryIno('v/deep')} data`].sort(),
    );
    expect(successor.referenceReport().deleted).toMatchObject([{ volume: 'v' }, { volume: 'v' }]);
  });

  test('tells of it itself, where the DELETE and the compaction came between two looks', () => {
    mkdir('v');
    make('v/data');
    using fs = serve();
    const { ino } = lookUp(fs, 'v/data');
    remove('v/data', 'v');
    writer.compactHeld();
    fs.follow();
    expect(new Set(told)).toEqual(new Set([`${directoryIno('v')} data`, '1 v']));
    expect(fs.getattr(ino)).toMatchObject({ ino });
  });

  test('does not tell of a name that is taken again', () => {
    mkdir('v');
    make('v/data');
    const { ino } = lookUp(serve(), 'v/data');
    remove('v/data', 'v');
    mkdir('v', 0o700);
    make('v/data');
    writer.compactHeld();
    using successor = serve();
    expect(told).toEqual([]);
    const now = lookUp(successor, 'v/data');
    expect(now.ino).not.toBe(ino);
    expect(successor.lookup(1, 'v')).toMatchObject({ ino: directoryIno('v'), mode: 0o040700 });
  });

  test('names a file that has the mark of quarantine itself, and lives, as any other', () => {
    make('+a+b');
    make('+a');
    using fs = serve();
    const { ino } = lookUp(fs, '+a+b');
    remove('+a+b');
    make('+a+b');
    writer.compactHeld();
    fs.follow();
    expect(told).toContain('1 +a+b');
    expect(fs.getattr(ino)).toMatchObject({ ino });
    expect(lookUp(fs, '+a+b').ino).not.toBe(ino);
  });

  test('gives a number to a new file, with new facts, only once nothing has the old one', () => {
    mkdir('v');
    make('v/data', 4 * MiB, CONTIGUOUS, 0o600);
    using fs = serve();
    const old = lookUp(fs, 'v/data');
    remove('v/data', 'v');
    fs.follow();
    isReleased = ({ node }) => references.of(node.ino).lookups === 0;
    writer.compactHeld();
    make('w', 4 * MiB);
    fs.follow();
    expect(lookUp(fs, 'w').ino).not.toBe(old.ino);
    fs.forget(old.ino, 1);
    writer.compactHeld();
    make('x', 3 * MiB);
    fs.follow();
    expect(fs.lookup(directoryIno('v'), 'data')).toBe(-2);
    const reused = lookUp(fs, 'x');
    expect(reused).toMatchObject({ ino: old.ino, sizeBytes: 3 * MiB, mode: 0o100644 });
  });
});

describe('a server, while the log is taken over or rewritten', () => {
  test('serves what it knew before; a successor does not start, rather than know nothing', () => {
    mkdir('v');
    make('v/data');
    make('gone');
    remove('gone');
    using fs = serve();
    const { ino } = lookUp(fs, 'v/data');
    const fmap = fs.getFmap(ino);
    const { position } = fs.pool.replica;
    dieInRewriting();
    fs.follow();
    expect(fs.pool.replica.position).toBe(position);
    expect(fs.getFmap(ino)).toEqual(fmap);
    expect(fs.lookup(1, 'gone')).toBe(-2);
    expect(listing(fs, directoryIno('v'), 2, 10).names).toEqual(['data']);
    expect(caught(serve)).toMatchObject({ code: 'BUSY' });
    // Another writer of the host goes on.
    writer = writerOf(new LogFollower(pool.memory));
    make('new');
    fs.follow();
    expect(lookUp(fs, 'v/data').ino).toBe(ino);
    expect(lookUp(fs, 'new').sizeBytes).toBe(UNIT);
    expect(fs.pool.replica.problems).toEqual([]);
    using successor = serve();
    expect(successor.getattr(ino)).toEqual(fs.getattr(ino));
  });
});

/** Up to the first store behind next_index 0: the log is empty for who does not know more. */
function dieInRewriting(): void {
  const follower = new LogFollower(pool.memory);
  const { memory } = follower;
  const write = memory.write.bind(memory);
  let isBegun = false;
  memory.publish = new Proxy(memory.publish.bind(memory), {
    apply(publish, _, [offset, value]: [number, bigint]) {
      publish(offset, value);
      if (value === 0n) isBegun = true;
    },
  });
  memory.write = (offset, bytes) => {
    if (isBegun) throw new Error('killed');
    write(offset, bytes);
  };
  expect(() => writerOf(follower).compactHeld()).toThrow();
  Reflect.deleteProperty(memory, 'write');
  Reflect.deleteProperty(memory, 'publish');
}
