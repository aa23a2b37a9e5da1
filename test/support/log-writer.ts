import type { HostIdentity } from '../../src/pool/identity.ts';
import type { LogFollower } from '../../src/pool/log-follower.ts';
import { LogWriter, type LogWriterOptions, type WriterLock } from '../../src/pool/log-writer.ts';

/** Nobody else writes on this host: the lock is another layer's. */
const HOLD: Disposable = { [Symbol.dispose]: () => {} };
export const NO_LOCK: WriterLock = { acquire: async () => HOLD, tryAcquire: () => HOLD };

export function testHost(host: number): HostIdentity {
  const id = `${host.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
  return { id, name: `host ${host}` };
}

/** A writer on host 0 that takes over from anybody, all of whom are fenced; or as `options` say. */
export function writerOf(
  follower: LogFollower,
  options: Partial<LogWriterOptions> = {},
): LogWriter {
  return new LogWriter(follower, {
    lock: NO_LOCK,
    host: testHost(0),
    rules: { mayTakeOver: () => {}, isFenced: () => true },
    reachBytes: follower.memory.lengthBytes,
    ...options,
  });
}
