import { pino } from 'pino';

/** For code that wants a log where a test has no use for one. */
export const silentLog = pino({ level: 'silent' });
