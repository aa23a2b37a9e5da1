import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { describePlace, isReached, type LogPlace } from '../base/log-place.ts';
import { HELD_MAX } from '../fs/reference-report.ts';
import { chooseDataPath, type DataPathOption } from './data-path-choice.ts';
import { DeadMounts } from './dead-mounts.ts';
import { type AssignedDevice, PoolDevices } from './pool-devices.ts';
import { type KernelVerdict, probeKernel } from './probe.ts';
import type { PoolMount, PoolReferences, PoolStatus } from './protocol.ts';
import type { Question, ServerState } from './server-messages.ts';
import { ServerProcess } from './server-process.ts';
import { adoptOrMount, forgetSession, type MountPlan, type Session } from './sessions.ts';
import type { Usage } from './usage.ts';

export interface PoolAssignment {
  readonly name: string;
  /** By devindex; each a path, or `uuid:` and a device's uuid. */
  readonly devices: readonly string[];
  readonly mountPoint: string;
  readonly dataPath: DataPathOption;
  /** Group of `.meta` on a dax path, for a controller that is not root. */
  readonly metaGid: number;
  /** Before a new mount, again and again until it succeeds. */
  readonly prepare?: (() => Promise<void>) | undefined;
  /** Holds the session that it is given for another keeper, and serves nothing. */
  readonly holdsOnly?: boolean;
}

/** open(2): a place in the tree and no more; an ordinary open would wait for a server. */
const O_PATH = 0o10000000;
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 5_000;
/** A server that lived this long was not killed by what its predecessor left it. */
const HEALTHY_MS = 10_000;
const FOLLOW_PATIENCE_MS = 10_000;
const FOLLOW_PAUSE_MS = 20;
const STATUS_PATIENCE_MS = 5_000;

/**
 * Keeps one pool mounted: holds the `/dev/fuse` descriptor, and sees to it that a server serves it.
 * A server that dies is followed by another on the same descriptor; pods see a pause, no error.
 */
export class PoolKeeper {
  readonly #assignment: PoolAssignment;
  readonly #dead: DeadMounts;
  readonly #serverCommand: readonly string[];
  readonly #log: Logger;
  readonly #probe: () => Promise<KernelVerdict>;
  readonly #devices: PoolDevices;
  #session: Session | undefined;
  #server: ServerProcess | undefined;
  #problem: string | undefined = 'not mounted yet';
  #restarts = 0;
  #isServed = false;
  #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  readonly #onServed: (() => void)[] = [];

  /** `serverCommand`: the argv that runs a server child. */
  constructor(
    assignment: PoolAssignment,
    serverCommand: readonly string[],
    log: Logger,
    probe: () => Promise<KernelVerdict> = probeKernel,
    devices?: PoolDevices,
  ) {
    this.#probe = probe;
    this.#assignment = assignment;
    this.#dead = new DeadMounts(assignment.mountPoint);
    this.#serverCommand = serverCommand;
    this.#log = log.child({ pool: assignment.name });
    this.#devices = devices ?? new PoolDevices(assignment.devices, this.#log);
  }

  get name(): string {
    return this.#assignment.name;
  }

  /**
   * Mounts and serves until `suspend` or `release`, or until somebody unmounts the pool. With the
   * session of another keeper, nothing is mounted.
   */
  start(given?: Session): void {
    this.#session ??= given;
    if (this.#assignment.holdsOnly) {
      this.#problem = 'its mounter is being replaced';
      return;
    }
    this.#stopping = new AbortController();
    this.#running = this.#run(this.#stopping.signal);
  }

