import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import { encodeLogHeader } from '../../src/format/log-header.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { mkdir, remove } from '../format/entries.ts';
import { caught } from '../support/caught.ts';
import { HeapMemory } from '../support/heap-memory.ts';
import { imageMemory, readImage } from '../support/vectors.ts';

const LOG_OFFSET = 2 * MiB;
const NEXT_INDEX = LOG_OFFSET + 40;
const SYSTEM_UUID = '00000000-0000-4000-8000-000000000001';

function emptyPool(): HeapMemory {
  const memory = new HeapMemory(GiB);
  mkfs(memory, { deviceName: 'test', systemUuid: SYSTEM_UUID });
  return memory;
}

function slot(index: number): number {
  return LOG_OFFSET + 48 + index * 544;
}

/** What another host's writer does. */
function append(memory: HeapMemory, first: number, ...entries: readonly NewEntry[]): void {
  for (const [at, entry] of entries.entries()) {
    memory.write(slot(first + at), encodeLogEntry(first + at, entry));
  }
  memory.publish(NEXT_INDEX, BigInt(first + entries.length));
}

/** Reads and bytes that `run` takes. */
function costOf(memory: HeapMemory, run: () => void): [reads: number, bytes: number] {
  const { reads, readBytes } = memory;
  run();
  return [memory.reads - reads, memory.readBytes - readBytes];
}

