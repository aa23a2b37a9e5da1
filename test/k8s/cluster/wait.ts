import { setTimeout as sleep } from 'node:timers/promises';
import { Ended } from './processes.ts';

export interface Patience {
  readonly patienceMs?: number;
  readonly everyMs?: number;
}

/** Looks until there is a value; fails with the last reason why there was none. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  { patienceMs = 120_000, everyMs = 250 }: Patience = {},
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  let reason: unknown = 'no value';
  while (Date.now() < deadline) {
    try {
      const value = await look();
      if (value !== undefined) return value;
    } catch (error) {
      if (error instanceof Ended) throw error;
      reason = error;
    }
    await sleep(everyMs);
  }
  throw new Error(`${what}: not within ${patienceMs / 1000} s: ${String(reason)}`);
}