  /** Resolves when the pool's next server serves. */
  untilServed(): Promise<void> {
    return new Promise((resolve) => this.#onServed.push(resolve));
  }

  /** What another keeper needs to serve the mount; undefined while nobody can see one. */
  get session(): Session | undefined {
    const session = this.#session;
    return session?.connection !== undefined && session.isMounted() ? session : undefined;
  }

  get isServed(): boolean {
    return this.#isServed;
  }

  /**
   * Ends the server and resolves once it has ended. The session stays for `start` or another
   * keeper; one that nobody can see is given up.
   */
  async suspend(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#server?.stop(), this.#running]);
    this.#server = undefined;
    this.#problem = 'its mounter hands over to another';
    if (this.session === undefined) this.giveUp();
  }

  /** After `suspend`: gives the descriptor up, for good. */
  giveUp(): void {
    if (this.#session !== undefined) this.#drop(this.#session);
  }

  /** Never throws. */
  async #run(signal: AbortSignal): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS;
    while (!signal.aborted) {
      const begin = performance.now();
      try {
        if (!(await this.#serveOnce(signal))) return;
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
  async mount(atLeast: LogPlace, path?: string): Promise<PoolMount> {
    const question = path === undefined ? {} : { servable: path };
    const state = await this.#followed(atLeast, question, ({ memoryError }) => {
      if (memoryError === undefined) return;
      throw new Fault(
        'MEMORY_ERROR',
        `pool ${this.name}: its memory failed on this node (${memoryError}); move its pods to ` +
          'another node, then see docs/memory-errors.md',
      );
    });
    return this.#describe(state);
  }

  /** What the kernel refers to, of a path or the whole pool, at `atLeast` or later in its log. */
  async references(atLeast: LogPlace, path?: string): Promise<PoolReferences> {
    const state = await this.#followed(atLeast, { referred: { path } });
    const { fsUuid, logPosition, logGeneration, references } = state;
    if (references === undefined) throw new Fault('INTERNAL', 'a server did not say references');
    const { volumes, deleted, ...counts } = references;
    return {
      fsUuid,
      logPosition,
      logGeneration,
      ...counts,
      volumes: [...volumes],
      deleted: deleted.map(({ extents, ...file }) => ({ ...file, extents: [...extents] })),
    };
  }

  async status(): Promise<PoolStatus> {
    let silent: string | undefined;
    const state = await this.#follow({ usage: true }, STATUS_PATIENCE_MS).catch(
      (error: unknown) => {
        silent = messageOf(error);
      },
    );
    const { name, devices, mountPoint } = this.#assignment;
    const problem = state?.memoryError ?? this.#problemWith(silent);
    return {
      name,
      devices: (this.#session?.facts.devices ?? devices.map((path) => ({ path }))).slice(),
      mountPoint,
      ...(state ? { mount: this.#describe(state), requests: state.requests } : {}),
      ...(problem !== undefined ? { problem } : {}),
      ...(this.#server ? { serverPid: this.#server.pid } : {}),
      serverRestarts: this.#restarts,
      ...(state ? { replaySeconds: state.replaySeconds } : {}),
      ...(state?.usage ? { usage: withDead(state.usage, this.#dead.heldInodes()) } : {}),
      ...(state?.memoryError === undefined ? {} : { memoryError: state.memoryError }),
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
  async #serveOnce(signal: AbortSignal): Promise<boolean> {
    // A keeper that the session was given to, or came from, may have left a server behind.
    if (this.#server === undefined) await this.#session?.endServers();
    this.#session ??= await adoptOrMount(this.#assignment, (last) => this.#plan(last), this.#log);
    if (signal.aborted) return false;
    const session = this.#session;
    const server = this.#startServer(session);
    session.servedBy(server.pid);
    const state = await Promise.race([server.ready, server.ended]);
    if (typeof state === 'string') {
      if (signal.aborted) return false;
      if (session.isVisible) return this.#restart(server, state);
      // A device that was refused stays so for this connection: the next try is a new mount.
      this.#drop(session);
      throw new Fault('UNAVAILABLE', state);
    }
    session.learn({ generation: state.generation });
    session.attach();
    this.#problem = problemOf(state);
    const { generation } = state;
    this.#log.info(
      { serverPid: server.pid, position: state.logPosition, generation },
      'pool is served',
    );
    for (const tell of this.#onServed.splice(0)) tell();
    this.#isServed = true;
    const how = await server.ended;
    this.#isServed = false;
    if (signal.aborted) return false;
    if (!session.isMounted()) {
      this.#problem = 'unmounted';
      this.#log.info('pool was unmounted');
      await this.#leave(session);
      forgetSession(this.#assignment.mountPoint);
      return false;
    }
    return this.#restart(server, how);
  }

  #drop(session: Session): void {
    session[Symbol.dispose]();
    this.#session = undefined;
    // Nobody but its server, which has ended, had a file of it.
    if (!session.isVisible) this.#devices.putBack(session.facts.switched);
  }

  /** Of a pool that was unmounted: its devices go back, once nothing of the mount has them. */
  async #leave(session: Session): Promise<void> {
    const { switched } = session.facts;
    const isOver = switched.length === 0 || (await session.isOver());
    // First the descriptor: a connection has its devices for as long as somebody has that.
    this.#drop(session);
    if (isOver) this.#devices.putBack(switched);
    else this.#log.warn({ devices: switched }, 'stay in fsdev mode: files of the pool are in use');
  }

  async #plan(last: readonly AssignedDevice[]): Promise<MountPlan> {
    await this.#assignment.prepare?.();
    const found = this.#devices.find(last);
    const usable = found.filter(({ problem }) => problem === undefined);
    const paths = usable.map(({ path }) => path);
    const choice = chooseDataPath(this.#assignment.dataPath, paths, await this.#probe());
    this.#log.info(choice, 'data path');
    const prepared = this.#devices.prepare(found, choice.generation);
    return { ...choice, ...prepared, undo: () => this.#devices.putBack(prepared.switched) };
  }

  #restart(server: ServerProcess, how: string): true {
    this.#restarts++;
    this.#problem = `its server ended (${how})`;
    this.#log.warn({ serverPid: server.pid }, `server ended with ${how}; starting another`);
    return true;
  }

  #startServer(session: Session): ServerProcess {
    session.learn(this.#devices.refresh(session.facts, session.facts.generation));
    const { device, facts, rootPath, referencesPath } = session;
    const { name: pool, metaGid } = this.#assignment;
    const { negotiated, generation, devices } = facts;
    // Held for the spawn alone: a descriptor of its root would keep the mount busy.
    const root = rootPath === undefined ? undefined : openSync(rootPath, O_PATH);
    try {
      this.#server = new ServerProcess(
        this.#serverCommand,
        { fuse: device.fd, root },
        { pool, devices, metaGid, negotiated, generation, referencesPath },
      );
      return this.#server;
    } finally {
      if (root !== undefined) closeSync(root);
    }
  }

  /** The server's answer, once it has followed the log to `atLeast`; `look` sees each before. */
  async #followed(
    atLeast: LogPlace,
    question: Question,
    look: (state: ServerState) => void = () => {},
  ): Promise<ServerState> {
    const deadline = performance.now() + FOLLOW_PATIENCE_MS;
    let reached: string | undefined;
    for (let leftMs = FOLLOW_PATIENCE_MS; leftMs > 0; leftMs = deadline - performance.now()) {
      const state = await this.#follow(question, leftMs).catch((error: unknown) => {
        reached = messageOf(error);
      });
      if (state !== undefined) {
        look(state);
        const place = { generation: state.logGeneration, position: state.logPosition };
        if (isReached(place, atLeast)) return state;
        reached = `its log is followed to ${describePlace(place)}`;
      }
      await delay(FOLLOW_PAUSE_MS);
    }
    throw new Fault(
      'UNAVAILABLE',
      `pool ${this.name}: ${this.#problemWith(reached)}, log position ` +
        `${describePlace(atLeast)} is needed; retry, and see the mounter's log if this stays`,
    );
  }

  /** Never longer than `patienceMs`; UNAVAILABLE then, with what the server does instead. */
  async #follow(question: Question, patienceMs: number): Promise<ServerState> {
    if (this.#server === undefined) throw new Fault('UNAVAILABLE', 'it has no server');
    const state = await this.#server.follow(question, Math.ceil(patienceMs));
    // Damage comes, and goes with a repair, while a server serves.
    this.#problem = problemOf(state);
    return state;
  }

  #problemWith(silent: string | undefined): string | undefined {
    // Then that says why, too.
    if (this.#server === undefined && this.#problem !== undefined) return this.#problem;
    const all = [this.#problem, silent].filter((text) => text !== undefined);
    return all.length === 0 ? undefined : all.join('; ');
  }

  #describe(state: ServerState): PoolMount {
    return {
      mountPoint: this.#assignment.mountPoint,
      dataPath: state.generation === 'buffered' ? 'buffered' : 'dax',
      generation: state.generation,
      dataPathReason: this.#session?.facts.dataPathReason ?? '',
      fsUuid: state.fsUuid,
      logPosition: state.logPosition,
      logGeneration: state.logGeneration,
      ...(state.refusals ? { refusals: [...state.refusals] } : {}),
    };
  }
}

/** With what is held through mounts that died, which no server knows. */
function withDead(
  { volumes, heldInodes, ...counts }: Usage,
  dead: readonly number[],
): PoolStatus['usage'] {
  const held = heldInodes && [...new Set([...heldInodes, ...dead])];
  return {
    ...counts,
    volumes: [...volumes],
    ...(held && held.length <= HELD_MAX ? { heldInodes: held } : {}),
  };
}

/** What is wrong with a pool that is served. */
function problemOf({ damage, deviceProblems }: ServerState): string | undefined {
  return damage ?? (deviceProblems.length > 0 ? deviceProblems.join('; ') : undefined);
}
