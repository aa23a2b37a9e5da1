import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { CountTable } from '../../src/native/count-table.ts';
import { Mapping } from '../../src/native/mapping.ts';

const SLOT_BYTES = 16;
const FIRST_SLOTS = (64 * 1024) / SLOT_BYTES;

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync('/dev/shm/famfs-counts-');
  path = join(folder, 'references');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Counts = { lookups: number; opens: number };

/** What the next server finds. */
function reopened(): Record<number, Counts> {
  using table = new CountTable(path);
  return Object.fromEntries(table.entries());
}

describe('count table', () => {
  test('starts empty, and keeps what was set for the next one', () => {
    expect(reopened()).toEqual({});
    using table = new CountTable(path);
    table.set(17, { lookups: 3, opens: 0 });
    table.set(2 ** 52 + 1, { lookups: 1, opens: 2 });
    table.set(17, { lookups: 4, opens: 1 });
    table.set(99, { lookups: 0, opens: 5 });
    const all = {
      17: { lookups: 4, opens: 1 },
      99: { lookups: 0, opens: 5 },
      [2 ** 52 + 1]: { lookups: 1, opens: 2 },
    };
    expect(reopened()).toEqual(all);
    expect(Object.fromEntries(table.entries())).toEqual(all);
  });

  test('is for root alone', () => {
    using _table = new CountTable(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('has no slot for an inode that nothing refers to, and uses it again', () => {
    using table = new CountTable(path);
    table.set(5, { lookups: 0, opens: 0 });
    expect(reopened()).toEqual({});
    for (let ino = 1; ino <= 3 * FIRST_SLOTS; ino++) {
      table.set(ino, { lookups: 1, opens: 1 });
      table.set(ino, { lookups: 0, opens: 0 });
    }
    table.set(7, { lookups: 1, opens: 0 });
    expect(statSync(path).size).toBe(FIRST_SLOTS * SLOT_BYTES);
    expect(reopened()).toEqual({ 7: { lookups: 1, opens: 0 } });
  });

  test('grows by doubling, with all that was in it, and shrinks for nobody', () => {
    const many = 2 * FIRST_SLOTS + 1;
    const inos = Array.from({ length: many }, (_, at) => 1000 + at);
    {
      using table = new CountTable(path);
      for (const ino of inos) table.set(ino, { lookups: ino, opens: 1 });
    }
    expect(statSync(path).size).toBe(4 * FIRST_SLOTS * SLOT_BYTES);
    const all = Object.fromEntries(inos.map((ino) => [ino, { lookups: ino, opens: 1 }]));
    expect(reopened()).toEqual(all);
    using table = new CountTable(path);
    for (const ino of inos) table.set(ino, { lookups: 0, opens: 0 });
    for (const ino of inos) table.set(ino + many, { lookups: 1, opens: 0 });
    expect(statSync(path).size).toBe(4 * FIRST_SLOTS * SLOT_BYTES);
    expect(Object.keys(reopened())).toHaveLength(many);
  });

  test('holds a count that has no room at the most that there is room for', () => {
    using table = new CountTable(path);
    table.set(1, { lookups: 2 ** 32 + 5, opens: 2 ** 40 });
    expect(reopened()).toEqual({ 1: { lookups: 2 ** 32 - 1, opens: 2 ** 32 - 1 } });
  });

  test('has what a plain map has, whatever was set in whatever order, over several lives', () => {
    const set = fc.record({
      ino: fc.integer({ min: 1, max: 40 }),
      lookups: fc.nat(2),
      opens: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(fc.array(set, { maxLength: 60 }), { maxLength: 5 }), (lives) => {
        rmSync(path, { force: true });
        const expected = new Map<number, Counts>();
        for (const sets of lives) {
          using table = new CountTable(path);
          for (const { ino, ...counts } of sets) {
            table.set(ino, counts);
            if (counts.lookups + counts.opens === 0) expected.delete(ino);
            else expected.set(ino, counts);
          }
          expect(new Map(table.entries())).toEqual(expected);
        }
        expect(reopened()).toEqual(Object.fromEntries(expected));
      }),
      { numRuns: 60 },
    );
  });
});

/** One call of `set` for each number: inodes come, change, go, and grow in number meanwhile. */
const change = (n: number): [ino: number, counts: Counts] => {
  const round = Math.floor(n / 3);
  const isGoing = n % 3 === 2;
  const ino = 1 + (isGoing ? (round * 7) % (round + 1) : round);
  return [ino, isGoing ? { lookups: 0, opens: 0 } : { lookups: 1 + (n % 5), opens: n % 3 }];
};

test('is before or after a change at each store of it', () => {
  let stores = 0;
  const [before, after] = [new Map<number, Counts>(), new Map<number, Counts>()];
  using table = new CountTable(path);
  const copyIn = Mapping.prototype.copyIn;
  const spy = jest.spyOn(Mapping.prototype, 'copyIn').mockImplementation(function (
    this: Mapping,
    ...store
  ) {
    copyIn.apply(this, store);
    stores++;
    expect([before, after].map(objectOf)).toContainEqual(reopened());
  });
  try {
    for (let n = 0; n < 400; n++) {
      apply(after, ...change(n));
      table.set(...change(n));
      expect(reopened()).toEqual(objectOf(after));
      apply(before, ...change(n));
    }
  } finally {
    spy.mockRestore();
  }
  expect(stores).toBeGreaterThan(400);
});

const objectOf = (counts: Map<number, Counts>) => Object.fromEntries(counts);

/** Says which change comes next, then makes it, until somebody ends it. */
const WRITER = `
const { CountTable } = await import(process.argv[1]);
const { writeSync } = await import('node:fs');
const change = ${change};
const table = new CountTable(process.argv[2]);
for (let n = 0; ; n++) {
  writeSync(1, n + '\\n');
  table.set(...change(n));
}
`;

/** Kills a process that writes into the table once it has said \`after\`; returns its last word. */
async function killedWriter(after: number): Promise<number> {
  const module = join(__dirname, '../../dist/native/count-table.js');
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, module, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (bytes) => {
    said += String(bytes);
    if (Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1)) >= after) {
      child.kill('SIGKILL');
    }
  });
  await new Promise<void>((resolve) => child.once('close', () => resolve()));
  const words = said.slice(0, said.lastIndexOf('\n')).split('\n');
  expect(child.signalCode).toBe('SIGKILL');
  return Number(words.at(-1));
}

test('a SIGKILL at any point leaves the table before or after a change, not between', async () => {
  const ends: number[] = [];
  // Some are before the table grows for the first time, some after, one is much later.
  for (const after of [1, 100, 3000, 14_000, 40_000]) {
    rmSync(path, { force: true });
    const last = await killedWriter(after);
    const before = new Map<number, Counts>();
    for (let n = 0; n < last; n++) apply(before, ...change(n));
    const afterwards = new Map(before);
    apply(afterwards, ...change(last));
    const found = reopened();
    expect([before, afterwards].map(objectOf)).toContainEqual(found);
    ends.push(last);
    // It can be gone on with.
    using table = new CountTable(path);
    for (const [ino] of [...table.entries()]) table.set(ino, { lookups: 0, opens: 0 });
    expect(reopened()).toEqual({});
  }
  expect(ends.at(-1)).toBeGreaterThan(40_000 - 1);
});

function apply(counts: Map<number, Counts>, ino: number, { lookups, opens }: Counts): void {
  if (lookups + opens === 0) counts.delete(ino);
  else counts.set(ino, { lookups, opens });
}
