import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import type { Negotiated } from '../../src/fuse/init.ts';
import { FuseSession, type SessionDevice } from '../../src/fuse/session.ts';
import type { WakeEvent } from '../../src/native/fuse-device.ts';
import type { Segment } from '../../src/native/mapping.ts';
import { flatten, hex, message, replyOf, toHex } from './messages.ts';
import { FILE_INO, served } from './served.ts';

const NEGOTIATED: Negotiated = {
  minor: 46,
  flags: 0,
  flags2: 0,
  kernelMinor: 46,
  offeredFlags: 0,
  offeredFlags2: 0,
  maxReadaheadBytes: 0,
  maxWriteBytes: 4096,
  canResend: true,
  daxFmap: false,
};
const RESEND = '10000000070000000000000000000000';
const STATFS = 17;
const forget = message(2, FILE_INO, hex`0100000000000000`);

/** What `receive` finds: a request, the wake event, time passing, the end of the mount. */
type Event = Uint8Array | 'wake' | 'timeout' | 'gone';

/** A mount that plays `events` on a clock of its own; each request takes `requestMs`. */
function playedBack(
  events: Event[],
  options: { requestMs?: number; send?: (head: Uint8Array) => boolean; resume?: boolean } = {},
) {
  const log: string[] = [];
  let clockMs = 0;
  let isRung = false;
  const device: SessionDevice = {
    receive: (buffer, wake, timeoutMs) => {
      expect(wake).toBeDefined();
      const event = events.shift();
      if (event === undefined || event === 'gone') return 'gone';
      if (event === 'timeout') clockMs += timeoutMs;
      if (event === 'wake') isRung = true;
      if (typeof event === 'string') return 0;
      clockMs += options.requestMs ?? 0;
      buffer.set(event);
      return event.length;
    },
    send: (head: Uint8Array, segments: readonly Segment[] = []) => {
      log.push(`send ${toHex(flatten({ head, segments }))}`);
      return options.send?.(head) ?? true;
    },
  };
  const wake = {
    drain: () => {
      isRung = false;
    },
  } as unknown as WakeEvent;
  const { responder, fs } = served();
  /** What the session says became of each reply. */
  const fates: string[] = [];
  Object.assign(responder, {
    delivered: () => fates.push('delivered'),
    undelivered: (isGone: boolean) => fates.push(isGone ? 'gone' : 'not sent'),
  });
  let orders: 'stop' | undefined;
  const session = new FuseSession({
    device,
    responder,
    negotiated: NEGOTIATED,
    wake,
    resume: options.resume ?? false,
    idleMs: 1000,
    now: () => clockMs,
    hooks: {
      onWake: () => {
        expect(isRung).toBe(false); // drained before the orders are looked for
        log.push(`wake at ${clockMs}`);
        return orders;
      },
      onIdle: () => log.push(`idle at ${clockMs}`),
      sendFailed: (what, error) => log.push(`failed ${what}: ${(error as Error).message}`),
    },
  });
  const stop = () => {
    orders = 'stop';
  };
  return { session, log, fates, fs, stop };
}

const sent = (reply: Uint8Array) => `send ${toHex(reply)}`;
const destroy = message(38, 0);

describe('session', () => {
  test('answers each request in turn until the mount is gone', () => {
    const { session, log } = playedBack([destroy, forget, message(4711, 1), 'gone', destroy]);
    expect(session.run()).toBe('gone');
    expect(log).toEqual([sent(replyOf(0)), sent(replyOf(-38))]);
  });

  test('looks for orders when it is woken, and stops when told to', () => {
    const { session, log, stop } = playedBack(['wake', destroy]);
    stop();
    expect(session.run()).toBe('stopped');
    expect(log).toEqual(['wake at 0']);
  });

  test('is idle once in idleMs, measured from the last time', () => {
    const { session, log } = playedBack(['timeout', 'wake', 'timeout', 'gone']);
    session.run();
    expect(log.filter((line) => line.startsWith('idle'))).toEqual(['idle at 1000', 'idle at 2000']);
  });

  test('gives both hooks their turn under a load that never pauses', () => {
    const load = Array.from({ length: 300 }, () => forget);
    const { session, log } = playedBack(load, { requestMs: 10 });
    session.run();
    expect(log.filter((line) => line.startsWith('idle'))).toEqual([
      'idle at 1000',
      'idle at 2000',
      'idle at 3000',
    ]);
    expect(log.filter((line) => line.startsWith('wake')).length).toBe(150); // every 20 ms
  });

  test('resumes: asks for the requests that its predecessor had read, before it reads', () => {
    const { session, log } = playedBack([destroy], { resume: true });
    session.run();
    expect(log).toEqual([`send ${RESEND}`, sent(replyOf(0))]);
  });

  test('serves on where the kernel knows no RESEND', () => {
    const { session, log } = playedBack([destroy], {
      resume: true,
      send: (head) => {
        if (toHex(head) === RESEND) throw new Fault('IO', 'write: EINVAL');
        return true;
      },
    });
    session.run();
    expect(log.slice(1)).toEqual(['failed FUSE_NOTIFY_RESEND: write: EINVAL', sent(replyOf(0))]);
  });

  test('reports a reply that could not be sent and goes on', () => {
    let first = true;
    const { session, log } = playedBack([destroy, destroy], {
      send: () => {
        if (first) {
          first = false;
          throw new Fault('IO', 'write: EINVAL');
        }
        return true;
      },
    });
    session.run();
    expect(log).toEqual([
      sent(replyOf(0)),
      'failed reply of 16 bytes: write: EINVAL',
      sent(replyOf(0)),
    ]);
  });

  test('takes a request that is gone for no error', () => {
    const { session, log } = playedBack([destroy, destroy], { send: () => false });
    session.run();
    expect(log).toEqual([sent(replyOf(0)), sent(replyOf(0))]);
  });

  test('says what became of each reply: delivered, its request gone, or not sent', () => {
    const outcomes = [true, false, undefined, true];
    const { session, fates } = playedBack([destroy, forget, destroy, destroy, destroy], {
      send: () => {
        const outcome = outcomes.shift();
        if (outcome === undefined) throw new Fault('IO', 'write: EINVAL');
        return outcome;
      },
    });
    session.run();
    // FORGET gets no reply.
    expect(fates).toEqual(['delivered', 'gone', 'not sent', 'delivered']);
  });

  test('answers EIO where the memory of a READ fails', () => {
    const body = Buffer.alloc(40);
    body.writeUInt32LE(2, 16);
    const { session, log, fs } = playedBack([message(15, FILE_INO, body), message(STATFS, 1)], {
      send: (head) => {
        if (head[0] === 18) throw new Fault('MEMORY_ERROR', 'poisoned');
        return true;
      },
    });
    fs.memory.set([0xab, 0xcd]);
    session.run();
    expect(log).toEqual([
      'send 12000000000000002211000000000000abcd',
      'failed reply of 16 bytes and 2 segments: poisoned',
      sent(replyOf(-5)),
      expect.stringMatching(/^send 60000000/),
    ]);
  });
});
