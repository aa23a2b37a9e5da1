import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, levels, pino } from 'pino';
import { Fault } from '../../base/errors.ts';

/** The log of a service: one JSON line an event, on standard error. INVALID: no such level. */
export function serviceLog(name: string, level: string): Logger {
  if (!(level in levels.values)) {
    const known = Object.keys(levels.values).join(', ');
    throw new Fault('INVALID', `--log-level: found "${level}", expected one of ${known}`);
  }
  return pino({ name, level }, pino.destination({ dest: 2, sync: true }));
}

/** Resolves with the name of the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignalled(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => resolve(signal));
    }
  });
}

/** Until the signal. `look` never throws, or ends it. */
export async function lookAgain(
  look: () => Promise<void>,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await look();
    await delay(everyMs, undefined, { signal }).catch(() => {});
  }
}
