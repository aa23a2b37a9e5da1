import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { checkReport } from '../../src/format/check.ts';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../../src/format/control-area.ts';
import { encodeLogEntry } from '../../src/format/log-entry.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import {
  appendDirectory,
  directory,
  expectReferenceRules,
  LogMemory,
  MASTER,
  thrown,
} from './log-memory.ts';

/** `d1 … d8`, with the words of a header that a power cut, or another writer, left. */
function logWithWords(nextSeqnum: number, nextIndex: number): LogMemory {
  const memory = LogMemory.of(Array.from({ length: 8 }, (_, at) => directory(`d${at + 1}`)));
  memory.setWords(nextSeqnum, nextIndex);
  return memory;
}

function expectClean(memory: LogMemory): void {
  expectReferenceRules(memory);
  const follower = new LogFollower(memory);
  const { problems } = checkReport(follower.superblock, follower.header(), follower.replica);
  expect(problems).toEqual([]);
}

describe('a writer that opens a log', () => {
  test('publishes a next_seqnum that ran ahead as next_index, before any plan runs', async () => {
    const memory = LogMemory.image('e12_seq_ne_index');
    expect(memory.words()).toEqual([100, 8]);
    const { writer, found } = memory.writer();
    const during = await writer.append(() => ({ entries: [], result: memory.words() }));
    expect(during).toEqual([8, 8]);
    expect(found).toMatchObject([{ kind: 'seqnum-ahead', index: 8 }]);
    expect(found[0]?.message).toContain('next_seqnum was 100, published as next_index, 8');
    expect(await appendDirectory(writer, 'new')).toBe(8);
    expect(memory.words()).toEqual([9, 9]);
    expectClean(memory);
  });

  test('publishes one that stayed behind, as an unordered writer leaves it', async () => {
    const memory = logWithWords(7, 8);
    const { writer, found } = memory.writer();
    await writer.append(() => ({ entries: [], result: undefined }));
    expect(found).toMatchObject([{ kind: 'seqnum-behind', index: 8 }]);
    expectClean(memory);
  });

  test('writes over a complete entry that was never revealed, and gives it no life', async () => {
    const memory = LogMemory.image('e9_next_index_short');
    const { writer, found } = memory.writer();
    expect(await appendDirectory(writer, 'new')).toBe(5);
    expect(found).toMatchObject([{ kind: 'complete-entry', index: 5 }]);
    expect(memory.paths()).toEqual(['d1', 'd1/d2', 'd1/d2/d3', 'd1/page', 'new', 'one']);
    expect(memory.words()).toEqual([6, 6]);
    expectClean(memory);
  });

  test('writes over a torn entry at the end', async () => {
    const memory = logWithWords(5, 5);
    memory.flip(5, 30);
    const { writer, found } = memory.writer();
    await appendDirectory(writer, 'new');
    expect(found).toMatchObject([{ kind: 'torn-entry', index: 5 }]);
    expect(memory.paths()).toEqual(['d1', 'd2', 'd3', 'd4', 'd5', 'new']);
    expectClean(memory);
  });

  test('names both where a batch died between its two publishes', async () => {
    const memory = logWithWords(8, 5);
    const { writer, found } = memory.writer();
    await writer.append(() => ({ entries: [], result: undefined }));
    expect(found.map(({ kind }) => kind)).toEqual(['seqnum-ahead', 'complete-entry']);
    expect(memory.words()).toEqual([5, 5]);
    expect(memory.paths()).toHaveLength(5);
  });

  test('finds nothing in a log that is in order, and stores nothing but whose it is', async () => {
    const memory = LogMemory.image('b_tree_8g');
    const before = memory.bytes.slice();
    const { writer, found } = memory.writer();
    await writer.append(() => ({ entries: [], result: undefined }));
    expect(found).toEqual([]);
    const { stores } = memory;
    await writer.append(() => ({ entries: [], result: undefined }));
    expect(memory.stores).toBe(stores);
    memory.bytes.fill(0, CONTROL_OFFSET, CONTROL_OFFSET + CONTROL_BYTES);
    expect(Buffer.compare(memory.bytes, before)).toBe(0);
  });

  test('looks for no entry behind a full log', async () => {
    const memory = LogMemory.image('d_full_log_64g', 64 * GiB);
    const { writer, found } = memory.writer();
    const full = appendDirectory(writer, 'new');
    await expect(full).rejects.toMatchObject({ code: 'LOG_FULL' });
    expect(found).toEqual([]);
    expect(memory.words()).toEqual([15_420, 15_420]);
  });

  test('does it once, and again when an append has failed', async () => {
    const memory = logWithWords(8, 5);
    const { writer, found } = memory.writer();
    await appendDirectory(writer, 'a');
    await appendDirectory(writer, 'b');
    expect(found).toHaveLength(2);
    memory.dieAfter(3); // the entry, the owner's own word, and next_seqnum
    await expect(appendDirectory(writer, 'c')).rejects.toMatchObject({ code: 'MEMORY_ERROR' });
    memory.revive();
    expect(memory.words()).toEqual([8, 7]);
    await writer.append(() => ({ entries: [], result: undefined }));
    // By the owner's own word the entry counts.
    expect(found.slice(2).map(({ kind }) => kind)).toEqual(['index-behind']);
    expect(memory.words()).toEqual([8, 8]);
  });

  test('leaves everything alone where it may not write', async () => {
    const memory = logWithWords(8, 5);
    const { writer, found } = memory.writer(() => {
      throw new Fault('READ_ONLY', 'another master');
    });
    await expect(appendDirectory(writer, 'a')).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect(found).toEqual([]);
    expect(memory.stores).toBe(0);
  });

  test.each(['e3_bad_log_magic', 'e4_bad_log_crc'])(
    'does not guess at the header of %s',
    (name) => {
      expect(thrown(() => LogMemory.image(name).writer())).toMatch(/^CORRUPT: log header: /);
    },
  );

  test('cut off at any store, leaves a log that the next one brings to order', async () => {
    for (const [nextSeqnum, nextIndex] of [
      [8, 5],
      [5, 5],
      [4, 5],
    ] as const) {
      // Recovery and the append of two entries: at most one store and three.
      for (let stores = 0; stores <= 4; stores++) {
        const memory = logWithWords(nextSeqnum, nextIndex);
        memory.dieAfter(stores, (line) => line % 3 !== 1);
        const entries = [directory('x'), directory('x/y')];
        const died = await memory
          .writer()
          .writer.append(() => ({ entries, result: 'done' }))
          .catch(() => 'died');
        memory.revive();
        const paths = memory.paths().filter((path) => path.startsWith('x'));
        expect(paths).toEqual(died === 'done' ? ['x', 'x/y'] : []);
        await appendDirectory(memory.writer().writer, 'z');
        expectClean(memory);
        expect(memory.paths()).toEqual(['d1', 'd2', 'd3', 'd4', 'd5', ...paths, 'z']);
      }
    }
  });
});

