import { describe, expect, test } from '@jest/globals';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { RequestCounts } from '../../src/fuse/request-counts.ts';
import { message } from './messages.ts';

describe('request counts', () => {
  test('says nothing of requests that never came', () => {
    expect(new RequestCounts().read()).toEqual({});
  });

  test('counts each opcode by its name, famfs ones too', () => {
    const counts = new RequestCounts();
    for (const opcode of Object.values(OPCODE)) counts.add(message(opcode, 1));
    counts.add(message(OPCODE.GET_FMAP, 1));
    const every = Object.fromEntries(Object.keys(OPCODE).map((name) => [name, 1]));
    expect(counts.read()).toEqual({ ...every, GET_FMAP: 2 });
  });

  test('counts an opcode that no table has, and a gap in the numbers, as other', () => {
    const counts = new RequestCounts();
    for (const opcode of [0, 7, 63, 64, 4096, 2 ** 32 - 1]) counts.add(message(opcode, 1));
    expect(counts.read()).toEqual({ other: 6 });
  });

  test('reads a message at its own place in a larger buffer', () => {
    const counts = new RequestCounts();
    const buffer = new Uint8Array(200);
    buffer.set(message(OPCODE.READ, 1), 100);
    counts.add(buffer.subarray(100, 140));
    expect(counts.read()).toEqual({ READ: 1 });
  });

  test('leaves out what is too short for a header', () => {
    const counts = new RequestCounts();
    counts.add(message(OPCODE.READ, 1).subarray(0, 39));
    expect(counts.read()).toEqual({});
  });
});
