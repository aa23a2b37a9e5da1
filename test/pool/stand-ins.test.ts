import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { RawLog } from '../../src/pool/raw-log.ts';
import { diagnose } from '../../src/pool/repair-plan.ts';
import {
  directory,
  expectReferenceRules,
  file,
  LogMemory,
  MASTER,
  thrown,
  VECTOR_MASTER,
} from './log-memory.ts';
import { BASE, expectSound, freeBytes, names, repair, UNIT, volume, way } from './repairs.ts';

describe('repair by what valid entries vouch for', () => {
  test('keeps a damaged directory that files go into, with the permissions it says', async () => {
    const memory = LogMemory.of([...volume(0), ...volume(1), ...volume(2)]);
    memory.flip(2, 16, 0x01); // v1's uid becomes 1
    const { refusal, lost, fates } = way(memory, 'skip');
    expect([refusal, lost]).toEqual([null, []]);
    expect(fates).toMatchObject([{ index: 2, isKept: true, becomes: 'v1' }]);
    repair(memory, { skip: true });
    expect(memory.paths()).toEqual(['v0', 'v0/data', 'v1', 'v1/data', 'v2', 'v2/data']);
    expect(new LogFollower(memory).replica.namespace.lookup('v1')).toMatchObject({ uid: 1 });
    await expectSound(memory);
  });

  test('says which files go with a directory whose name cannot be read', async () => {
    const memory = LogMemory.of([...volume(0), ...volume(1), ...volume(2)]);
    memory.flip(2, 28, 0x02); // v1 is read as t1
    expect(names(way(memory, 'skip').lost)).toEqual(['directory t1 0', `file v1/data ${UNIT}`]);
    const free = freeBytes(LogMemory.of([...volume(0), ...volume(1), ...volume(2)]));
    const { remaining } = repair(memory, { skip: true });
    expect(memory.paths()).toEqual(['lost+found-2', 'v0', 'v0/data', 'v2', 'v2/data']);
    expect(freeBytes(memory)).toBe(free); // the file that nobody can reach keeps its memory
    expect(remaining).toMatchObject([{ index: 3, code: 'PARENT' }]);
    expectReferenceRules(memory);
  });

  test('does a damaged deletion that names what is there, by path and by index', async () => {
    const memory = LogMemory.of([
      ...volume(0),
      { type: 'delete', targetIndex: 1, path: 'v0/data' },
      { type: 'delete', targetIndex: 0, path: 'v0' },
      ...volume(1),
    ]);
    memory.flip(2, 300);
    memory.flip(3, 300);
    repair(memory, { skip: true });
    expect(memory.paths()).toEqual(['v1', 'v1/data']);
    await expectSound(memory);
  });

  test('says what comes back when a deletion cannot be read', async () => {
    const memory = LogMemory.of([
      ...volume(0),
      { type: 'delete', targetIndex: 1, path: 'v0/data' },
      { type: 'delete', targetIndex: 0, path: 'v0' },
    ]);
    memory.flip(2, 16); // another target
    expect(names(way(memory, 'skip').returned)).toEqual(['directory v0 0']);
    const { remaining } = repair(memory, { skip: true });
    expect(memory.paths()).toEqual(['lost+found-2', 'v0', 'v0/data']);
    expect(remaining).toMatchObject([{ index: 3, code: 'DELETE_NOT_EMPTY' }]);
    expectReferenceRules(memory);
  });

  test('deletes what a later entry deletes, under whatever name it reads', async () => {
    const memory = LogMemory.of([
      ...volume(0),
      file('gone', BASE + 5 * UNIT),
      { type: 'delete', targetIndex: 2, path: 'gone' },
      ...volume(1),
    ]);
    const free = freeBytes(memory);
    memory.flip(2, 40); // its path
    expect(way(memory, 'skip').lost).toEqual([]);
    repair(memory, { skip: true });
    expect(memory.paths()).toEqual(['v0', 'v0/data', 'v1', 'v1/data']);
    expect(freeBytes(memory)).toBe(free); // dead, not free
    await expectSound(memory);
  });

  test('says that a cut brings deleted files back', () => {
    const memory = LogMemory.of([
      ...volume(0),
      directory('x'),
      { type: 'delete', targetIndex: 1, path: 'v0/data' },
    ]);
    memory.flip(2, 300);
    const { lost, returned } = way(memory, 'cut');
    expect([names(lost), names(returned)]).toEqual([['directory x 0'], [`file v0/data ${UNIT}`]]);
    repair(memory, { cut: true });
    expect(memory.paths()).toEqual(['v0', 'v0/data']);
  });
});

