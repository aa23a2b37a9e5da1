import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import type { PoolMount, PoolStatus } from './protocol.ts';
import type { ServerState } from './server-messages.ts';
import { ServerProcess } from './server-process.ts';
import { adoptOrMount, isMounted, type Session } from './sessions.ts';

export interface PoolAssignment {
  readonly name: string;
  readonly device: string;
  readonly mountPoint: string;
}

const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 5_000;
/** A server that lived this long was not killed by what its predecessor left it. */
const HEALTHY_MS = 10_000;
const FOLLOW_PATIENCE_MS = 10_000;
const FOLLOW_PAUSE_MS = 20;

/**
 * Keeps one pool mounted: holds the `/dev/fuse` descriptor, and sees to it that a server serves it.
 * A server that dies is followed by another on the same descriptor; pods see a pause, no error.
 */
export class PoolKeeper {
  readonly #assignment: PoolAssignment;
  readonly #serverCommand: readonly string[];
  readonly #log: Logger;
  #session: Session | undefined;
  #server: ServerProcess | undefined;
  #problem: string | undefined = 'not mounted yet';
  #restarts = 0;
  #stopping = new AbortController();

  /** `serverCommand`: the argv that runs a server child. */
  constructor(assignment: PoolAssignment, serverCommand: readonly string[], log: Logger) {
    this.#assignment = assignment;
    this.#serverCommand = serverCommand;
    this.#log = log.child({ pool: assignment.name });
  }

  /** Mounts and serves until `release`, or until somebody unmounts the pool. Never throws. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    let backoffMs = FIRST_BACKOFF_MS;
    while (!signal.aborted) {
      const begin = performance.now();
      try {
        if (!(await this.#serveOnce())) return;
      } catch (error) {
        this.#problem = messageOf(error);
        this.#log.error(`pool is not served: ${this.#problem}`);
      }
      if (performance.now() - begin > HEALTHY_MS) backoffMs = FIRST_BACKOFF_MS;
      await delay(backoffMs, undefined, { signal }).catch(() => {});
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  }

  /** The pool's mount, once its server has followed the log to `atLeast`; else UNAVAILABLE. */
  async mount(atLeast: number): Promise<PoolMount> {
    const { name } = this.#assignment;
    const deadline = Date.now() + FOLLOW_PATIENCE_MS;
    let reached = 'its server has not answered';
    while (Date.now() < deadline) {
      const state = await this.#follow();
      if (state !== undefined && state.logPosition >= atLeast) return this.#describe(state);
      if (state !== undefined) reached = `its log is followed to ${state.logPosition}`;
      await delay(FOLLOW_PAUSE_MS);
    }
    throw new Fault(
      'UNAVAILABLE',
      `pool ${name}: ${this.#problem ?? reached}, log position ${atLeast} is needed; retry, and ` +
        "see the mounter's log if this stays",
    );
  }

  async status(): Promise<PoolStatus> {
    const state = await this.#follow();
    return {
      ...this.#assignment,
      ...(state ? { mount: this.#describe(state) } : {}),
      ...(this.#problem !== undefined ? { problem: this.#problem } : {}),
      ...(this.#server ? { serverPid: this.#server.pid } : {}),
      serverRestarts: this.#restarts,
    };
  }

  /** Lets go of mount and server; both live on, and the next keeper adopts them. */
  release(): void {
    this.#stopping.abort();
    this.#server?.release();
  }

  /** One server's life. False when the mount is gone: somebody unmounted the pool. */
  async #serveOnce(): Promise<boolean> {
    this.#session ??= adoptOrMount(this.#assignment, this.#log);
    const { device, negotiated } = this.#session;
    const server = new ServerProcess(this.#serverCommand, device.fd, {
      pool: this.#assignment.name,
      device: this.#assignment.device,
      negotiated,
    });
    this.#server = server;
    const state = await Promise.race([server.ready, server.ended]);
    if (typeof state !== 'string') {
      this.#problem = state.damage;
      this.#log.info({ serverPid: server.pid, position: state.logPosition }, 'pool is served');
    }
    const how = await server.ended;
    if (!isMounted(this.#session)) {
      this.#problem = 'unmounted';
      this.#log.info('pool was unmounted');
      this.#session.device[Symbol.dispose]();
      this.#session = undefined;
      return false;
    }
    this.#restarts++;
    this.#problem = `its server ended (${how})`;
    this.#log.warn({ serverPid: server.pid }, `server ended with ${how}; starting another`);
    return true;
  }

  async #follow(): Promise<ServerState | undefined> {
    try {
      await this.#server?.ready;
      const state = await this.#server?.follow();
      // Damage comes, and goes with a repair, while a server serves.
      if (state !== undefined) this.#problem = state.damage;
      return state;
    } catch (error) {
      this.#log.debug(`server did not answer: ${messageOf(error)}`);
      return undefined;
    }
  }

  #describe(state: ServerState): PoolMount {
    return {
      mountPoint: this.#assignment.mountPoint,
      dataPath: 'buffered',
      dataPathReason: this.#session?.dataPathReason ?? '',
      fsUuid: state.fsUuid,
      logPosition: state.logPosition,
    };
  }
}
