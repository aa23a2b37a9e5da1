import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { encodeLogEntry, type NewEntry, renumbered } from '../../src/format/log-entry.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { RawLog } from '../../src/pool/raw-log.ts';
import { repairLog } from '../../src/pool/repair.ts';
import { diagnose, type RepairWish } from '../../src/pool/repair-plan.ts';
import { file, LogMemory, MASTER, thrown, VECTOR_MASTER } from './log-memory.ts';
import { BASE, expectSound, freeBytes, names, repair, UNIT, volume, way } from './repairs.ts';

describe('repair of an entry with a wrong crc', () => {
  const image = () => LogMemory.image('e5_bad_entry_crc_mid');

  test('says before it does which files each way loses', () => {
    const memory = image();
    const before = memory.bytes.slice();
    const { problems, entries } = diagnose(new RawLog(memory));
    expect(entries).toBe(8);
    expect(problems).toMatchObject([{ index: 4, code: 'ENTRY_CRC' }]);
    expect(way(memory, 'cut').refusal).toBeNull();
    expect(names(way(memory, 'cut').lost)).toEqual([
      'file d1/page 4096',
      'file d1/d2/two_mib 2097152',
      'file d1/d2/d3/two_mib_plus1 2097153',
      'file d1/d2/hundred_mib 104857600',
    ]);
    expect(way(memory, 'skip').refusal).toBeNull();
    expect(names(way(memory, 'skip').lost)).toEqual(['file d1/page 4096']);
    expect(() => way(memory, 'renumber')).toThrow('no way renumber');
    expect(Buffer.compare(memory.bytes, before)).toBe(0);
  });

  test('cuts the log before it, and frees what came after', async () => {
    const memory = image();
    const { plan, remaining } = repair(memory, { cut: true }, VECTOR_MASTER);
    expect(names(plan.lost)).toEqual(names(way(image(), 'cut').lost));
    expect(remaining).toEqual([]);
    expect(memory.words()).toEqual([4, 4]);
    expect(memory.paths()).toEqual(['d1', 'd1/d2', 'd1/d2/d3', 'one']);
    await expectSound(memory);
  });

  test('skips it: a file of its memory stands in its place, and nothing else changes', async () => {
    const memory = image();
    const { plan } = repair(memory, { skip: true }, VECTOR_MASTER);
    expect(plan.fates).toMatchObject([
      { index: 4, becomes: 'lost+found-4', reservedBytes: UNIT, isMemoryKnown: true },
    ]);
    const sound = LogMemory.image('b_tree_8g');
    expect(memory.paths()).toEqual(
      [...sound.paths().filter((path) => path !== 'd1/page'), 'lost+found-4'].sort(),
    );
    expect(freeBytes(memory)).toBe(freeBytes(sound));
    const saved = new LogFollower(memory).replica.namespace.lookup('lost+found-4');
    const lost = new LogFollower(sound).replica.namespace.lookup('d1/page');
    expect(saved).toMatchObject({ sizeBytes: 4096, mode: 0, uid: 0, ino: lost?.ino });
    await expectSound(memory);
    // Only the slot of the entry has changed.
    sound.bytes.set(memory.slot(4), memory.slot(4).byteOffset);
    expect(Buffer.compare(memory.bytes, sound.bytes)).toBe(0);
  });
});

