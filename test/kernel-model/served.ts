import { type Negotiated, type NegotiateOptions, negotiate } from '../../src/fuse/init.ts';
import type { Operations } from '../../src/fuse/operations.ts';
import { Responder } from '../../src/fuse/responder.ts';
import { type Answers, FuseSession, type SessionDevice } from '../../src/fuse/session.ts';
import type { Kernel } from './kernel.ts';
import type { Program, Task } from './task.ts';

const BUFFER_BYTES = 2 * 1024 * 1024;

/** The keeper's part: reads INIT from a fresh mount and answers it. */
export function agree(kernel: SessionDevice, options: NegotiateOptions): Negotiated {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const length = kernel.receive(buffer, undefined, 0);
  if (typeof length !== 'number' || length === 0) throw new Error('the kernel sent no INIT');
  const { reply, negotiated } = negotiate(buffer.subarray(0, length), options);
  kernel.send(reply);
  return negotiated;
}

/** A Responder whose every problem fails the test. */
export function responderOf(operations: Operations, problems: unknown[]): Responder {
  return new Responder(operations, {
    malformed: (problem) => problems.push(new Error(problem)),
    failed: (_, error) => problems.push(error),
  });
}

/** A kernel and the real FuseSession that serves it, on one thread: it runs while there is work. */
export class Served {
  readonly kernel: Kernel;
  /** What the session or its server reported; `settle` throws the first. */
  readonly problems: unknown[] = [];
  readonly #session: FuseSession;

  /** `resume`: there was a server before; it asks for what that one had read. */
  constructor(
    kernel: Kernel,
    negotiated: Negotiated,
    answersOf: (problems: unknown[]) => Answers,
    options: { resume?: boolean; device?: SessionDevice } = {},
  ) {
    this.kernel = kernel;
    const responder = answersOf(this.problems);
    const device = options.device ?? kernel;
    const sessionOf = (resume: boolean) =>
      new FuseSession({
        device,
        responder,
        negotiated,
        resume,
        idleMs: 1000,
        now: () => 0,
        hooks: {
          onWake: () => (kernel.hasWork ? undefined : 'stop'),
          onIdle: () => {},
          sendFailed: (_, error) => this.problems.push(error),
        },
      });
    this.#session = sessionOf(false);
    if (options.resume) sessionOf(true).run();
  }

  /** Runs a program to its end, and all that the kernel sends on the way and after. */
  do<T>(program: Program<T>): T {
    const task = this.kernel.start(program);
    this.settle();
    return task.result();
  }

  /** Serves until the kernel has nothing more to say. */
  settle(): 'gone' | 'stopped' {
    const how = this.#session.run();
    if (this.problems.length > 0) throw this.problems[0];
    return how;
  }

  /** For programs that end when something else has happened. */
  start<T>(program: Program<T>): Task<T> {
    return this.kernel.start(program);
  }
}

/** A kernel with a file system over it: INIT answered, and device 0 given where that is due. */
export function serve(
  kernel: Kernel,
  operations: Operations,
  options: { device?: SessionDevice } = {},
): Served {
  const negotiated = agree(options.device ?? kernel, { requestDaxFmap: true });
  if (kernel.famfs?.devices === 'daxdev-open') {
    kernel.devices.give(kernel.host.at('/dev/dax0.0'), 0);
  }
  const answers = (problems: unknown[]) => responderOf(operations, problems);
  return new Served(kernel, negotiated, answers, options);
}
