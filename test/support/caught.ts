import { codeOf, messageOf } from '../../src/base/errors.ts';

export interface Caught {
  readonly code: string | undefined;
  readonly message: string;
}

/** Code and text of what `run` throws; fails the test when it throws nothing. */
export function caught(run: () => unknown): Caught {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
  throw new Error(`nothing was thrown; the result is ${JSON.stringify(result)}`);
}

/** The code of what `run` throws; undefined when it throws nothing. */
export function codeThrownBy(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** The same as `caught` of a promise that must reject. */
export async function rejection(promise: Promise<unknown>): Promise<Caught> {
  try {
    await promise;
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
  throw new Error('the promise was fulfilled');
}