describe('a follower that stopped at damage', () => {
  function damagedAt4(): { memory: LogMemory; follower: LogFollower; entry: Uint8Array } {
    const memory = logWithWords(8, 8);
    const entry = memory.slot(4).slice();
    memory.flip(4, 30);
    const follower = new LogFollower(memory);
    expect(follower.replica.damage?.index).toBe(4);
    return { memory, follower, entry };
  }

  test('stays there while nobody repairs the log', () => {
    const { memory, follower } = damagedAt4();
    expect(follower.follow()).toBe(4);
    memory.slot(8).set(encodeLogEntry(8, directory('d9')));
    memory.setWords(9, 9);
    expect(follower.follow()).toBe(4);
    expect(follower.replica.problems.map(({ code }) => code)).toEqual([
      'ENTRY_CRC',
      'ENTRIES_LOST',
    ]);
  });

  test('goes on by itself once the entry was replaced', () => {
    const { memory, follower, entry } = damagedAt4();
    memory.write(memory.slot(4).byteOffset, entry);
    expect(follower.follow()).toBe(8);
    expect(follower.replica.damage).toBeUndefined();
    expect(follower.replica.problems).toEqual([]);
    expect(follower.replica.namespace.directoryCount).toBe(8);
  });

  test('goes on by itself once the log was cut there, and sees what is appended then', async () => {
    const { memory, follower } = damagedAt4();
    memory.setWords(4, 4);
    expect(follower.follow()).toBe(4);
    expect(follower.replica.damage).toBeUndefined();
    await appendDirectory(memory.writer().writer, 'new');
    expect(follower.follow()).toBe(5);
    expect(follower.replica.namespace.lookup('new')).toBeDefined();
  });

  test('goes to the next damage when there is one', () => {
    const { memory, follower, entry } = damagedAt4();
    memory.flip(6, 30);
    memory.write(memory.slot(4).byteOffset, entry);
    expect(follower.follow()).toBe(6);
    expect(follower.replica.damage?.index).toBe(6);
  });
});

describe('a follower that had read past a cut', () => {
  test('says so, and never goes on with what is appended in place of what it knows', () => {
    const memory = logWithWords(8, 8);
    const follower = new LogFollower(memory);
    memory.setWords(4, 4);
    expect(thrown(() => follower.follow())).toMatch(
      /^CORRUPT: .*next_index went back from 8 to 4; .*restart this process/,
    );
    // Grown again beyond where it was: entries 4 to 7 are not those that it applied.
    memory.setWords(8, 8);
    expect(thrown(() => follower.follow())).toMatch(/^CORRUPT: .*went back from 8 to 4/);
    follower.reload();
    expect(follower.follow()).toBe(8);
  });
});

describe('mkfs of a device on which an mkfs was cut short', () => {
  const options = { deviceName: 'test', systemUuid: MASTER };

  function refusal(memory: LogMemory): string {
    const before = memory.bytes.slice();
    const text = thrown(() => mkfs(memory, options));
    expect(Buffer.compare(memory.bytes, before)).toBe(0);
    return text;
  }

  test('finds nothing in its way where it had not come far', () => {
    const memory = new LogMemory(new Uint8Array(10 * MiB));
    memory.dieAfter(1);
    expect(thrown(() => mkfs(memory, options))).toMatch('power lost');
    memory.revive();
    mkfs(memory, options);
    expectClean(memory);
  });

  test('recognises the empty log, and finishes with --force', () => {
    const memory = new LogMemory(new Uint8Array(10 * MiB));
    memory.dieAfter(2);
    expect(thrown(() => mkfs(memory, options))).toMatch('power lost');
    memory.revive();
    expect(refusal(memory)).toMatch(
      /^EXISTS: .*the empty log of an mkfs that was cut short.*no files.*--force/,
    );
    mkfs(memory, { ...options, force: true });
    expectClean(memory);
  });

  test('says how many entries an older log has that lost its superblock', () => {
    const memory = logWithWords(8, 8);
    memory.dieAfter(1);
    expect(thrown(() => mkfs(memory, { ...options, force: true }))).toMatch('power lost');
    memory.revive();
    expect(refusal(memory)).toMatch(/^EXISTS: .*a log of 8 entries without a superblock/);
  });

  test('takes no other bytes for a log', () => {
    const memory = new LogMemory(new Uint8Array(10 * MiB));
    memory.bytes[2 * MiB + 5] = 1;
    expect(refusal(memory)).toMatch(/^EXISTS: device: holds data where a log goes;/);
  });
});
