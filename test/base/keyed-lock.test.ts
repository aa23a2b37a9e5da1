import { describe, expect, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';
import { KeyedLock } from '../../src/base/keyed-lock.ts';

/** A promise and the functions that settle it. */
function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('keyed lock', () => {
  test('runs tasks of one key one after the other, in the order of their calls', async () => {
    const lock = new KeyedLock(60_000);
    const gate = deferred();
    const events: string[] = [];
    const first = lock.run('a', async () => {
      events.push('first begins');
      await gate.promise;
      events.push('first ends');
    });
    const second = lock.run('a', () => events.push('second'));
    const third = lock.run('a', () => events.push('third'));
    gate.resolve();
    await Promise.all([first, second, third]);
    expect(events).toEqual(['first begins', 'first ends', 'second', 'third']);
  });

  test('runs tasks of different keys at once', async () => {
    const lock = new KeyedLock(60_000);
    const gate = deferred();
    const first = lock.run('a', () => gate.promise);
    await expect(lock.run('b', () => 'b is done')).resolves.toBe('b is done');
    gate.resolve();
    await first;
  });

  test('passes an error to its caller only, and lets the next task run', async () => {
    const lock = new KeyedLock(60_000);
    const first = lock.run('a', () => Promise.reject(new Error('mine')));
    const second = lock.run('a', () => 'fine');
    await expect(first).rejects.toThrow('mine');
    await expect(second).resolves.toBe('fine');
  });

  test('gives up with BUSY after its patience, and never runs the task later', async () => {
    const lock = new KeyedLock(5);
    const gate = deferred();
    let ran = false;
    const first = lock.run('a', () => gate.promise);
    const second = lock.run('a', () => {
      ran = true;
    });
    expect(codeOf(await second.catch((error: unknown) => error))).toBe('BUSY');
    expect(lock.held().map(({ key }) => key)).toEqual(['a']);
    gate.resolve();
    await first;
    await lock.run('a', () => undefined);
    expect(ran).toBe(false);
    expect(lock.held()).toEqual([]);
  });
});
