import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { codeOf, Fault } from '../base/errors.ts';
import { MiB } from '../base/numbers.ts';
import type { Generation } from '../fs/data-path.ts';
import { type Negotiated, negotiate } from '../fuse/init.ts';
import { FuseDevice, fetchDescriptor } from '../native/fuse-device.ts';
import {
  DetachedMount,
  type MountInfo,
  mountFuse,
  mountsAt,
  readMountInfo,
  unmount,
} from '../native/mounts.ts';
import type { DataPathChoice } from './data-path-choice.ts';
import { registerDaxdev } from './daxdev-open.ts';
import { DeadMounts } from './dead-mounts.ts';
import {
  endServers,
  findDropper,
  findServers,
  type NotedServer,
  noteServer,
} from './find-server.ts';
import type { AssignedDevice, PreparedDevices } from './pool-devices.ts';
import type { PoolAssignment } from './pool-keeper.ts';

export const FUSE_SUBTYPE = 'famfs';
const FS_TYPE = `fuse.${FUSE_SUBTYPE}`;
const INIT_PATIENCE_MS = 10_000;
/** A server that has just ended had the log mapped, which kept the mount. */
const OVER_PATIENCE_MS = 10_000;
const OVER_PAUSE_MS = 20;

/** What a new mount is to be; `undo`: it did not come to be. */
export interface MountPlan extends DataPathChoice, PreparedDevices {
  readonly undo: () => void;
}

/** What a mount's servers are told; kept in a file beside the mount point for the next keeper. */
export interface SessionFacts {
  readonly negotiated: Negotiated;
  readonly generation: Generation;
  readonly dataPathReason: string;
  /** By devindex; the kernel has those of a dax path. */
  readonly devices: readonly AssignedDevice[];
  /** Which of them to put back to devdax mode when the mount is no more. */
  readonly switched: readonly string[];
  /** The server that was spawned last. */
  readonly server?: NotedServer;
}

/** A mount of a pool and the descriptor that answers for it. */
export class Session implements Disposable {
  readonly device: FuseDevice;
  readonly #mountPoint: string;
  #facts: SessionFacts;
  /** On a dax path, until its server has read the log: a mount that nobody else can see. */
  #detached: DetachedMount | undefined;
  /** `major:minor` of the mount, which names its FUSE connection. */
  #connection: string | undefined;

  constructor(
    mountPoint: string,
    device: FuseDevice,
    facts: SessionFacts,
    mount: DetachedMount | MountInfo,
  ) {
    this.#mountPoint = mountPoint;
    this.device = device;
    this.#facts = facts;
    if (mount instanceof DetachedMount) this.#detached = mount;
    else this.#connection = mount.device;
  }

  /**
   * A session that another keeper gave away, with its descriptor. PRECONDITION, and the descriptor
   * closed, where this process does not see the mount: the keepers are in two mount namespaces.
   */
  static received(
    mountPoint: string,
    connection: string,
    fuseFd: number,
    facts: SessionFacts,
  ): Session {
    const fuse = FuseDevice.adopt(fuseFd);
    const there = readMountInfo().find(({ device }) => device === connection);
    if (there !== undefined) return new Session(mountPoint, fuse, facts, there);
    fuse[Symbol.dispose]();
    throw new Fault(
      'PRECONDITION',
      `${mountPoint}: the mount that was handed over is not seen here; mount the directory with ` +
        'bidirectional propagation into both mounters',
    );
  }

  /** `major:minor`; undefined until the mount is visible. */
  get connection(): string | undefined {
    return this.#connection;
  }

