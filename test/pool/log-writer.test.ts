import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS } from '../../src/format/allocator.ts';
import { committedOffset } from '../../src/format/control-area.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import type { Replica } from '../../src/format/replica.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter, Plan, WriterLock } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { mkdir, remove } from '../format/entries.ts';
import { rejection } from '../support/caught.ts';
import { checkOf, HeapMemory } from '../support/heap-memory.ts';
import { writerOf } from '../support/log-writer.ts';
import { imageMemory } from '../support/vectors.ts';

const LOG_OFFSET = 2 * MiB;
const NEXT_SEQNUM = LOG_OFFSET + 32;
const NEXT_INDEX = LOG_OFFSET + 40;

/** A lock that nobody else wants, which counts its holds. */
class CountingLock implements WriterLock {
  holds = 0;
  held = false;

  async acquire(): Promise<Disposable> {
    return this.tryAcquire();
  }

  tryAcquire(): Disposable {
    expect(this.held).toBe(false);
    this.holds++;
    this.held = true;
    const release = () => {
      this.held = false;
    };
    return { [Symbol.dispose]: release };
  }
}

interface Host {
  readonly memory: HeapMemory;
  readonly lock: CountingLock;
  readonly follower: LogFollower;
  readonly writer: LogWriter;
}

function hostOf(memory: HeapMemory, mayWrite: () => void = () => {}, isOpened = true): Host {
  const lock = new CountingLock();
  const follower = new LogFollower(memory);
  const writer = writerOf(follower, { lock, mayWrite });
  // It has opened the log: what it stores from now on are entries.
  if (isOpened) writer.appendHeld(() => ({ entries: [], result: undefined }));
  memory.stores = 0;
  memory.publishes = 0;
  return { memory, lock, follower, writer };
}

/** Makes host 0 the owner of the log, as its first append would. */
function own(memory: HeapMemory): void {
  writerOf(new LogFollower(memory)).appendHeld(() => ({ entries: [], result: undefined }));
}

function emptyPool(): HeapMemory {
  const memory = new HeapMemory(GiB);
  mkfs(memory, { deviceName: 'test', systemUuid: '00000000-0000-4000-8000-000000000001' });
  own(memory);
  memory.stores = 0;
  memory.publishes = 0;
  return memory;
}

function plan(...entries: readonly NewEntry[]): () => Plan<number> {
  return () => ({ entries, result: entries.length });
}

/** A directory and a file of 1 byte in it: what a volume is. */
function volume(name: string): (replica: Replica) => Plan<number> {
  return ({ space, position }) => {
    const fmap = space.find(CONTIGUOUS, 1);
    const file = { type: 'file', path: `${name}/data`, sizeBytes: 1, flags: 2, fmap } as const;
    const entries = [mkdir(name), { ...file, uid: 0, gid: 0, mode: 0o600 }];
    return { entries, result: position };
  };
}

/** Names in the root of the pool as a host sees them that opens it now, in log order. */
function namesIn(memory: HeapMemory): string[] {
  const { replica } = new LogFollower(memory.reopened());
  return [...replica.namespace.root.children()].map(({ name }) => name);
}

