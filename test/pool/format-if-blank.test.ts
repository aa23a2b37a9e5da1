import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { formatIfBlank } from '../../src/pool/format-if-blank.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { type MkfsOptions, mkfs } from '../../src/pool/mkfs.ts';
import { caught } from '../support/caught.ts';
import { checkOf, HeapMemory } from '../support/heap-memory.ts';

const OPTIONS: MkfsOptions = {
  deviceName: '/dev/dax0.0',
  systemUuid: '00000000-0000-4000-8000-00000000aaaa',
};
const LOG_OFFSET = 2 * MiB;
const LOG_HEADER_BYTES = 48;

function memoryWith(offset: number, bytes: Uint8Array): HeapMemory {
  const memory = new HeapMemory(4 * GiB);
  memory.write(offset, bytes);
  memory.stores = 0;
  return memory;
}

/** What an mkfs leaves that dies after so many stores, of the last one so many bytes. */
function cutShort(stores: number, tornBytes = 0, options: Partial<MkfsOptions> = {}): HeapMemory {
  const memory = new HeapMemory(4 * GiB);
  memory.dieAfter(stores, tornBytes);
  expect(caught(() => mkfs(memory, { ...OPTIONS, ...options })).code).toBe('MEMORY_ERROR');
  return memory.reopened();
}

/** Formats, which must write something, and leaves a pool without fault. */
function expectFormatted(memory: HeapMemory): void {
  const made = formatIfBlank(memory, OPTIONS);
  expect(made).toMatchObject({ systemUuid: OPTIONS.systemUuid });
  expect(checkOf(memory)).toMatchObject({ usable: true, problems: [] });
  expect(new LogFollower(memory).superblock).toEqual(made);
}

function expectRefused(memory: HeapMemory, reason: RegExp): void {
  const before = memory.read(0, 10 * MiB);
  expect(caught(() => formatIfBlank(memory, OPTIONS))).toEqual({
    code: 'EXISTS',
    message: expect.stringMatching(reason),
  });
  expect(Buffer.compare(memory.read(0, 10 * MiB), before)).toBe(0);
  expect(memory.stores).toBe(0);
}

describe('format if blank', () => {
  test('formats memory of zeroes, and then leaves it alone', () => {
    const memory = new HeapMemory(4 * GiB);
    expectFormatted(memory);
    const { stores } = memory;
    expect(formatIfBlank(memory, OPTIONS)).toBeUndefined();
    expect(memory.stores).toBe(stores);
  });

  test('leaves a pool with files alone, and one whose superblock is damaged', () => {
    const memory = new HeapMemory(4 * GiB);
    mkfs(memory, OPTIONS);
    memory.write(40, Uint8Array.of(0xff));
    memory.stores = 0;
    expect(checkOf(memory).usable).toBe(false);
    expect(formatIfBlank(memory, OPTIONS)).toBeUndefined();
    expect(memory.stores).toBe(0);
  });

  // The first store takes away a magic, which blank memory has none of: then it is blank still.
  test.each([0, 1, 2, 3])('finishes an mkfs that was killed after %i of its stores', (stores) => {
    expectFormatted(cutShort(stores));
  });

  test('finishes one that was killed within a store, at any byte', () => {
    for (let bytes = 1; bytes < LOG_HEADER_BYTES; bytes += 1) expectFormatted(cutShort(1, bytes));
    for (let bytes = 1; bytes < 192; bytes += 7) expectFormatted(cutShort(2, bytes));
  });

  test.each<[string, number, Uint8Array, RegExp]>([
    ['a file system', 0, Buffer.from('XFSB'), /^device: holds an XFS file system; nothing was wr/],
    ['a file system further on', 1080, Uint8Array.of(0x53, 0xef), /holds an ext2, ext3 or ext4/],
    ['a single byte', 5000, Uint8Array.of(1), /holds data of an unknown kind/],
    ['data where the log goes', LOG_OFFSET, Buffer.from('data'), /holds data where a log goes/],
  ])('never takes %s for blank', (_, offset, bytes, reason) => {
    expectRefused(memoryWith(offset, bytes), reason);
  });

  test.each<[string, number]>([
    ['behind a superblock', 4096],
    ['far behind it', LOG_OFFSET - 1],
    ['where the first entry of the log goes', LOG_OFFSET + LOG_HEADER_BYTES],
    ['where a later one goes', LOG_OFFSET + 60_000],
  ])('does not finish what was cut short where there is a byte %s', (_, offset) => {
    const memory = cutShort(2);
    memory.write(offset, Uint8Array.of(1));
    expectRefused(memory.reopened(), /^device: holds /);
  });

  test('does not finish an mkfs that wrote another log, which was not its own', () => {
    expectRefused(
      cutShort(2, 0, { logLengthBytes: 16 * MiB }),
      /the empty log of an mkfs that was/,
    );
  });

  test('does not take the rest of a superblock for its own while the header is not whole', () => {
    const memory = cutShort(1, 20);
    memory.write(16, Uint8Array.of(1));
    expectRefused(memory.reopened(), /holds data where a log goes/);
  });

  test('does not finish an mkfs over a pool with files: repair may find them', () => {
    const memory = new HeapMemory(4 * GiB);
    mkfs(memory, OPTIONS);
    memory.write(LOG_OFFSET + LOG_HEADER_BYTES, Uint8Array.of(1, 2, 3));
    memory.publish(0, 0n);
    expectRefused(memory.reopened(), /the empty log of an mkfs that was cut short/);
  });
});