describe('log follower', () => {
  test('costs one read within a cache line when nothing was appended', () => {
    const memory = imageMemory('b_tree_8g');
    const follower = new LogFollower(memory);
    expect(costOf(memory, () => expect(follower.follow()).toBe(8))).toEqual([1, 24]);
    expect(memory.stores).toBe(0);
  });

  test('reads a new entry once, and the lines that tell if pool and owner are the same', () => {
    const memory = emptyPool();
    const follower = new LogFollower(memory);
    append(memory, 0, mkdir('a'), mkdir('a/b'));
    const entries = 24 + 2 * 544 + 64 + 16;
    expect(costOf(memory, () => expect(follower.follow()).toBe(2))).toEqual([4, entries]);
    expect(costOf(memory, () => follower.follow())).toEqual([1, 24]);
    expect(follower.replica.namespace.lookup('a/b')?.kind).toBe('directory');
  });

  test('replays a full log in large batches, each entry read once', () => {
    const memory = imageMemory('d_full_log_64g');
    const cost = costOf(memory, () => new LogFollower(memory));
    // 64 KiB each; after each of them, and at both ends, the first line and the owner's.
    const batches = 129;
    expect(cost[1]).toBe(200 + 48 + 24 + 15_420 * 544 + (batches + 2) * (64 + 16));
    expect(cost[0]).toBe(3 + batches + (batches + 2) * 2);
  });

  test('looks at no entry before next_index reveals it', () => {
    const memory = emptyPool();
    const follower = new LogFollower(memory);
    memory.write(slot(0), encodeLogEntry(0, mkdir('a')));
    memory.publish(LOG_OFFSET + 32, 1n); // next_seqnum, which no reader uses
    expect(follower.follow()).toBe(0);
    memory.publish(NEXT_INDEX, 1n);
    expect(follower.follow()).toBe(1);
    expect(follower.replica.problems).toEqual([]);
  });

  test('keeps what it has, and says how much is lost, where a later entry is damaged', () => {
    const memory = emptyPool();
    append(memory, 0, mkdir('a'));
    const follower = new LogFollower(memory);
    memory.write(slot(1), new Uint8Array(544));
    append(memory, 2, mkdir('c'), mkdir('d'));
    for (let time = 0; time < 2; time++) expect(follower.follow()).toBe(1);
    const { replica } = follower;
    expect(replica.damage).toMatchObject({ index: 1, code: 'ENTRY_CRC' });
    expect(replica.problems.map(({ code }) => code)).toEqual(['ENTRY_CRC', 'ENTRIES_LOST']);
    expect(replica.problems[1]?.message).toMatch(/^3 entries/);
    expect([...replica.namespace.root.children()].map(({ name }) => name)).toEqual(['a']);
    memory.write(slot(1), encodeLogEntry(1, mkdir('b'))); // repaired
    follower.reload();
    expect(follower.replica).toMatchObject({ position: 4, damage: undefined, problemCount: 0 });
  });

  test.each<[string, bigint, RegExp]>([
    ['beyond the log', 15_421n, /next_index is 15421, the log holds 15420 entries/],
    ['far beyond the log', 2n ** 64n - 1n, /next_index: found 18446744073709551615/],
  ])('calls a log whose next_index goes %s CORRUPT, and keeps what it has', (_, next, message) => {
    const memory = imageMemory('b_tree_8g');
    const follower = new LogFollower(memory);
    memory.publish(NEXT_INDEX, next);
    expect(caught(() => follower.follow())).toEqual({
      code: 'CORRUPT',
      message: expect.stringMatching(message),
    });
    expect(follower.replica).toMatchObject({ position: 8, applied: 8 });
    memory.publish(NEXT_INDEX, 8n);
    expect(follower.follow()).toBe(8);
  });

  test('calls one CORRUPT whose next_index went back, even once it has come as far again', () => {
    const memory = imageMemory('b_tree_8g');
    const follower = new LogFollower(memory);
    memory.publish(NEXT_INDEX, 3n);
    const told = caught(() => follower.follow());
    expect(told.code).toBe('CORRUPT');
    expect(told.message).toMatch(/next_index went back from 8 to 3; the pool was formatted anew/);
    expect(follower.replica).toMatchObject({ position: 8, applied: 8 });
    memory.publish(NEXT_INDEX, 8n); // entries 3 to 7 may be others by now
    expect(caught(() => follower.follow())).toEqual(told);
  });

  test('tells of every node that a DELETE takes away, in a replay too', () => {
    const memory = emptyPool();
    append(memory, 0, mkdir('a'), mkdir('b'), remove('a', 0));
    const gone: string[] = [];
    const follower = new LogFollower(memory, ({ path }) => gone.push(path));
    expect(gone).toEqual(['a']);
    append(memory, 3, remove('b', 1));
    follower.follow();
    expect(gone).toEqual(['a', 'b']);
    follower.reload();
    expect(gone).toEqual(['a', 'b', 'a', 'b']);
  });

  test('gives the header as it is in memory now', () => {
    const memory = emptyPool();
    const follower = new LogFollower(memory);
    append(memory, 0, mkdir('a'));
    expect(follower.header()).toEqual({
      logLengthBytes: 8 * MiB,
      lastIndex: 15_419,
      nextSeqnum: 0,
      nextIndex: 1,
    });
  });

  test.each<[string, () => HeapMemory, string, RegExp]>([
    [
      'shorter than its superblock says',
      () => new HeapMemory(8 * GiB - 1, readImage('b_tree_8g')),
      'CORRUPT',
      /^device: has 8589934591 bytes, its superblock says 8589934592/,
    ],
    [
      'shorter than its log',
      () => new HeapMemory(4 * MiB, readImage('b_tree_8g')),
      'CORRUPT',
      /^device: has 4194304 bytes, .* a log that ends at 10485760; give the whole device/,
    ],
    [
      'shorter than a superblock',
      () => new HeapMemory(64, readImage('b_tree_8g')),
      'NOT_FAMFS',
      /^superblock: magic/,
    ],
    ['empty', () => new HeapMemory(0), 'NOT_FAMFS', /^superblock: magic is 0 bytes/],
    [
      'with a log of another length than its superblock says',
      () => {
        const memory = imageMemory('b_tree_8g');
        const header = { logLengthBytes: 16 * MiB, lastIndex: 30_839, nextSeqnum: 0, nextIndex: 0 };
        memory.write(LOG_OFFSET, encodeLogHeader(header));
        return memory;
      },
      'CORRUPT',
      /^log header: length is 16777216, the superblock says 8388608/,
    ],
  ])('does not open a device %s', (_, memory, code, message) => {
    expect(caught(() => new LogFollower(memory()))).toEqual({
      code,
      message: expect.stringMatching(message),
    });
  });
});