describe('log writer', () => {
  test('resolves with the plan’s result once every reader can see its entries', async () => {
    const { memory, writer, follower } = hostOf(emptyPool());
    expect(await writer.append(volume('v'))).toBe(0);
    expect(follower.replica.position).toBe(2);
    expect(checkOf(memory.reopened())).toMatchObject({
      problems: [],
      files: 1,
      directories: 1,
      log: { entries: 2, applied: 2 },
    });
    expect(follower.header()).toMatchObject({ nextIndex: 2, nextSeqnum: 2 });
  });

  test('shares one hold of the lock and one publish among plans that wait together', async () => {
    const { memory, writer, lock } = hostOf(emptyPool());
    const names = Array.from({ length: 64 }, (_, at) => `v${at}`);
    const positions = await Promise.all(names.map((name) => writer.append(volume(name))));
    expect(positions).toEqual(names.map((_, at) => 2 * at)); // each saw those before it
    expect(lock).toMatchObject({ holds: 1, held: false });
    expect([memory.stores, memory.publishes]).toEqual([2 * 4, 2 * 3]); // 128 entries, 64 at once
    expect(namesIn(memory)).toEqual(names);
    expect(checkOf(memory)).toMatchObject({ problems: [], allocatedBytes: 64 * 2 * MiB });
  });

  test('publishes next_seqnum, then next_index, after the entries are written', async () => {
    const { memory, writer } = hostOf(emptyPool());
    const seen: unknown[][] = [];
    const { write, publish } = memory;
    memory.write = (offset, bytes) => {
      seen.push(['write', offset, bytes.length]);
      write.call(memory, offset, bytes);
    };
    memory.publish = (offset, value) => {
      seen.push(['publish', offset, value]);
      publish.call(memory, offset, value);
    };
    await writer.append(plan(mkdir('a'), mkdir('b')));
    expect(seen).toEqual([
      ['write', LOG_OFFSET + 48, 2 * 544],
      ['publish', committedOffset(0), 2n],
      ['publish', NEXT_SEQNUM, 2n],
      ['publish', NEXT_INDEX, 2n],
    ]);
  });

  test('follows what another host appended before it plans', async () => {
    const memory = emptyPool();
    const [one, other] = [hostOf(memory), hostOf(memory.reopened())];
    await one.writer.append(plan(mkdir('a')));
    await other.writer.append((replica) => {
      expect(replica.namespace.lookup('a')?.kind).toBe('directory');
      return { entries: [mkdir('a/b')], result: undefined };
    });
    await one.writer.append(plan(remove('a/b', 1), remove('a', 0)));
    expect(namesIn(memory)).toEqual([]);
    expect(checkOf(memory)).toMatchObject({ problems: [], log: { entries: 4 } });
  });

  test('stores nothing for a plan without entries', async () => {
    const { memory, writer } = hostOf(emptyPool());
    expect(await writer.append(plan())).toBe(0);
    expect(memory.stores).toBe(0);
  });

  test('rejects only the call whose plan throws or whose entry fits no slot', async () => {
    const { memory, writer } = hostOf(emptyPool());
    const fail = () => {
      throw new Fault('NOT_FOUND', 'no such volume');
    };
    const results = await Promise.allSettled([
      writer.append(plan(mkdir('a'))),
      writer.append(fail),
      writer.append(plan(mkdir('b'), mkdir('p'.repeat(80)))),
      writer.append(plan(mkdir('c'))),
    ]);
    expect(results).toMatchObject([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { code: 'NOT_FOUND', message: 'no such volume' } },
      { status: 'rejected', reason: { code: 'INVALID' } },
      { status: 'fulfilled', value: 1 },
    ]);
    expect(namesIn(memory)).toEqual(['a', 'c']);
    expect(checkOf(memory)).toMatchObject({ problems: [], log: { entries: 2 } });
  });

  test('writes nothing of a batch when the replica refuses an entry, and goes on', async () => {
    const { memory, writer, follower, lock } = hostOf(emptyPool());
    const calls = [plan(mkdir('a')), plan(mkdir('no/parent')), plan(mkdir('b'))];
    const results = await Promise.all(calls.map((each) => rejection(writer.append(each))));
    expect(results.map(({ code }) => code)).toEqual(['INTERNAL', 'INTERNAL', 'INTERNAL']);
    expect(memory.stores).toBe(0);
    expect(follower.replica).toMatchObject({ position: 0, problemCount: 0 });
    await writer.append(plan(mkdir('b')));
    expect(namesIn(memory)).toEqual(['b']);
    expect(lock).toMatchObject({ holds: 2, held: false });
  });

  test('asks whether it may write in every hold, and writes nothing where it may not', async () => {
    let allowed = false;
    const mayWrite = () => {
      if (!allowed) throw new Fault('READ_ONLY', 'another master');
    };
    const { memory, writer } = hostOf(emptyPool(), mayWrite, false);
    expect(await rejection(writer.append(plan(mkdir('a'))))).toEqual({
      code: 'READ_ONLY',
      message: 'another master',
    });
    expect(memory.stores).toBe(0);
    allowed = true;
    expect(await writer.append(plan(mkdir('a')))).toBe(1);
  });

  test('rejects what waits when the lock cannot be had, and tries again for the next', async () => {
    const memory = emptyPool();
    const follower = new LogFollower(memory);
    let busy = true;
    const lock = {
      acquire: async () => {
        if (busy) throw new Fault('BUSY', 'held');
        return { [Symbol.dispose]: () => {} };
      },
      tryAcquire: () => undefined,
    };
    const writer = writerOf(follower, { lock });
    const both = [writer.append(plan(mkdir('a'))), writer.append(plan(mkdir('b')))];
    for (const each of both)
      expect(await rejection(each)).toEqual({ code: 'BUSY', message: 'held' });
    busy = false;
    await writer.append(plan(mkdir('c')));
    expect(namesIn(memory)).toEqual(['c']);
  });

  test('says LOG_FULL when the slots do not suffice, and serves who needs fewer', async () => {
    const memory = imageMemory('d_full_log_64g');
    memory.publish(NEXT_SEQNUM, 15_291n);
    memory.publish(NEXT_INDEX, 15_291n); // one slot free again, and those for deletions
    const { writer } = hostOf(memory);
    const results = await Promise.allSettled([
      writer.append(volume('two')),
      writer.append(plan(mkdir('one'))),
      writer.append(plan(mkdir('late'))),
      writer.append(plan()),
    ]);
    const full = (count: number, free: number) => ({
      code: 'LOG_FULL',
      message: expect.stringContaining(
        `${count} more entries do not fit, ${free} of 15420 are free`,
      ),
    });
    expect(results).toMatchObject([
      { status: 'rejected', reason: full(2, 1) },
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: full(1, 0) },
      { status: 'fulfilled', value: 0 },
    ]);
    expect(checkOf(memory)).toMatchObject({ problems: [], log: { entries: 15_292 } });
  });

  test('appends with seqnum = index where next_seqnum runs ahead, and mends it', async () => {
    const memory = imageMemory('e12_seq_ne_index');
    const { writer, follower } = hostOf(memory, () => {}, false);
    expect(follower.header()).toMatchObject({ nextIndex: 8, nextSeqnum: 100 });
    await writer.append(plan(mkdir('new')));
    expect(memory.read(LOG_OFFSET + 48 + 8 * 544, 1)[0]).toBe(8);
    expect(follower.header()).toMatchObject({ nextIndex: 9, nextSeqnum: 9 });
    expect(checkOf(memory)).toMatchObject({ problems: [], log: { entries: 9, applied: 9 } });
  });
});

