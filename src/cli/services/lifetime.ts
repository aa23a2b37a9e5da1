import { type Logger, pino } from 'pino';

/** The log of a service: one JSON line an event, on standard error. */
export function serviceLog(name: string, level: string): Logger {
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
