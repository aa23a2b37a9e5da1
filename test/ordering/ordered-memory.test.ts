import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Mapping } from '../../src/native/mapping.ts';
import {
  OrderedMemory,
  type RawMemory,
  type SharedMemory,
} from '../../src/native/shared-memory.ts';
import { IncoherentMemory } from '../support/incoherent-memory.ts';
import { Random } from '../support/random.ts';

const LENGTH_BYTES = 8192;

/** Notes the steps, and does nothing. */
class Notes implements RawMemory {
  readonly lengthBytes = LENGTH_BYTES;
  readonly steps: string[] = [];

  copyOut(offset: number, into: Uint8Array): void {
    this.steps.push(`copyOut ${offset} ${into.length}`);
  }

  copyIn(offset: number, bytes: Uint8Array): void {
    this.steps.push(`copyIn ${offset} ${bytes.length}`);
  }

  store(offset: number, word: bigint): void {
    this.steps.push(`store ${offset} ${word}`);
  }

  writeBack(offset: number, lengthBytes: number): void {
    this.steps.push(`writeBack ${offset} ${lengthBytes}`);
  }

  invalidate(offset: number, lengthBytes: number): void {
    this.steps.push(`invalidate ${offset} ${lengthBytes}`);
  }

  fence(): void {
    this.steps.push('fence');
  }

  [Symbol.dispose](): void {
    this.steps.push('dispose');
  }
}

function stepsOf(call: (memory: SharedMemory) => void): string[] {
  const notes = new Notes();
  call(new OrderedMemory(notes));
  return notes.steps;
}

describe('the order of the steps', () => {
  test('of a read: the lines are dropped, then loaded', () => {
    const steps = stepsOf((memory) => void memory.read(100, 50));
    expect(steps).toEqual(['invalidate 100 50', 'copyOut 100 50']);
  });

  test('of a write: stored, written back, fenced', () => {
    const steps = stepsOf((memory) => memory.write(100, new Uint8Array(50)));
    expect(steps).toEqual(['copyIn 100 50', 'writeBack 100 50', 'fence']);
  });

  test('of a publish: one word stored, written back, fenced', () => {
    const steps = stepsOf((memory) => memory.publish(96, 7n));
    expect(steps).toEqual(['store 96 7', 'writeBack 96 8', 'fence']);
  });

  test('of a flush: the lines are dropped, and nothing is loaded', () => {
    expect(stepsOf((memory) => memory.flush(100, 50))).toEqual(['invalidate 100 50']);
  });

  test.each([-1, 1.5, Number.NaN, LENGTH_BYTES + 1])('of a read of %d bytes: none', (length) => {
    const read = (memory: SharedMemory) => void memory.read(0, length);
    expect(() => stepsOf(read)).toThrow(expect.objectContaining({ code: 'INVALID' }));
  });
});

const folder = mkdtempSync(join(tmpdir(), 'famfs-ordered-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function mapped(): SharedMemory {
  const path = join(folder, 'memory');
  writeFileSync(path, '');
  truncateSync(path, LENGTH_BYTES);
  return Mapping.open(path, { writable: true });
}

function simulated(): SharedMemory {
  const memory = new IncoherentMemory(LENGTH_BYTES, 1, new Random(1));
  return new OrderedMemory(memory.host(0).process('writes'));
}

/** One contract, for the addon on real memory and for the model. */
describe.each([
  ['a mapping', mapped],
  ['incoherent memory', simulated],
])('%s as shared memory', (_, open) => {
  test('gives back what was written, across lines, and leaves the rest alone', () => {
    using memory = open();
    const bytes = Uint8Array.from({ length: 544 }, (_, at) => at);
    memory.write(48, bytes);
    expect(memory.read(48, 544)).toEqual(bytes);
    expect([...memory.read(0, 48), ...memory.read(592, 48)]).toEqual(new Array(96).fill(0));
  });

  test('publishes a word of 64 bits, little-endian', () => {
    using memory = open();
    memory.publish(40, 0x0102_0304_0506_0708n);
    expect([...memory.read(40, 8)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
  });

  test('keeps what it holds when it is flushed', () => {
    using memory = open();
    memory.write(0, Uint8Array.of(1, 2, 3));
    memory.flush(0, LENGTH_BYTES);
    expect([...memory.read(0, 4)]).toEqual([1, 2, 3, 0]);
  });

  test('refuses ranges outside and words that are not aligned', () => {
    using memory = open();
    const invalid = expect.objectContaining({ code: 'INVALID' });
    expect(() => memory.read(LENGTH_BYTES - 4, 8)).toThrow(invalid);
    expect(() => memory.write(LENGTH_BYTES - 4, new Uint8Array(8))).toThrow(invalid);
    expect(() => memory.publish(LENGTH_BYTES, 1n)).toThrow(invalid);
    expect(() => memory.publish(44, 1n)).toThrow(invalid);
    expect(memory.read(0, LENGTH_BYTES)).toEqual(new Uint8Array(LENGTH_BYTES));
  });
});