describe('repair of an entry with the number of another place', () => {
  const image = () => LogMemory.image('e7_wrong_seqnum_mid');

  test('gives it its own, since its crc says that it is whole: nothing is lost', () => {
    const memory = image();
    expect(way(memory, 'renumber')).toMatchObject({ refusal: null, lost: [], returned: [] });
    repair(memory, { renumber: true }, VECTOR_MASTER);
    expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
  });

  test('does so where only its number was hit, and its crc is that of the right one', () => {
    const memory = LogMemory.image('b_tree_8g');
    memory.flip(4, 1);
    expect(diagnose(new RawLog(memory)).problems).toMatchObject([{ code: 'ENTRY_CRC' }]);
    repair(memory, { renumber: true }, VECTOR_MASTER);
    expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
  });

  test('can be skipped and cut as well', async () => {
    for (const wish of [{ skip: true }, { cut: true }]) {
      const memory = image();
      repair(memory, wish, VECTOR_MASTER);
      await expectSound(memory);
      expect(memory.paths()).not.toContain('d1/page');
    }
  });

  test('brings a whole run back that a writer with a wrong next_seqnum appended', async () => {
    // The reference on a header as e12's: volumes 0 and 1 are right, 2 and 3 begin at number 100.
    const memory = LogMemory.of([...volume(0), ...volume(1), ...volume(2), ...volume(3)]);
    for (let at = 4; at < 8; at++) memory.slot(at).set(renumbered(memory.slot(at), 96 + at));
    memory.setWords(104, 8);
    expect(new LogFollower(memory).replica.damage?.index).toBe(4);
    expect(way(memory, 'renumber')).toMatchObject({ refusal: null, lost: [] });
    repair(memory, { renumber: true });
    expect(memory.paths()).toEqual(['v0', 'v1', 'v2', 'v3'].flatMap((one) => [one, `${one}/data`]));
    await expectSound(memory);
  });

  test('does not bring back one whose memory somebody else has by now', async () => {
    const memory = LogMemory.of([...volume(0), ...volume(1), ...volume(2)]);
    memory.slot(3).set(renumbered(encodeLogEntry(3, file('v1/data', BASE + 2 * UNIT)), 77));
    expect(() => way(memory, 'renumber')).toThrow('no way renumber');
    expect(thrown(() => repair(memory, { renumber: true }))).toMatch(
      /^PRECONDITION: repair: entry 3: cannot be kept by another number; give --skip too/,
    );
    expect(thrown(() => repair(memory, { renumber: true, skip: true }))).toMatch(
      /^PRECONDITION: .*entry 3: all memory that it had cannot be told/,
    );
    repair(memory, { renumber: true, skip: true, unreserved: true });
    expect(memory.paths()).toContain('v2/data');
    expect(memory.paths()).not.toContain('v1/data');
    await expectSound(memory);
  });

  test('adds a device again that the files after it are on', async () => {
    const device = { type: 'add-daxdev', sizeBytes: 64 * MiB, devindex: 1 } as const;
    const extents = [{ devindex: 1, offset: UNIT, lengthBytes: UNIT }];
    const memory = LogMemory.of([
      { ...device, deviceUuid: MASTER },
      { ...file('far', 0), fmap: { type: 'simple', extents } } as NewEntry,
    ]);
    memory.slot(0).set(renumbered(memory.slot(0), 9));
    expect(names(way(memory, 'skip').lost)).toEqual([
      `device null ${64 * MiB}`,
      `file far ${UNIT}`,
    ]);
    repair(memory, { renumber: true });
    expect(memory.paths()).toEqual(['far']);
    await expectSound(memory);
  });
});

describe('repair is refused, and nothing is written,', () => {
  const refusals: [string, string, () => LogMemory, RepairWish, string, RegExp][] = [
    [
      'a clean log',
      'PRECONDITION',
      () => LogMemory.image('b_tree_8g'),
      { cut: true },
      VECTOR_MASTER,
      /nothing is damaged/,
    ],
    [
      'a short one',
      'PRECONDITION',
      () => LogMemory.image('e9_next_index_short'),
      { header: true },
      VECTOR_MASTER,
      /nothing is damaged/,
    ],
    [
      'another master',
      'READ_ONLY',
      () => LogMemory.image('e5_bad_entry_crc_mid'),
      { cut: true },
      MASTER,
      /master is 5f5e5d5c/,
    ],
    [
      'a damaged entry',
      'PRECONDITION',
      () => LogMemory.image('e5_bad_entry_crc_mid'),
      { header: true },
      VECTOR_MASTER,
      /entry 4 is damaged; give --cut or --skip too/,
    ],
    [
      'a damaged header',
      'PRECONDITION',
      () => LogMemory.image('e4_bad_log_crc'),
      { cut: true },
      VECTOR_MASTER,
      /give --header too/,
    ],
    [
      'two ways',
      'INVALID',
      () => LogMemory.image('e5_bad_entry_crc_mid'),
      { cut: true, skip: true },
      VECTOR_MASTER,
      /--cut: goes with neither/,
    ],
    [
      'a count against a sound header',
      'INVALID',
      () => LogMemory.image('e5_bad_entry_crc_mid'),
      { cut: true, entries: 6 },
      VECTOR_MASTER,
      /--entries: found 6.*says 8/,
    ],
    [
      'a count beyond the log',
      'INVALID',
      () => LogMemory.image('e4_bad_log_crc'),
      { header: true, entries: 99_999 },
      VECTOR_MASTER,
      /at most 15420/,
    ],
    [
      'no superblock',
      'CORRUPT',
      () => LogMemory.image('e1_bad_sb_crc'),
      { header: true },
      VECTOR_MASTER,
      /^CORRUPT: superblock/,
    ],
  ];

  test.each(refusals)('for %s: %s', (_, code, image, wish, master, text) => {
    const memory = image();
    const told = thrown(() =>
      repairLog(memory, wish, master, () => {
        throw new Error('saved, though refused');
      }),
    );
    expect(told).toMatch(new RegExp(`^${code}: `));
    expect(told).toMatch(text);
    expect(memory.stores).toBe(0);
  });

  test('for a copy that cannot be saved', () => {
    const memory = LogMemory.image('e5_bad_entry_crc_mid');
    const save = () => {
      throw new Error('no space');
    };
    expect(() => repairLog(memory, { skip: true }, VECTOR_MASTER, save)).toThrow('no space');
    expect(memory.stores).toBe(0);
  });
});
