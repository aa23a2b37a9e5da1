import { describe, expect, test } from '@jest/globals';
import { Steps } from '../../src/cli/demo/steps.ts';

const HOUR_MS = 3_600_000;

describe('a step that waits for a process to answer', () => {
  const silent = () => {};

  test('asks until it does', async () => {
    const steps = new Steps(new AbortController().signal, silent);
    let asked = 0;
    const answer = await steps.retry(async () => {
      if (++asked < 3) throw new Error('not yet');
      return 'here';
    }, HOUR_MS);
    expect({ answer, asked }).toEqual({ answer: 'here', asked: 3 });
  });

  // It went on for its 15 seconds, and a demo that was told to end in its first step with it.
  test('asks no more once it is aborted, and says why', async () => {
    const abort = new AbortController();
    const steps = new Steps(abort.signal, silent);
    let asked = 0;
    const waiting = steps.retry(async () => {
      if (++asked === 2) abort.abort(new Error('stopped by SIGTERM'));
      if (asked > 10) return 'went on';
      throw new Error('not yet');
    }, HOUR_MS);
    await expect(waiting).rejects.toThrow('stopped by SIGTERM');
    expect(asked).toBe(2);
  });

  test('gives up where no answer can come, and when its patience ends', async () => {
    const steps = new Steps(new AbortController().signal, silent);
    let asked = 0;
    const ask = async () => {
      if (++asked > 10) return 'went on';
      throw new Error('not yet');
    };
    const died = () => {
      if (asked === 1) throw new Error('the process ended');
    };
    await expect(steps.retry(ask, HOUR_MS, died)).rejects.toThrow('the process ended');
    expect(asked).toBe(1);
    await expect(steps.retry(ask, -1)).rejects.toThrow('not yet');
    expect(asked).toBe(2);
  });
});
