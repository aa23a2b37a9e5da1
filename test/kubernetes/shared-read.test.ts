import { describe, expect, test } from '@jest/globals';
import { SharedRead } from '../../src/kubernetes/shared-read.ts';
import { rejection } from '../support/caught.ts';

/** Reads that the test answers, one after the other. */
class Reads {
  readonly waiting: { resolve: (value: number) => void; reject: (error: unknown) => void }[] = [];
  begun = 0;

  readonly read = (): Promise<number> => {
    this.begun++;
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  };
}

describe('a shared read', () => {
  test('gives who asks during a read the next one, together', async () => {
    const reads = new Reads();
    const shared = new SharedRead(reads.read);
    const first = shared.read();
    const later = [shared.read(), shared.read(), shared.read()];
    expect(reads.begun).toBe(1);
    reads.waiting[0]?.resolve(1);
    expect(await first).toBe(1);
    await new Promise(setImmediate);
    expect(reads.begun).toBe(2);
    const last = shared.read();
    reads.waiting[1]?.resolve(2);
    expect(await Promise.all(later)).toEqual([2, 2, 2]);
    await new Promise(setImmediate);
    reads.waiting[2]?.resolve(3);
    expect(await last).toBe(3);
  });

  test('reads for who comes after a read that failed', async () => {
    const reads = new Reads();
    const shared = new SharedRead(reads.read);
    const first = shared.read();
    const second = shared.read();
    reads.waiting[0]?.reject(new Error('gone'));
    expect((await rejection(first)).message).toBe('gone');
    await new Promise(setImmediate);
    reads.waiting[1]?.resolve(2);
    expect(await second).toBe(2);
    const third = shared.read();
    reads.waiting[2]?.resolve(3);
    expect(await third).toBe(3);
  });
});