describe('a log writer that loses power', () => {
  /** Number of stores that reach the memory, bytes of the next, and whether readers see it all. */
  const CUTS: readonly (readonly [stores: number, tornBytes: number, revealed: boolean])[] = [
    [0, 0, false],
    [0, 1, false],
    [0, 543, false],
    [0, 544, false],
    [0, 700, false],
    [0, 1088, false],
    [1, 0, false], // entries written
    [2, 0, true], // the owner's word published: by it they count
    [3, 0, true], // next_seqnum published
    [4, 0, true], // next_index published
  ];

  test.each(CUTS)(
    'after %i stores and %i bytes leaves a clean log, and the next writer carries on',
    async (stores, tornBytes, revealed) => {
      const { memory, writer } = hostOf(emptyPool());
      await writer.append(volume('before'));
      const { problems: none } = checkOf(memory);
      expect(none).toEqual([]);
      memory.dieAfter(stores, tornBytes);
      const appended = writer.append(volume('v'));
      if (stores === 4) expect(await appended).toBe(2);
      else expect((await rejection(appended)).code).toBe('MEMORY_ERROR');

      const after = memory.reopened();
      const { problems, files, log } = checkOf(after);
      // Between its publishes the words differ, which harms no reader; only that is told.
      const told = ['', '', 'NEXT_INDEX', 'NEXT_SEQNUM NEXT_INDEX', ''][stores];
      expect(problems.map(({ code }) => code).join(' ')).toBe(told);
      expect([files, log.entries]).toEqual(revealed ? [2, 4] : [1, 2]);

      const next = hostOf(after);
      if (!revealed) await next.writer.append(volume('v'));
      await next.writer.append(volume('after'));
      expect(namesIn(after)).toEqual(['before', 'v', 'after']);
      expect(checkOf(after)).toMatchObject({
        problems: [],
        files: 3,
        allocatedBytes: 6 * MiB,
        log: { entries: 6, skipped: 0 },
      });
    },
  );

  test.each(CUTS.filter(([, , revealed]) => !revealed))(
    'after %i stores and %i bytes knows itself what the log holds when the power is back',
    async (stores, tornBytes) => {
      const { memory, writer, follower } = hostOf(emptyPool());
      memory.dieAfter(stores, tornBytes);
      const lost = await Promise.all(
        ['a', 'b'].map((name) => rejection(writer.append(volume(name)))),
      );
      expect(lost.map(({ code }) => code)).toEqual(['MEMORY_ERROR', 'MEMORY_ERROR']);
      expect(follower.replica).toMatchObject({ position: 0, problemCount: 0 });
      expect(follower.replica.space.allocatedBytes).toBe(0);
      memory.dieAfter(Number.POSITIVE_INFINITY);
      await writer.append(volume('c'));
      expect(namesIn(memory)).toEqual(['c']);
      expect(checkOf(memory)).toMatchObject({ problems: [], allocatedBytes: 2 * MiB });
    },
  );
});