describe('repair of an entry whose memory cannot be told', () => {
  test.each<[string, (memory: LogMemory) => void]>([
    ['a slot that never reached memory', (memory) => memory.slot(3).fill(0)],
    ['extents that a valid entry has', (memory) => memory.flip(3, 136 + 10, 0x60)],
    ['an offset outside the device', (memory) => memory.flip(3, 136 + 14)],
    ['an offset inside the log', (memory) => memory.flip(3, 136 + 10, 0xc0)],
    ['a length that is no unit', (memory) => memory.flip(3, 136 + 16, 1)],
    ['no extents', (memory) => memory.flip(3, 128, 1)],
    ['17 extents', (memory) => memory.flip(3, 128, 16)],
    ['a type that nobody defines', (memory) => memory.flip(3, 8)],
    ['the type of a directory', (memory) => memory.flip(3, 8, 1)],
    ['the type of a deletion', (memory) => memory.flip(3, 8, 2)],
    ['the type of a device', (memory) => memory.flip(3, 8, 3)],
  ])('refuses to skip %s, unless told to', async (_, damage) => {
    const memory = LogMemory.of([...volume(0), ...volume(1), ...volume(2)]);
    damage(memory);
    expect(new LogFollower(memory).replica.damage?.index).toBe(3);
    const before = memory.bytes.slice();
    expect(way(memory, 'skip').refusal).toMatch(/^entry 3: all memory .* --unreserved/);
    expect(thrown(() => repair(memory, { skip: true }))).toMatch(/^PRECONDITION: .*entry 3/);
    expect(Buffer.compare(memory.bytes, before)).toBe(0);
    const { plan } = repair(memory, { skip: true, unreserved: true });
    expect(plan.fates).toMatchObject([{ index: 3, isMemoryKnown: false }]);
    expect(memory.paths()).toEqual(['lost+found-3', 'v0', 'v0/data', 'v1', 'v2', 'v2/data']);
    await expectSound(memory);
  });

  test('keeps what can be told of it', async () => {
    const extents = [
      { devindex: 0, offset: BASE + 8 * UNIT, lengthBytes: UNIT },
      { devindex: 0, offset: BASE, lengthBytes: UNIT }, // v0's
    ];
    const memory = LogMemory.of([...volume(0), directory('x'), ...volume(1)]);
    const torn = { ...file('two', 0), fmap: { type: 'simple', extents } } as NewEntry;
    memory.slot(2).set(encodeLogEntry(2, torn));
    memory.flip(2, 40);
    const { plan } = repair(memory, { skip: true, unreserved: true });
    expect(plan.fates).toMatchObject([{ reservedBytes: UNIT, isMemoryKnown: false }]);
    const saved = new LogFollower(memory).replica.namespace.lookup('lost+found-2');
    expect(saved).toMatchObject({ fmap: { extents: [extents[0]] } });
    await expectSound(memory);
  });

  test('keeps no memory of a device that is not there yet', async () => {
    const extents = [{ devindex: 1, offset: UNIT, lengthBytes: UNIT }];
    const far = { ...file('far', 0), fmap: { type: 'simple', extents } } as NewEntry;
    const device = { sizeBytes: 64 * MiB, deviceUuid: MASTER, devindex: 1 };
    const memory = LogMemory.of([...volume(0), far, { type: 'add-daxdev', ...device }]);
    memory.flip(2, 40);
    expect(way(memory, 'skip').refusal).toMatch(/^entry 2: all memory/);
    repair(memory, { skip: true, unreserved: true });
    await expectSound(memory);
  });

  test('needs no leave to skip a damaged directory, which has none', async () => {
    const memory = LogMemory.of([...volume(0), directory('x'), ...volume(1)]);
    memory.flip(2, 28, 0x80); // its path is no text any more
    expect(way(memory, 'skip').refusal).toBeNull();
    repair(memory, { skip: true });
    expect(memory.paths()).toContain('lost+found-2');
    await expectSound(memory);
  });
});

describe('repair of several damaged entries', () => {
  test('reports them all at once, and mends them all at once', async () => {
    const entries = [0, 1, 2, 3, 4].flatMap(volume);
    const memory = LogMemory.of(entries);
    for (const index of [1, 5, 9]) memory.flip(index, 100);
    const { problems } = diagnose(new RawLog(memory));
    expect(problems.map(({ index }) => index)).toEqual([1, 5, 9]);
    expect(names(way(memory, 'skip').lost).map((text) => text.split('/')[0])).toEqual([
      'file v0',
      'file v2',
      'file v4',
    ]);
    const free = freeBytes(LogMemory.of(entries));
    repair(memory, { skip: true });
    expect(memory.paths()).toEqual([
      ...['lost+found-1', 'lost+found-5', 'lost+found-9', 'v0', 'v1', 'v1/data', 'v2'],
      ...['v3', 'v3/data', 'v4'],
    ]);
    expect(freeBytes(memory)).toBe(free);
    await expectSound(memory);
  });

  test('gives no two of them the same memory', async () => {
    const memory = LogMemory.of([...volume(0), file('a', BASE + UNIT), file('b', BASE + UNIT)]);
    memory.flip(2, 40);
    memory.flip(3, 40);
    expect(way(memory, 'skip').refusal).toMatch(/^entry 3: all memory/);
    repair(memory, { skip: true, unreserved: true });
    await expectSound(memory);
  });

  test('takes a name that no entry has', async () => {
    const memory = LogMemory.of([
      directory('lost+found-1'),
      file('x', BASE),
      directory('lost+found-1.2'),
    ]);
    memory.flip(1, 40);
    repair(memory, { skip: true });
    expect(memory.paths()).toEqual(['lost+found-1', 'lost+found-1.2', 'lost+found-1.3']);
    await expectSound(memory);
  });

  test('keeps chunks where they are when it saves an interleaved file', async () => {
    const memory = LogMemory.image('c_interleaved_64g', 64 * 1024 * MiB);
    const { replica } = new LogFollower(memory);
    const before = [...replica.namespace.files()].find(({ fmap }) => fmap.type === 'interleaved');
    if (before === undefined) throw new Error('the image has no interleaved file');
    memory.flip(before.entryIndex, 40);
    repair(memory, { skip: true }, VECTOR_MASTER);
    const saved = new LogFollower(memory).replica.namespace.lookup(
      `lost+found-${before.entryIndex}`,
    );
    expect(saved).toMatchObject({ fmap: before.fmap, sizeBytes: before.sizeBytes });
    await expectSound(memory);
  });
});
