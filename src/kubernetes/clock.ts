import { uptime } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** Time as far as leases need it; a test's own runs as fast as it likes. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** For people to read; nothing is decided by it. */
  date(): Date;
  /** Resolves after so long, or when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/**
 * Time since the machine booted, suspended time included: `performance.now()` stands still while a
 * virtual machine is suspended, and a lease that ran out meanwhile would look valid.
 */
export const bootClock: Clock = {
  now: () => uptime() * 1000,
  date: () => new Date(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}),
};