  /** Notes who serves, for a keeper that comes after this one. */
  servedBy(pid: number): void {
    const server = noteServer(pid);
    if (server === undefined) return;
    this.#facts = { ...this.#facts, server };
    saveFacts(this.#mountPoint, this.#facts);
  }

  /** Ends servers that another keeper has started on this connection; resolves once they have. */
  async endServers(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const noted = readFacts(this.#mountPoint)?.server;
    await endServers(() => findServers(connection, noted));
  }

  get facts(): SessionFacts {
    return this.#facts;
  }

  /** Of the kernel the server has found out more; of devices there may be more. */
  learn(facts: Partial<SessionFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
    saveFacts(this.#mountPoint, this.#facts);
  }

  /**
   * Whether the kernel has let go of the mount and its files; waits a little for it. To be asked
   * when nobody serves any more: a request that comes is lost.
   */
  async isOver(): Promise<boolean> {
    const buffer = new Uint8Array(MiB + 4096);
    for (const end = performance.now() + OVER_PATIENCE_MS; performance.now() < end; ) {
      if (this.device.receive(buffer, undefined, 0) === 'gone') return true;
      await delay(OVER_PAUSE_MS);
    }
    return false;
  }

  /** Path of the mount's root for its server; undefined where no server needs one. */
  get rootPath(): string | undefined {
    if (this.#facts.generation === 'buffered') return undefined;
    return this.#detached?.path ?? this.#mountPoint;
  }

  get referencesPath(): string {
    return referencesFile(this.#mountPoint);
  }

  /** Shows a mount that is not to be seen yet; a second call does nothing. */
  attach(): void {
    if (this.#detached === undefined) return;
    this.#detached.attach(this.#mountPoint);
    this.#connection = topMount(this.#mountPoint)?.device;
    this.#detached[Symbol.dispose]();
    this.#detached = undefined;
  }

  /** False on a dax path until `attach`. */
  get isVisible(): boolean {
    return this.#detached === undefined;
  }

  /** Whether anything of the mount is left, be it a bind mount in a pod. */
  isMounted(): boolean {
    if (this.#detached !== undefined) return true;
    return readMountInfo().some(({ device }) => device === this.#connection);
  }

  /** Gives up the descriptors: a mount that nobody else serves is dead then. */
  [Symbol.dispose](): void {
    this.#detached?.[Symbol.dispose]();
    this.device[Symbol.dispose]();
  }
}

/**
 * The pool's session: adopted from a living server whose keeper died, or a new mount. A mount whose
 * descriptors are all closed is dead for good; it is detached, so that the new one is seen.
 */
export async function adoptOrMount(
  assignment: PoolAssignment,
  plan: (last: readonly AssignedDevice[]) => Promise<MountPlan>,
  log: Logger,
): Promise<Session> {
  const { mountPoint } = assignment;
  for (let there = topMount(mountPoint); there !== undefined; there = topMount(mountPoint)) {
    if (there.fsType !== FS_TYPE) {
      throw new Fault(
        'PRECONDITION',
        `${mountPoint}: a ${there.fsType} file system is mounted here; unmount it, or give the ` +
          'mounter another --mount-root',
      );
    }
    const adopted = await adopt(assignment, there, log);
    if (adopted !== undefined) return adopted;
    log.warn({ mountPoint }, 'detaching a dead mount of the pool');
    new DeadMounts(mountPoint).keep(referencesFile(mountPoint), there.device);
    unmount(mountPoint, { detach: true });
  }
  return mount(assignment, await plan(readFacts(mountPoint)?.devices ?? []));
}

function topMount(mountPoint: string): MountInfo | undefined {
  return mountsAt(mountPoint).at(-1);
}

function mount(assignment: PoolAssignment, plan: MountPlan): Session {
  const { mountPoint, name } = assignment;
  mkdirSync(mountPoint, { recursive: true });
  // Bare, the directory takes no file: a write while nothing is mounted must fail, not be lost.
  chmodSync(mountPoint, 0o555);
  // A new connection: the kernel holds nothing of it yet.
  rmSync(referencesFile(mountPoint), { force: true });
  const device = FuseDevice.open();
  const options = {
    fuseFd: device.fd,
    source: name,
    subtype: FUSE_SUBTYPE,
    allowOther: true,
    defaultPermissions: true,
  };
  try {
    return plan.generation === 'buffered'
      ? mountBuffered(assignment, plan, device, options)
      : mountDax(assignment, plan, device, options);
  } catch (error) {
    device[Symbol.dispose]();
    if (topMount(mountPoint)?.fsType === FS_TYPE) unmount(mountPoint, { detach: true });
    plan.undo();
    throw error;
  }
}

type MountOptions = Parameters<typeof DetachedMount.create>[0];

function mountBuffered(
  { mountPoint }: PoolAssignment,
  plan: MountPlan,
  device: FuseDevice,
  options: MountOptions,
): Session {
  mountFuse({ ...options, target: mountPoint });
  const mounted = topMount(mountPoint);
  if (mounted === undefined) throw new Fault('IO', `${mountPoint}: the mount is not there`);
  return new Session(mountPoint, device, agree(device, mountPoint, plan), mounted);
}

/** Nobody may see the mount before its devices are registered: their first opener decides. */
function mountDax(
  { mountPoint }: PoolAssignment,
  plan: MountPlan,
  device: FuseDevice,
  options: MountOptions,
): Session {
  const detached = DetachedMount.create(options);
  try {
    const facts = agree(device, mountPoint, plan);
    // The others are the server's: only then is it known whether this kernel takes any.
    const primary = plan.devices[0]?.path ?? '';
    if (plan.generation === 'push2') registerDaxdev(device, primary, 0);
    return new Session(mountPoint, device, facts, detached);
  } catch (error) {
    detached[Symbol.dispose]();
    throw error;
  }
}

/** The keeper answers INIT itself, so what was agreed on outlives every server. */
function agree(device: FuseDevice, mountPoint: string, plan: MountPlan): SessionFacts {
  const buffer = new Uint8Array(MiB + 4096);
  const length = device.receive(buffer, undefined, INIT_PATIENCE_MS);
  if (length === 'gone' || length === 0) {
    throw new Fault('IO', `${mountPoint}: the kernel sent no INIT in ${INIT_PATIENCE_MS} ms`);
  }
  const { reply, negotiated } = negotiate(buffer.subarray(0, length), {
    requestDaxFmap: plan.generation !== 'buffered',
  });
  device.send(reply);
  const { generation, reason: dataPathReason, devices, switched } = plan;
  const facts = { negotiated, generation, dataPathReason, devices, switched };
  saveFacts(mountPoint, facts);
  return facts;
}

const sessionFile = (mountPoint: string) => `${mountPoint}.session.json`;
const referencesFile = (mountPoint: string) => `${mountPoint}.references`;

function saveFacts(mountPoint: string, facts: SessionFacts): void {
  const path = sessionFile(mountPoint);
  writeFileSync(`${path}.new`, JSON.stringify(facts), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Removes what a keeper keeps beside a mount point; the caller has unmounted it. */
export function forgetSession(mountPoint: string): void {
  rmSync(sessionFile(mountPoint), { force: true });
  rmSync(referencesFile(mountPoint), { force: true });
}

function readFacts(mountPoint: string): SessionFacts | undefined {
  try {
    return JSON.parse(readFileSync(sessionFile(mountPoint), 'utf8')) as SessionFacts;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes the descriptor over from the process that serves the mount; undefined if there is none. */
async function adopt(
  { mountPoint }: PoolAssignment,
  there: MountInfo,
  log: Logger,
): Promise<Session | undefined> {
  const facts = readFacts(mountPoint);
  const [server] = findServers(there.device, facts?.server);
  const owner = server ?? findDropper(there.device);
  if (owner === undefined) return undefined;
  if (facts === undefined) {
    const path = sessionFile(mountPoint);
    throw new Fault(
      'IO',
      `${path}: is gone; end server ${owner.pid}, and the pool is mounted anew`,
    );
  }
  const device = FuseDevice.adopt(fetchDescriptor(owner.pid, owner.fd));
  log.info({ serverPid: owner.pid }, 'taking the mount over from a process without keeper');
  const session = new Session(mountPoint, device, facts, there);
  try {
    await session.endServers();
    return session;
  } catch (error) {
    session[Symbol.dispose]();
    throw error;
  }
}
