import { codeOf } from '../base/errors.ts';
import type { WakeEvent } from '../native/fuse-device.ts';
import type { Segment } from '../native/mapping.ts';
import { EIO } from './errno.ts';
import { type Negotiated, requestBufferBytes } from './init.ts';
import { resend } from './notify.ts';
import type { Reply, Responder } from './responder.ts';

/** How long a session under load leaves orders unseen: looking costs a microsecond. */
const LOOK_MS = 20;

/** What the session needs of a FuseDevice; the fuse-device's docstrings say what each call does. */
export interface SessionDevice {
  receive(buffer: Uint8Array, wake: WakeEvent | undefined, timeoutMs: number): number | 'gone';
  send(head: Uint8Array, segments?: readonly Segment[]): boolean;
}

/** A Responder, or what stands before one. */
export interface Answers extends Pick<Responder, 'answer' | 'fail'> {
  /** The last answer reached the kernel. */
  delivered?(): void;
  /**
   * The last answer did not reach the kernel: it has nothing of what the answer gave. `isGone`: it
   * has dropped the request; else the request stays, and the next server gets it.
   */
  undelivered?(isGone: boolean): void;
}

export interface SessionHooks {
  /** The session was woken, or it is time: look for orders, maybe in vain. Must not block. */
  onWake(): 'stop' | undefined;
  /** About every `idleMs`, also under load. Must not block. */
  onIdle(): void;
  /** A reply or notification could not be sent; the session goes on. */
  sendFailed(what: string, error: unknown): void;
}

export interface SessionOptions {
  readonly device: SessionDevice;
  readonly responder: Answers;
  readonly negotiated: Negotiated;
  readonly hooks: SessionHooks;
  /** Ends a wait for requests early. */
  readonly wake?: WakeEvent;
  /** A server of this mount was here before: ask the kernel for the requests that it had read. */
  readonly resume: boolean;
  readonly idleMs: number;
  /** Milliseconds of a clock that never goes back; a test's own in place of the process's. */
  readonly now?: () => number;
}

/**
 * The loop that serves one mount: receive, answer, send. It blocks its thread, so it has a worker
 * of its own, and nothing in it waits for a promise.
 *
 * The device reads before it polls, so a busy mount would never see the wake event; therefore the
 * clock is looked at after each request, and both hooks get their turn when it is time.
 */
export class FuseSession {
  readonly #options: SessionOptions;
  readonly #now: () => number;
  readonly #buffer: Uint8Array;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#buffer = new Uint8Array(requestBufferBytes(options.negotiated));
  }

  /** Serves until the mount is gone or `onWake` says stop. Throws what hooks and `receive` do. */
  run(): 'gone' | 'stopped' {
    const { device, wake, hooks, idleMs, resume } = this.#options;
    if (resume) this.#resume();
    let due = this.#now() + idleMs;
    let look = Math.min(due, this.#now() + LOOK_MS);
    for (;;) {
      const waitMs = Math.max(0, Math.ceil(due - this.#now()));
      const received = device.receive(this.#buffer, wake, waitMs);
      if (received === 'gone') return 'gone';
      if (received > 0) this.#serve(this.#buffer.subarray(0, received));
      const now = this.#now();
      if (received > 0 && now < look) continue;
      // Before the orders are looked for: one that comes in between rings again.
      wake?.drain();
      if (hooks.onWake() === 'stop') return 'stopped';
      if (now >= due) {
        hooks.onIdle();
        due = this.#now() + idleMs;
      }
      look = Math.min(due, now + LOOK_MS);
    }
  }

  #serve(request: Uint8Array): void {
    const { responder } = this.#options;
    const reply = responder.answer(request);
    if (reply === undefined) return;
    const error = this.#send(reply);
    // Memory that cannot be read is an answer too; who waits must get it.
    if (codeOf(error) === 'MEMORY_ERROR') this.#send(responder.fail(request, EIO));
  }

  /** Returns the error that was reported, if any. False of `send`, a request gone, is none. */
  #send(reply: Reply): unknown {
    try {
      const sent = this.#options.device.send(reply.head, reply.segments);
      if (sent) this.#options.responder.delivered?.();
      else this.#options.responder.undelivered?.(true);
      return undefined;
    } catch (error) {
      this.#options.responder.undelivered?.(false);
      this.#options.hooks.sendFailed(describe(reply), error);
      return error;
    }
  }

  /** Kernels before 6.9 refuse: what the predecessor had read then stays without an answer. */
  #resume(): void {
    try {
      this.#options.device.send(resend());
    } catch (error) {
      this.#options.hooks.sendFailed('FUSE_NOTIFY_RESEND', error);
    }
  }
}

function describe({ head, segments }: Reply): string {
  const data = segments === undefined ? '' : ` and ${segments.length} segments`;
  return `reply of ${head.length} bytes${data}`;
}
