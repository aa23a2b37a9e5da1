import { getEventListeners } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { Steps } from '../../src/cli/demo/steps.ts';

function newSteps() {
  const interrupt = new AbortController();
  const lines: string[] = [];
  const steps = new Steps(interrupt.signal, (line) => lines.push(line));
  return { interrupt, lines, steps };
}

describe('steps of the demo', () => {
  // Each step left a listener, and Node warned of a leak in the middle of the demo's output.
  test('leave no listener on the signal', async () => {
    const { interrupt, steps } = newSteps();
    for (let at = 0; at < 20; at++) await steps.step(`step ${at}`, () => [at, 'done']);
    expect(getEventListeners(interrupt.signal, 'abort')).toEqual([]);
  });

  test('print what was done, what came of it, and pass the value on', async () => {
    const { lines, steps } = newSteps();
    expect(await steps.step('make a thing', () => [42, 'made'])).toBe(42);
    expect(lines).toEqual([expect.stringMatching(/^ +\d+ ms {2}make a thing +made$/)]);
  });

  test("fail with the interrupt's reason once the step is over, and start no other", async () => {
    const { interrupt, lines, steps } = newSteps();
    const reason = new Fault('UNAVAILABLE', 'stopped by SIGINT');
    let end = (_: Error) => {};
    const running = steps.step('wait', () => {
      return new Promise<never>((_, reject) => {
        end = reject;
      });
    });
    interrupt.abort(reason);
    end(new Error('what the step says when it is cut off'));
    await expect(running).rejects.toBe(reason);
    let started = false;
    const next = steps.step('go on', () => {
      started = true;
      return [undefined, ''];
    });
    await expect(next).rejects.toBe(reason);
    expect(started).toBe(false);
    expect(steps.current).toBe('go on');
    expect(lines).toEqual([]);
  });
});
