import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { CONTIGUOUS } from '../../src/format/allocator.ts';
import { fmapExtents } from '../../src/format/extents.ts';
import { Mapping } from '../../src/native/mapping.ts';
import type { Plan } from '../../src/pool/log-writer.ts';
import { Pool, type PoolOptions } from '../../src/pool/pool.ts';
import { mkdir, remove } from '../format/entries.ts';
import { caught, rejection } from '../support/caught.ts';
import { descriptorsOf } from '../support/descriptors.ts';
import { checkOf } from '../support/heap-memory.ts';
import { ImageFile, readFacts } from '../support/vectors.ts';

const MASTER = readFacts('b_tree_8g').superblock.system_uuid;

function open(device: string, change: Partial<PoolOptions> = {}): Pool {
  return Pool.open({ name: 'fabric0', device, writable: true, systemUuid: MASTER, ...change });
}

type Access = Pick<PoolOptions, 'writable' | 'systemUuid'>;

/** How often the file is mapped in this process. */
function mappingsOf(path: string): number {
  return readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;
}

function checkFile(path: string) {
  using memory = Mapping.open(path, { writable: false });
  return checkOf(memory);
}

/** A file of one unit in the root. */
function appendFile(pool: Pool, path: string): Promise<number> {
  return pool.append(({ space, position }): Plan<number> => {
    const fmap = space.find(CONTIGUOUS, 1);
    const owner = { uid: 0, gid: 0, mode: 0o644 };
    const file = { type: 'file', path, sizeBytes: 1, flags: 2, fmap, ...owner } as const;
    return { entries: [file], result: position };
  });
}

const APPEND = (pool: Pool) => pool.append(() => ({ entries: [mkdir('new')], result: 'done' }));

