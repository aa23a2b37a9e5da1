import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../../src/format/control-area.ts';
import { renumbered } from '../../src/format/log-entry.ts';
import { LOG_OFFSET } from '../../src/format/log-header.ts';
import { repairLog } from '../../src/pool/repair.ts';
import type { RepairWish } from '../../src/pool/repair-plan.ts';
import { restoreLog } from '../../src/pool/restore.ts';
import {
  appendDirectory,
  expectReferenceRules,
  LogMemory,
  thrown,
  VECTOR_MASTER,
} from './log-memory.ts';

/** Which lines of the store that was cut off reached the memory. */
const TEARS: readonly ((line: number) => boolean)[] = [
  () => false,
  (line) => line === 0,
  (line) => line > 0,
  (line) => line % 2 === 0,
  (line) => line % 2 === 1,
  (line) => line < 8,
  () => true,
];

/** What a reader gets who opens the log: the paths, or the error. */
function view(memory: LogMemory): string {
  try {
    return JSON.stringify(memory.paths());
  } catch (error) {
    return String((error as { code?: string }).code);
  }
}

function repair(memory: LogMemory, wish: RepairWish): void {
  repairLog(memory, wish, VECTOR_MASTER, () => {});
}

const SCENARIOS: readonly [string, RepairWish, number, () => LogMemory][] = [
  ['cut', { cut: true }, 2, () => LogMemory.image('e5_bad_entry_crc_mid')],
  ['skip', { skip: true }, 1, () => LogMemory.image('e5_bad_entry_crc_mid')],
  ['renumber', { renumber: true }, 2, () => LogMemory.image('e7_wrong_seqnum_mid')],
  ['header', { header: true }, 1, () => LogMemory.image('e3_bad_log_magic')],
  ['header and next_index', { header: true }, 2, () => LogMemory.image('e11_next_index_huge')],
  ['next_seqnum', { header: true }, 1, () => LogMemory.image('e12_seq_ne_index')],
  ['header, entries and next_seqnum', { header: true, skip: true }, 5, severalDamaged],
  ['header and cut', { header: true, cut: true }, 3, severalDamaged],
  ['header and --entries', { header: true, entries: 8 }, 3, zeroedHeader],
  ['renumbering a run', { renumber: true }, 8, wrongRun],
];

function severalDamaged(): LogMemory {
  const memory = LogMemory.image('e4_bad_log_crc');
  for (const index of [3, 5, 7]) memory.flip(index, 100);
  memory.setWords(9, 8);
  return memory;
}

function zeroedHeader(): LogMemory {
  const memory = LogMemory.image('b_tree_8g');
  memory.bytes.fill(0, 2 * MiB, 2 * MiB + 48);
  return memory;
}

function wrongRun(): LogMemory {
  const memory = LogMemory.image('b_tree_8g');
  for (let at = 4; at < 8; at++) memory.slot(at).set(renumbered(memory.slot(at), 90 + at));
  return memory;
}

describe('the power, cut at any store of a repair by', () => {
  test.each(SCENARIOS)('%s, leaves the old log or the new one', (_, wish, stores, image) => {
    const old = view(image());
    const whole = image();
    repair(whole, wish);
    expect(whole.stores).toBe(stores); // each of them is cut below
    const repaired = view(whole);
    for (let cut = 0; cut < stores; cut++) {
      for (const tear of TEARS) {
        const memory = image();
        memory.dieAfter(cut, tear);
        expect(thrown(() => repair(memory, wish))).toMatch('power lost');
        memory.revive();
        expect([old, repaired]).toContain(view(memory));
        // What was whole by then is what was to be written; else a second repair finishes.
        const again = thrownOrNothing(() => repair(memory, wish));
        expect(again).toMatch(/^$|nothing is damaged/);
        expectReferenceRules(memory);
        expect(view(memory)).toBe(repaired);
        expect(Buffer.compare(withoutControl(memory), withoutControl(whole))).toBe(0);
      }
    }
  });

  test('a cut, after its first store, leaves a log that recovery brings to order', async () => {
    const memory = LogMemory.image('e5_bad_entry_crc_mid');
    memory.dieAfter(1);
    expect(thrown(() => repair(memory, { cut: true }))).toMatch('power lost');
    memory.revive();
    expect(memory.words()).toEqual([8, 4]);
    const { writer, found } = memory.writer();
    await appendDirectory(writer, 'new');
    expect(found.map(({ kind }) => kind)).toEqual(['seqnum-ahead', 'torn-entry']);
    expectReferenceRules(memory);
  });

  test('a restore, leaves a beginning of the log or the restored one', async () => {
    const copy = LogMemory.image('e5_bad_entry_crc_mid');
    const cutAndUsed = async () => {
      const memory = LogMemory.image('e5_bad_entry_crc_mid');
      repair(memory, { cut: true });
      await appendDirectory(memory.writer().writer, 'new');
      memory.stores = 0;
      return memory;
    };
    const restore = (memory: LogMemory) => restoreLog(memory, copy, VECTOR_MASTER, () => {});
    const whole = await cutAndUsed();
    const used = view(whole);
    restore(whole);
    const [prefix, restored] = [view(copy), view(whole)];
    // The log is opened first, and at last the control area says that it is another one.
    expect(whole.stores).toBe(2 + (2 + 4 + 3) + 3);
    for (let cut = 0; cut < whole.stores; cut++) {
      for (const tear of TEARS) {
        const memory = await cutAndUsed();
        memory.dieAfter(cut, tear);
        expect(thrown(() => restore(memory))).toMatch('power lost');
        memory.revive();
        expect([used, prefix, restored]).toContain(view(memory));
        restore(memory);
        const logs = [memory, whole].map(({ bytes }) => bytes.subarray(LOG_OFFSET));
        expect(Buffer.compare(...(logs as [Uint8Array, Uint8Array]))).toBe(0);
      }
    }
  });
});

/** Every try makes another log of it, by number. */
function withoutControl({ bytes }: LogMemory): Uint8Array {
  return bytes.slice().fill(0, CONTROL_OFFSET, CONTROL_OFFSET + CONTROL_BYTES);
}

function thrownOrNothing(run: () => void): string {
  try {
    run();
    return '';
  } catch (error) {
    return String(error);
  }
}
