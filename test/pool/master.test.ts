import { describe, expect, test } from '@jest/globals';
import { decodeSuperblock, SUPERBLOCK_BYTES } from '../../src/format/superblock.ts';
import { finishReplacement, replaceMaster } from '../../src/pool/master.ts';
import { caught } from '../support/caught.ts';
import { imageMemory } from '../support/vectors.ts';

const NEW = '99999999-9999-4999-8999-999999999999';
const OTHER = '88888888-8888-4888-8888-888888888888';
const STORES = 3;

function superblockOf(memory: ReturnType<typeof imageMemory>) {
  return decodeSuperblock(memory.read(0, SUPERBLOCK_BYTES));
}

describe('another master of a pool', () => {
  test('is named by the superblock, which says the same otherwise', () => {
    const memory = imageMemory('b_tree_8g');
    const before = superblockOf(memory);
    replaceMaster(memory, NEW);
    expect(superblockOf(memory)).toEqual({ ...before, systemUuid: NEW });
  });

  test.each([0, 1, 2])('killed after %d stores, becomes it when that is tried again', (stores) => {
    const memory = imageMemory('b_tree_8g');
    const before = superblockOf(memory);
    memory.dieAfter(stores);
    expect(() => replaceMaster(memory, NEW)).toThrow();
    const left = memory.reopened();
    const cut = left.read(0, SUPERBLOCK_BYTES);
    finishReplacement(left, OTHER);
    expect(left.read(0, SUPERBLOCK_BYTES)).toEqual(cut);
    if (stores > 0) expect(caught(() => superblockOf(left)).code).toBe('CORRUPT');
    finishReplacement(left, NEW);
    const systemUuid = stores === 0 ? before.systemUuid : NEW;
    expect(superblockOf(left)).toEqual({ ...before, systemUuid });
  });

  test('is three stores, and nothing is finished that was not begun', () => {
    const memory = imageMemory('b_tree_8g');
    memory.stores = 0;
    replaceMaster(memory, NEW);
    expect(memory.stores).toBe(STORES);
    finishReplacement(memory, OTHER);
    expect([memory.stores, superblockOf(memory).systemUuid]).toEqual([STORES, NEW]);
    const damaged = imageMemory('e1_bad_sb_crc');
    damaged.stores = 0;
    finishReplacement(damaged, NEW);
    expect(damaged.stores).toBe(0);
  });
});
