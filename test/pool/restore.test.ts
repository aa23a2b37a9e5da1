import { describe, expect, test } from '@jest/globals';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../../src/format/control-area.ts';
import { restoreLog } from '../../src/pool/restore.ts';
import {
  appendDirectory,
  directory,
  LogMemory,
  MASTER,
  thrown,
  VECTOR_MASTER,
} from './log-memory.ts';
import { names, repair } from './repairs.ts';

function restore(memory: LogMemory, copy: LogMemory, master = VECTOR_MASTER) {
  return restoreLog(memory, copy, master, () => {});
}

describe('a restored log', () => {
  test('is the one that was saved, and says what was made since', async () => {
    const memory = LogMemory.image('e5_bad_entry_crc_mid');
    const copy = memory.copy();
    repair(memory, { cut: true }, VECTOR_MASTER);
    await appendDirectory(memory.writer().writer, 'since');
    const { lost, entriesBefore, entries } = restore(memory, copy);
    expect([entriesBefore, entries]).toEqual([5, 8]);
    expect(names(lost)).toEqual(['directory since 0']);
    memory.bytes.fill(0, CONTROL_OFFSET, CONTROL_OFFSET + CONTROL_BYTES); // whose log it is
    expect(Buffer.compare(memory.bytes, copy.bytes)).toBe(0);
  });

  test('brings back what a repair had skipped', () => {
    const memory = LogMemory.image('b_tree_8g');
    const copy = memory.copy();
    memory.flip(3, 40);
    repair(memory, { skip: true }, VECTOR_MASTER);
    const { lost, returned } = restore(memory, copy);
    expect(names(lost)).toEqual(['file lost+found-3 1']);
    expect(names(returned)).toEqual(['file one 1']);
    expect(Buffer.compare(memory.bytes, copy.bytes)).toBe(0);
  });

  test('has the header of the copy, also a damaged one', () => {
    const memory = LogMemory.image('e11_next_index_huge');
    const copy = memory.copy();
    repair(memory, { header: true }, VECTOR_MASTER);
    restore(memory, copy);
    // Slots that only that next_index would count were never there to be read.
    expect(Buffer.compare(memory.bytes, copy.bytes)).toBe(0);
  });

  test('is that of this pool, and written by its master only', () => {
    const memory = LogMemory.image('e5_bad_entry_crc_mid');
    const other = LogMemory.of([directory('x')]);
    expect(thrown(() => restore(memory, other))).toMatch(/^INVALID: restore: .* another pool/);
    expect(thrown(() => restore(memory, memory.copy(), MASTER))).toMatch(/^READ_ONLY: /);
    expect(memory.stores).toBe(0);
  });

  test('is not touched when no copy can be saved first', () => {
    const memory = LogMemory.image('b_tree_8g');
    const save = () => {
      throw new Error('no space');
    };
    const copy = LogMemory.image('e5_bad_entry_crc_mid');
    expect(() => restoreLog(memory, copy, VECTOR_MASTER, save)).toThrow('no space');
    expect(memory.stores).toBe(0);
  });
});
