import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
import {
  endServers,
  findDropper,
  findServers,
  type NotedServer,
  noteServer,
} from './find-server.ts';
import type { PoolAssignment } from './pool-keeper.ts';

export const FUSE_SUBTYPE = 'famfs';
const FS_TYPE = `fuse.${FUSE_SUBTYPE}`;
const INIT_PATIENCE_MS = 10_000;

/** What a mount's servers are told; kept in a file beside the mount point for the next keeper. */
export interface SessionFacts {
  readonly negotiated: Negotiated;
  readonly generation: Generation;
  readonly dataPathReason: string;
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

  /** The server has found out more of the kernel. */
  learn(generation: Generation): void {
    if (generation === this.#facts.generation) return;
    this.#facts = { ...this.#facts, generation };
    saveFacts(this.#mountPoint, this.#facts);
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
  choose: () => Promise<DataPathChoice>,
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
    unmount(mountPoint, { detach: true });
  }
  return mount(assignment, await choose());
}

function topMount(mountPoint: string): MountInfo | undefined {
  return mountsAt(mountPoint).at(-1);
}

function mount(assignment: PoolAssignment, choice: DataPathChoice): Session {
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
    return choice.generation === 'buffered'
      ? mountBuffered(assignment, choice, device, options)
      : mountDax(assignment, choice, device, options);
  } catch (error) {
    device[Symbol.dispose]();
    if (topMount(mountPoint)?.fsType === FS_TYPE) unmount(mountPoint, { detach: true });
    throw error;
  }
}

type MountOptions = Parameters<typeof DetachedMount.create>[0];

function mountBuffered(
  { mountPoint }: PoolAssignment,
  choice: DataPathChoice,
  device: FuseDevice,
  options: MountOptions,
): Session {
  mountFuse({ ...options, target: mountPoint });
  const mounted = topMount(mountPoint);
  if (mounted === undefined) throw new Fault('IO', `${mountPoint}: the mount is not there`);
  return new Session(mountPoint, device, agree(device, mountPoint, choice), mounted);
}

/** Nobody may see the mount before its devices are registered: their first opener decides. */
function mountDax(
  assignment: PoolAssignment,
  choice: DataPathChoice,
  device: FuseDevice,
  options: MountOptions,
): Session {
  const { mountPoint } = assignment;
  const detached = DetachedMount.create(options);
  try {
    const facts = agree(device, mountPoint, choice);
    if (choice.generation === 'push2') registerDaxdev(device, assignment.device, 0);
    return new Session(mountPoint, device, facts, detached);
  } catch (error) {
    detached[Symbol.dispose]();
    throw error;
  }
}

/** The keeper answers INIT itself, so what was agreed on outlives every server. */
function agree(device: FuseDevice, mountPoint: string, choice: DataPathChoice): SessionFacts {
  const buffer = new Uint8Array(MiB + 4096);
  const length = device.receive(buffer, undefined, INIT_PATIENCE_MS);
  if (length === 'gone' || length === 0) {
    throw new Fault('IO', `${mountPoint}: the kernel sent no INIT in ${INIT_PATIENCE_MS} ms`);
  }
  const { reply, negotiated } = negotiate(buffer.subarray(0, length), {
    requestDaxFmap: choice.generation !== 'buffered',
  });
  device.send(reply);
  const facts = { negotiated, generation: choice.generation, dataPathReason: choice.reason };
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