describe('pool', () => {
  test('asks whether it may append when it has the lock, and stores nothing if not', async () => {
    using image = new ImageFile('b_tree_8g');
    let may = true;
    let asked = 0;
    const mayAppend = () => {
      asked++;
      if (!may) throw new Fault('UNAVAILABLE', 'the lease ran out');
    };
    using pool = open(image.path, { mayAppend });
    // It may when it is called; while it waits for its turn, the lease runs out.
    const refused = rejection(appendFile(pool, 'late'));
    expect(asked).toBe(0);
    may = false;
    expect(await refused).toEqual({ code: 'UNAVAILABLE', message: 'the lease ran out' });
    expect(asked).toBe(1);
    expect(pool.follow()).toBe(8);
    may = true;
    expect(await appendFile(pool, 'in-time')).toBe(8);
    expect(checkFile(image.path)).toMatchObject({ problems: [] });
  });

  test('serves and appends to what the reference made, through a real mapping', async () => {
    using image = new ImageFile('b_tree_8g');
    {
      using pool = open(image.path);
      expect(pool.fsUuid).toBe('20212223-2425-4627-a829-2a2b2c2d2e2f');
      expect(pool.replica.namespace.lookup('d1/d2/hundred_mib')).toMatchObject({ uid: 0 });
      expect(pool.memoryOf(0)?.lengthBytes).toBe(8 * 2 ** 30);
      expect(pool.memoryOf(1)).toBeUndefined();
      expect(await APPEND(pool)).toBe('done');
      expect(pool.follow()).toBe(9);
      expect(mappingsOf(image.path)).toBe(1);
      expect(descriptorsOf(image.path)).toBe(1); // the lock's
    }
    expect(mappingsOf(image.path)).toBe(0);
    expect(descriptorsOf(image.path)).toBe(0);
    expect(checkFile(image.path)).toMatchObject({ problems: [], directories: 4 });
  });

  test('lets two writers that want a device at once append in turns, in order', async () => {
    using image = new ImageFile('a_empty_4g');
    const rounds = 40;
    {
      using one = open(image.path);
      using other = open(image.path);
      for (let at = 0; at < rounds; at++) {
        const both = [appendFile(one, `a${at}`), appendFile(other, `b${at}`)];
        expect((await Promise.all(both)).sort((a, b) => a - b)).toEqual([2 * at, 2 * at + 1]);
      }
      expect([one.follow(), other.follow()]).toEqual([2 * rounds, 2 * rounds]);
    }
    using reader = open(image.path, { writable: false });
    const files = [...reader.replica.namespace.files()];
    const names = files.sort((a, b) => a.entryIndex - b.entryIndex).map(({ name }) => name);
    for (let at = 0; at < rounds; at++) {
      expect(names.slice(2 * at, 2 * at + 2).sort()).toEqual([`a${at}`, `b${at}`]);
    }
    const offsets = files.flatMap(({ fmap }) => fmapExtents(fmap)).map(({ offset }) => offset);
    expect(new Set(offsets).size).toBe(2 * rounds);
    expect(checkFile(image.path)).toMatchObject({ problems: [], files: 2 * rounds });
  });

  const asMaster = { writable: true, systemUuid: MASTER };
  test.each<[string, string, Access, RegExp]>([
    ['with a wrong crc in its log', 'e5_bad_entry_crc_mid', asMaster, /damaged at entry 4 \(crc/],
    ['with a wrong seqnum', 'e7_wrong_seqnum_mid', asMaster, /damaged at entry 4 \(seqnum is 400/],
    [
      'of another master',
      'e17_other_system_uuid',
      asMaster,
      /its master is a05e5d5c-.*, this writer is 5f5e5d5c-.*; append from the master/,
    ],
    ['mapped for reading', 'b_tree_8g', { ...asMaster, writable: false }, /for reading only/],
    ['opened by nobody', 'b_tree_8g', { writable: true }, /for reading only/],
  ])('%s is READ_ONLY, and stays as it is', async (_, name, access, message) => {
    using image = new ImageFile(name);
    const before = checkFile(image.path);
    {
      using pool = Pool.open({ name: 'fabric0', device: image.path, ...access });
      const refusal = { code: 'READ_ONLY', message: expect.stringMatching(message) };
      expect(caught(() => pool.assertAppendable())).toEqual(refusal);
      expect(await rejection(APPEND(pool))).toEqual(refusal);
      expect(await rejection(appendFile(pool, 'new'))).toEqual(refusal);
      expect(pool.replica.namespace.lookup('one')?.kind).toBe('file'); // still served
    }
    expect(checkFile(image.path)).toEqual(before);
  });

  test('becomes READ_ONLY when damage shows up while it is open', async () => {
    using image = new ImageFile('b_tree_8g');
    using pool = open(image.path);
    await APPEND(pool);
    pool.memoryOf(0)?.publish(0x200000 + 40, 12n); // reveals entries that nobody wrote
    expect(await rejection(APPEND(pool))).toMatchObject({ code: 'READ_ONLY' });
    expect(pool.replica.damage).toMatchObject({ index: 9 });
  });

  test('names itself and its device when it cannot be opened, and lets go of it', () => {
    using image = new ImageFile('g4_version_49');
    expect(caught(() => open(image.path))).toEqual({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^pool fabric0 on .*\/g4_version_49: superblock: version 49/),
    });
    expect(mappingsOf(image.path)).toBe(0);
    expect(caught(() => open(`${image.path}.not`))).toMatchObject({ code: 'NOT_FOUND' });
  });

  test('tells of what is deleted, during the first replay and later', async () => {
    using image = new ImageFile('b_tree_8g');
    const gone: string[] = [];
    const onRemove = ({ path }: { path: string }) => gone.push(path);
    {
      using pool = open(image.path, { onRemove });
      await pool.append(() => ({ entries: [remove('one', 3)], result: undefined }));
    }
    expect(gone).toEqual(['one']);
    using again = open(image.path, { onRemove });
    expect(gone).toEqual(['one', 'one']);
    expect(again.replica.namespace.lookup('one')).toBeUndefined();
  });
});
