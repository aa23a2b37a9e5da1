import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeLogEntry, type NewEntry, renumbered } from '../../src/format/log-entry.ts';
import type { Node } from '../../src/format/namespace.ts';
import { Replica } from '../../src/format/replica.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { RawLog } from '../../src/pool/raw-log.ts';
import { diagnose } from '../../src/pool/repair-plan.ts';
import { directory, expectReferenceRules, LogMemory, OWNER } from './log-memory.ts';
import { repair, UNIT, way } from './repairs.ts';

/** One step of a log's life: what to make or delete, and where among what is there. */
const step = fc.record({
  what: fc.constantFrom('mkdir', 'file', 'file', 'delete'),
  where: fc.nat(),
  units: fc.integer({ min: 1, max: 5 }),
});

/** `gentle` damage leaves an entry's type and memory to be read. */
const damage = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom('number', 'crc', 'name', 'byte', 'zero', 'noise', 'other'),
  byte: fc.integer({ min: 0, max: 543 }),
  mask: fc.integer({ min: 1, max: 255 }),
});
/**
 * What a writer wrote in the wrong place is whole, and looks as if it were right there, unless it
 * is in its own place as well: such damage comes alone.
 */
const damages = fc
  .array(damage, { minLength: 1, maxLength: 4 })
  .map((hits) => (hits.some(({ kind }) => kind === 'other') ? hits.slice(0, 1) : hits));
type Damage = ReturnType<typeof damage.generate>['value'];
const GENTLE = ['number', 'crc', 'name'];

function nodesOf(replica: Replica): Node[] {
  const nodes: Node[] = [];
  const { root } = replica.namespace;
  for (const stack = [root]; stack.length > 0; ) {
    for (const node of stack.pop()?.children() ?? []) {
      nodes.push(node);
      if (node.kind === 'directory') stack.push(node);
    }
  }
  return nodes;
}

/** A log that a writer could have written, by these steps. */
function logOf(steps: readonly { what: string; where: number; units: number }[]): LogMemory {
  const replica = new Replica(new LogFollower(LogMemory.of([])).superblock);
  const entries: NewEntry[] = [];
  steps.forEach(({ what, where, units }, at) => {
    const nodes = nodesOf(replica).sort((a, b) => a.entryIndex - b.entryIndex);
    const parents = nodes.filter(({ kind }) => kind === 'directory');
    const parent = parents[where % (parents.length + 1)];
    const path = parent === undefined ? `n${at}` : `${parent.path}/n${at}`;
    const target = nodes.filter((node) => node.kind === 'file' || node.childCount === 0)[
      where % Math.max(1, nodes.length)
    ];
    let entry: NewEntry = directory(path);
    if (what === 'file') {
      const fmap = replica.space.find({ strips: 0 }, units * UNIT);
      entry = { type: 'file', path, sizeBytes: units * UNIT - 1, flags: 2, ...OWNER, fmap };
    } else if (what === 'delete' && target !== undefined) {
      entry = { type: 'delete', targetIndex: target.entryIndex, path: target.path };
    }
    entries.push(entry);
    replica.applyEntry(encodeLogEntry(at, entry));
  });
  return LogMemory.of(entries);
}

function inflict(memory: LogMemory, index: number, { kind, byte, mask }: Damage): void {
  const slot = memory.slot(index);
  if (kind === 'number') slot.set(renumbered(slot, index + mask));
  if (kind === 'crc') memory.flip(index, 536 + (byte % 4), mask);
  // In the path, whatever the type; a type without memory is told by its padding from 108 on.
  if (kind === 'name') memory.flip(index, 41 + (byte % 60), mask);
  if (kind === 'byte') memory.flip(index, byte, mask);
  if (kind === 'zero') slot.fill(0);
  if (kind === 'noise') for (let at = 0; at < 544; at++) slot[at] = (at * mask + byte) & 0xff;
  if (kind === 'other') slot.set(memory.slot(Math.max(0, index - 1 - (byte % 3))));
}

describe('any log with any damage', () => {
  test('is repaired without losing, or giving away, what is not said', () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 30 });
    let skipped = 0;
    fc.assert(
      fc.property(steps, damages, fc.boolean(), (life, hits, renumber) => {
        const memory = logOf(life);
        const truth = new LogFollower(memory).replica;
        for (const hit of hits) inflict(memory, hit.at % life.length, hit);
        const { problems } = diagnose(new RawLog(memory));
        if (problems.length === 0) return; // an entry copied onto itself, or flipped back
        skipped += 1;
        expectCutSaysAll(memory.copy(), truth);
        const wish = { skip: true, unreserved: true, renumber };
        const isGentle = hits.every(({ kind }) => GENTLE.includes(kind));
        const { plan } = repair(memory, wish);
        expectReferenceRules(memory);
        const { replica } = new LogFollower(memory);
        expect([replica.damage, replica.position]).toEqual([undefined, life.length]);

        const live = new Map(nodesOf(replica).map((node) => [node.path, node.entryIndex]));
        const told = new Set(plan.lost.map(({ index }) => index));
        // A whole entry copied over another is, to the bytes, one with a wrong number: told to
        // renumber, the repair keeps it, and nothing is left that says what stood there.
        const overwritten = renumber ? hits.filter(({ kind }) => kind === 'other') : [];
        const untold = new Set(overwritten.map(({ at }) => at % life.length));
        for (const { path, entryIndex } of nodesOf(truth)) {
          if (live.get(path) === entryIndex || untold.has(entryIndex)) continue;
          expect(told).toContain(entryIndex);
        }
        const isFileMemoryKept = plan.fates.every(({ isMemoryKnown }) => isMemoryKnown);
        if (isGentle) {
          expect(isFileMemoryKept).toBe(true);
          expect(replica.space.freeBytes).toBe(truth.space.freeBytes);
        }
      }),
      { numRuns: 200 },
    );
    expect(skipped).toBeGreaterThan(100);
  });
});

/** By index: the path of a damaged entry may not be read as it was. */
function expectCutSaysAll(memory: LogMemory, truth: Replica): void {
  const told = new Set(way(memory, 'cut').lost.map(({ index }) => index));
  const { plan } = repair(memory, { cut: true });
  expectReferenceRules(memory);
  const { replica } = new LogFollower(memory);
  expect([replica.damage, replica.position]).toEqual([undefined, plan.entries]);
  const live = new Set(nodesOf(replica).map(({ entryIndex }) => entryIndex));
  for (const { entryIndex } of nodesOf(truth)) {
    if (!live.has(entryIndex)) expect(told).toContain(entryIndex);
  }
}
