import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS, type Layout } from '../../src/format/allocator.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import type { DeadFile, Replica } from '../../src/format/replica.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { writerOf } from '../support/log-writer.ts';
import { appendDirectory, directory, LogMemory, MASTER, OWNER, thrown } from './log-memory.ts';
import { type ReferenceView, referenceView } from './reference-reader.ts';

const STRIPED: Layout = { strips: 2, buckets: 2, chunkBytes: 2 * MiB };
/** Superblock and log, and a little of the memory for files. */
const BACKED_BYTES = 11 * MiB;

/** Which lines of the store that was cut off reached the memory. */
const TEARS: readonly ((line: number) => boolean)[] = [
  () => false,
  (line) => line === 0,
  (line) => line > 0,
  (line) => line % 2 === 0,
  () => true,
];

const isReleased = ({ node }: DeadFile): boolean => !node.path.includes('held');

function writerOn(memory: LogMemory): LogWriter {
  const reachBytes = memory.bytes.length;
  return writerOf(new LogFollower(memory), { isReleased, reachBytes });
}

function append(writer: LogWriter, plan: (replica: Replica) => NewEntry[]): void {
  writer.appendHeld((replica) => ({ entries: plan(replica), result: undefined }));
}

function make(writer: LogWriter, path: string, layout: Layout = CONTIGUOUS): void {
  append(writer, ({ space }) => {
    const fmap = space.find(layout, 6 * MiB);
    return [{ type: 'file', path, sizeBytes: 6 * MiB, flags: 2, ...OWNER, fmap }];
  });
}

function remove(writer: LogWriter, ...paths: readonly string[]): void {
  append(writer, ({ namespace }) =>
    paths.map((path) => {
      const targetIndex = namespace.lookup(path)?.entryIndex ?? -1;
      return { type: 'delete', path, targetIndex };
    }),
  );
}

/** Volumes that live, that went, and that went while somebody has them. */
function churned(count: number): LogMemory {
  const memory = new LogMemory(new Uint8Array(BACKED_BYTES), 8 * GiB);
  mkfs(memory, { deviceName: 'test', systemUuid: MASTER });
  const writer = writerOn(memory);
  for (let at = 0; at < count; at++) {
    for (const kind of ['live', 'gone', 'held']) {
      append(writer, () => [directory(`${kind}-${at}`)]);
      make(writer, `${kind}-${at}/data`, at % 3 === 0 ? STRIPED : CONTIGUOUS);
    }
    remove(writer, `gone-${at}/data`, `gone-${at}`);
    if (at % 2 === 0) remove(writer, `held-${at}/data`, `held-${at}`);
  }
  memory.stores = 0;
  return memory;
}

/** A log that was compacted before, and used since. */
function compactedBefore(): LogMemory {
  const memory = churned(3);
  const writer = writerOn(memory);
  writer.compactHeld();
  make(writer, 'late');
  remove(writer, 'live-0/data');
  memory.stores = 0;
  return memory;
}

/** Of the reference's own making, with room behind the log; the first file is deleted. */
function vector(name: string): LogMemory {
  const image = LogMemory.image(name, 64 * GiB);
  const bytes = new Uint8Array(BACKED_BYTES);
  bytes.set(image.bytes);
  const memory = new LogMemory(bytes, 64 * GiB);
  const writer = writerOn(memory);
  const [first] = new LogFollower(memory).replica.namespace.files();
  if (first !== undefined) remove(writer, first.path);
  append(writer, () => []);
  memory.stores = 0;
  return memory;
}

const LOGS: readonly [string, () => LogMemory][] = [
  ['four volumes of each kind', () => churned(4)],
  ['a hundred volumes of each kind', () => churned(100)],
  ['a log that was compacted before', compactedBefore],
  ['the vector a_empty_4g', () => vector('a_empty_4g')],
  ['the vector b_tree_8g', () => vector('b_tree_8g')],
  ['the vector c_interleaved_64g', () => vector('c_interleaved_64g')],
  ['the vector f_add_daxdev_8g', () => vector('f_add_daxdev_8g')],
];

/** All that lives, as a host has it that opens the log now; undefined while it cannot be read. */
function liveIn(memory: LogMemory): string[] | undefined {
  const follower = new LogFollower(memory);
  const { replica } = follower;
  expect(replica.problems).toEqual([]);
  expect(replica.damage).toBeUndefined();
  if (!follower.isSettled) {
    expect(replica.position).toBe(0);
    return undefined;
  }
  return [...replica.namespace.nodes()].map((node) => factsOf(node)).sort();
}

function factsOf(node: ReturnType<Replica['namespace']['byIno']>): string {
  if (node?.kind !== 'file') return `${node?.path}/ ${node?.ino}`;
  return `${node.path} ${node.ino} ${node.sizeBytes} ${JSON.stringify(node.fmap)}`;
}

function isPrefix(one: ReferenceView, other: ReferenceView): boolean {
  if (one.entries.length > other.entries.length) return false;
  return one.entries.every((entry, at) => Buffer.compare(entry, other.entries[at] ?? entry) === 0);
}

/** No more, and no less, than a reader of the reference may see at any moment. */
function expectReferenceSees(memory: LogMemory, logs: readonly ReferenceView[]): void {
  const seen = referenceView(memory.bytes);
  expect(seen.problems).toEqual([]);
  expect(logs.filter((log) => isPrefix(seen, log))).not.toEqual([]);
}

