import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { chooseDataPath, type DataPathChoice, type DataPathOption } from './data-path-choice.ts';
import { type KernelVerdict, probeKernel } from './probe.ts';
import type { PoolMount, PoolStatus } from './protocol.ts';
import type { ServerState } from './server-messages.ts';
import { ServerProcess } from './server-process.ts';
import { adoptOrMount, forgetSession, type Session } from './sessions.ts';

export interface PoolAssignment {
  readonly name: string;
  readonly device: string;
  readonly mountPoint: string;
  readonly dataPath: DataPathOption;
  /** Group of `.meta` on a dax path, for a controller that is not root. */
  readonly metaGid: number;
}

/** open(2): a place in the tree and no more; an ordinary open would wait for a server. */
const O_PATH = 0o10000000;
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
  readonly #probe: () => Promise<KernelVerdict>;
  #session: Session | undefined;
  #server: ServerProcess | undefined;
  #problem: string | undefined = 'not mounted yet';
  #restarts = 0;
  #stopping = new AbortController();

  /** `serverCommand`: the argv that runs a server child. */
  constructor(
    assignment: PoolAssignment,
    serverCommand: readonly string[],
    log: Logger,
    probe: () => Promise<KernelVerdict> = probeKernel,
  ) {
    this.#probe = probe;
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

  /**
   * The pool's mount, once its server has followed the log to `atLeast`; else UNAVAILABLE. With a
   * path: and which files below it this node cannot serve.
   */
  async mount(atLeast: number, path?: string): Promise<PoolMount> {
    const { name } = this.#assignment;
    const deadline = Date.now() + FOLLOW_PATIENCE_MS;
    let reached = 'its server has not answered';
    while (Date.now() < deadline) {
      const state = await this.#follow(path);
      if (state?.memoryError !== undefined) {
        throw new Fault(
          'MEMORY_ERROR',
          `pool ${name}: its memory failed on this node (${state.memoryError}); move its pods to ` +
            'another node, then see docs/memory-errors.md',
        );
      }
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
    const { name, device, mountPoint } = this.#assignment;
    const problem = state?.memoryError ?? this.#problem;
    return {
      name,
      device,
      mountPoint,
      ...(state ? { mount: this.#describe(state), requests: state.requests } : {}),
      ...(problem !== undefined ? { problem } : {}),
      ...(this.#server ? { serverPid: this.#server.pid } : {}),
      serverRestarts: this.#restarts,
    };
  }

  /**
   * Lets go of mount and server; both live on, and the next keeper adopts them. A server that has
   * just ended gets its successor now: else the mount would die with this process's descriptor.
   */
  release(): void {
    this.#stopping.abort();
    if (this.#session !== undefined && this.#server?.hasEnded) this.#startServer(this.#session);
    this.#server?.release();
  }

  /** One server's life. False when the mount is gone: somebody unmounted the pool. */
  async #serveOnce(): Promise<boolean> {
    this.#session ??= await adoptOrMount(this.#assignment, () => this.#choose(), this.#log);
    const session = this.#session;
    const server = this.#startServer(session);
    const state = await Promise.race([server.ready, server.ended]);
    if (typeof state === 'string') {
      if (session.isVisible) return this.#restart(server, state);
      // A device that was refused stays so for this connection: the next try is a new mount.
      this.#drop(session);
      throw new Fault('UNAVAILABLE', state);
    }
    session.learn(state.generation);
    session.attach();
    this.#problem = state.damage;
    const { generation } = state;
    this.#log.info(
      { serverPid: server.pid, position: state.logPosition, generation },
      'pool is served',
    );
    const how = await server.ended;
    if (!session.isMounted()) {
      this.#problem = 'unmounted';
      this.#log.info('pool was unmounted');
      this.#drop(session);
      forgetSession(this.#assignment.mountPoint);
      return false;
    }
    return this.#restart(server, how);
  }

  #drop(session: Session): void {
    session[Symbol.dispose]();
    this.#session = undefined;
  }

  async #choose(): Promise<DataPathChoice> {
    const { dataPath, device } = this.#assignment;
    const choice = chooseDataPath(dataPath, device, await this.#probe());
    this.#log.info(choice, 'data path');
    return choice;
  }

  #restart(server: ServerProcess, how: string): true {
    this.#restarts++;
    this.#problem = `its server ended (${how})`;
    this.#log.warn({ serverPid: server.pid }, `server ended with ${how}; starting another`);
    return true;
  }

  #startServer({ device, facts, rootPath, referencesPath }: Session): ServerProcess {
    const { name: pool, device: path, metaGid } = this.#assignment;
    const { negotiated, generation } = facts;
    // Held for the spawn alone: a descriptor of its root would keep the mount busy.
    const root = rootPath === undefined ? undefined : openSync(rootPath, O_PATH);
    try {
      this.#server = new ServerProcess(
        this.#serverCommand,
        { fuse: device.fd, root },
        { pool, device: path, metaGid, negotiated, generation, referencesPath },
      );
      return this.#server;
    } finally {
      if (root !== undefined) closeSync(root);
    }
  }

  async #follow(path?: string): Promise<ServerState | undefined> {
    try {
      await this.#server?.ready;
      const state = await this.#server?.follow(path);
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
      dataPath: state.generation === 'buffered' ? 'buffered' : 'dax',
      generation: state.generation,
      dataPathReason: this.#session?.facts.dataPathReason ?? '',
      fsUuid: state.fsUuid,
      logPosition: state.logPosition,
      ...(state.refusals ? { refusals: [...state.refusals] } : {}),
    };
  }
}