describe('the power, cut at any store of a compaction of', () => {
  test.each(LOGS)('%s, leaves the old log, or one to be finished, or the new one', (_, log) => {
    const old = log();
    const whole = old.copy();
    writerOn(whole).compactHeld();
    const live = liveIn(old);
    expect(live).toBeDefined();
    expect(liveIn(whole)).toEqual(live);
    const logs = [referenceView(old.bytes), referenceView(whole.bytes)];
    for (const { problems } of logs) expect(problems).toEqual([]);
    expect(whole.stores).toBeGreaterThanOrEqual(8);
    let unsettled = 0;
    for (let cut = 0; cut < whole.stores; cut++) {
      for (const tear of TEARS) {
        const memory = old.copy();
        memory.dieAfter(cut, tear);
        expect(thrown(() => writerOn(memory).compactHeld())).toMatch('power lost');
        memory.revive();
        const seen = liveIn(memory);
        if (seen === undefined) unsettled++;
        else expect(seen).toEqual(live);
        expectReferenceSees(memory, logs);
        // Who comes next finds all of it, and goes on.
        append(writerOn(memory), () => []);
        expect(liveIn(memory)).toEqual(live);
        expectReferenceSees(memory, logs);
        const { nextIndex } = new LogFollower(memory).header();
        expect(referenceView(memory.bytes).entries.length).toBe(nextIndex);
        expect(logs.map(({ entries }) => entries.length)).toContain(nextIndex);
      }
    }
    expect(unsettled).toBeGreaterThan(0);
  });

  test('one that is finished by who comes next, which is killed in turn, and again', () => {
    const old = churned(4);
    const live = liveIn(old);
    const whole = old.copy();
    writerOn(whole).compactHeld();
    for (let first = 0; first < whole.stores; first++) {
      for (let second = first % 3; second < whole.stores; second += 3) {
        const memory = old.copy();
        for (const cut of [first, second, first]) {
          memory.dieAfter(cut, (line) => line % 2 === 1);
          try {
            append(writerOn(memory), () => []);
            writerOn(memory).compactHeld();
          } catch (error) {
            expect(String(error)).toMatch('power lost');
          }
          memory.revive();
          expect(referenceView(memory.bytes).problems).toEqual([]);
        }
        append(writerOn(memory), () => []);
        expect(liveIn(memory)).toEqual(live);
      }
    }
  });
});

describe('a log of the reference that is', () => {
  const full = () => {
    const { bytes } = LogMemory.image('d_full_log_64g', 64 * GiB);
    const all = new Uint8Array(BACKED_BYTES);
    all.set(bytes);
    return new LogMemory(all, 64 * GiB);
  };

  test('full to its last slot of what lives, is left as it is: the new one would not fit', () => {
    const memory = full();
    append(writerOn(memory), () => []);
    const before = memory.copy();
    expect(thrown(() => writerOn(memory).compactHeld())).toMatch(
      /^PRECONDITION: log: not compacted, the new one would have 15421 entries, and 15420 fit/,
    );
    expect(Buffer.compare(memory.bytes.subarray(2 * MiB), before.bytes.subarray(2 * MiB))).toBe(0);
    expect(liveIn(memory)).toEqual(liveIn(before));
  });

  test('nearly full, is compacted as any other, wherever it is cut', () => {
    const old = full();
    old.setWords(15_000, 15_000);
    const writer = writerOn(old);
    const files = [...new LogFollower(old).replica.namespace.files()];
    remove(writer, ...files.slice(0, 50).map(({ path }) => path));
    old.stores = 0;
    const whole = old.copy();
    writerOn(whole).compactHeld();
    const live = liveIn(old);
    expect(liveIn(whole)).toEqual(live);
    const logs = [referenceView(old.bytes), referenceView(whole.bytes)];
    expect(logs.flatMap(({ problems }) => problems)).toEqual([]);
    expect(logs[1]?.entries.length).toBeLessThan(15_000);
    for (let cut = 1; cut < whole.stores; cut += Math.ceil(whole.stores / 7)) {
      const memory = old.copy();
      memory.dieAfter(cut, (line) => line % 2 === 0);
      expect(thrown(() => writerOn(memory).compactHeld())).toMatch('power lost');
      memory.revive();
      expect([undefined, JSON.stringify(live)]).toContain(JSON.stringify(liveIn(memory)));
      expectReferenceSees(memory, logs);
      append(writerOn(memory), () => []);
      expect(liveIn(memory)).toEqual(live);
    }
  });
});

describe('a log that was compacted', () => {
  test('names what is in quarantine, so that no reader ever sees memory twice', async () => {
    const memory = churned(4);
    const writer = writerOn(memory);
    writer.compactHeld();
    const { paths } = referenceView(memory.bytes);
    expect(paths.filter((path) => path.startsWith('+held-'))).toHaveLength(2);
    expect(paths.filter((path) => path.includes('gone'))).toEqual([]);
    for (let at = 0; at < 4; at++) make(writer, `again-${at}`);
    await appendDirectory(writer, 'more');
    expect(referenceView(memory.bytes).problems).toEqual([]);
    const { replica } = new LogFollower(memory);
    expect(replica.dead.map(({ node }) => node.path.split('+')[1])).toEqual(['held-0', 'held-2']);
  });
});
