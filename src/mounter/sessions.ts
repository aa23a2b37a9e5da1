import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Logger } from 'pino';
import { codeOf, Fault } from '../base/errors.ts';
import { MiB } from '../base/numbers.ts';
import { type Negotiated, negotiate } from '../fuse/init.ts';
import { FuseDevice, fetchDescriptor } from '../native/fuse-device.ts';
import { type MountInfo, mountFuse, mountsAt, readMountInfo, unmount } from '../native/mounts.ts';
import type { PoolAssignment } from './pool-keeper.ts';

export const FUSE_SUBTYPE = 'famfs';
const FS_TYPE = `fuse.${FUSE_SUBTYPE}`;
const INIT_PATIENCE_MS = 10_000;

/** A mount of a pool and the descriptor that answers for it. */
export interface Session {
  readonly device: FuseDevice;
  readonly negotiated: Negotiated;
  /** `major:minor` of the mount, which names its FUSE connection. */
  readonly connection: string;
  readonly dataPathReason: string;
}

/**
 * The pool's session: adopted from a living server whose keeper died, or a new mount. A mount whose
 * descriptors are all closed is dead for good; it is detached, so that the new one is seen.
 */
export function adoptOrMount(assignment: PoolAssignment, log: Logger): Session {
  const { mountPoint } = assignment;
  for (let there = topMount(mountPoint); there !== undefined; there = topMount(mountPoint)) {
    if (there.fsType !== FS_TYPE) {
      throw new Fault(
        'PRECONDITION',
        `${mountPoint}: a ${there.fsType} file system is mounted here; unmount it, or give the ` +
          'mounter another --mount-root',
      );
    }
    const adopted = adopt(assignment, there, log);
    if (adopted !== undefined) return adopted;
    log.warn({ mountPoint }, 'detaching a dead mount of the pool');
    unmount(mountPoint, { detach: true });
  }
  return mount(assignment);
}

/** Whether anything of the session's mount is left, be it a bind mount in a pod. */
export function isMounted(session: Session): boolean {
  return readMountInfo().some(({ device }) => device === session.connection);
}

function topMount(mountPoint: string): MountInfo | undefined {
  return mountsAt(mountPoint).at(-1);
}

function mount(assignment: PoolAssignment): Session {
  const { mountPoint, name } = assignment;
  mkdirSync(mountPoint, { recursive: true });
  // Bare, the directory takes no file: a write while nothing is mounted must fail, not be lost.
  chmodSync(mountPoint, 0o555);
  const device = FuseDevice.open();
  try {
    mountFuse({
      fuseFd: device.fd,
      target: mountPoint,
      source: name,
      subtype: FUSE_SUBTYPE,
      allowOther: true,
      defaultPermissions: true,
    });
    const mounted = topMount(mountPoint);
    if (mounted === undefined) throw new Fault('IO', `${mountPoint}: the mount is not there`);
    const negotiated = answerInit(device, mountPoint);
    saveNegotiated(mountPoint, negotiated);
    const dataPathReason = reasonFor(assignment.device);
    return { device, negotiated, connection: mounted.device, dataPathReason };
  } catch (error) {
    device[Symbol.dispose]();
    if (topMount(mountPoint)?.fsType === FS_TYPE) unmount(mountPoint, { detach: true });
    throw error;
  }
}

/** The keeper answers INIT itself, so what was agreed on outlives every server. */
function answerInit(device: FuseDevice, mountPoint: string): Negotiated {
  const buffer = new Uint8Array(MiB + 4096);
  const length = device.receive(buffer, undefined, INIT_PATIENCE_MS);
  if (length === 'gone' || length === 0) {
    throw new Fault('IO', `${mountPoint}: the kernel sent no INIT in ${INIT_PATIENCE_MS} ms`);
  }
  const { reply, negotiated } = negotiate(buffer.subarray(0, length));
  device.send(reply);
  return negotiated;
}

/** Why the buffered path: the dax paths need a device and a kernel that this build serves. */
function reasonFor(device: string): string {
  return statSync(device).isCharacterDevice()
    ? 'this release serves the buffered path only'
    : 'the pool is a file, an emulated fabric; the dax path needs a dax device';
}

const sessionFile = (mountPoint: string) => `${mountPoint}.session.json`;

function saveNegotiated(mountPoint: string, negotiated: Negotiated): void {
  const path = sessionFile(mountPoint);
  writeFileSync(`${path}.new`, JSON.stringify(negotiated), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Removes what a keeper keeps beside a mount point; the caller has unmounted it. */
export function forgetSession(mountPoint: string): void {
  rmSync(sessionFile(mountPoint), { force: true });
}

/** Takes the descriptor over from the process that serves the mount; undefined if there is none. */
function adopt(assignment: PoolAssignment, there: MountInfo, log: Logger): Session | undefined {
  const owner = findServer(there);
  if (owner === undefined) return undefined;
  const text = readFileSync(sessionFile(assignment.mountPoint), 'utf8');
  const device = FuseDevice.adopt(fetchDescriptor(owner.pid, owner.fd));
  log.info({ serverPid: owner.pid }, 'taking the mount over from a server without keeper');
  // It ends after the request in hand; until then two servers answer alike.
  process.kill(owner.pid, 'SIGTERM');
  return {
    device,
    negotiated: JSON.parse(text) as Negotiated,
    connection: there.device,
    dataPathReason: reasonFor(assignment.device),
  };
}

/** The process, other than this one, that holds the `/dev/fuse` descriptor of a mount. */
function findServer(there: MountInfo): { pid: number; fd: number } | undefined {
  const connection = there.device.split(':')[1];
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      if (!linksTo(`/proc/${pid}/fd/${fd}`, '/dev/fuse')) continue;
      const info = textOf(`/proc/${pid}/fdinfo/${fd}`);
      if (/^fuse_connection:\s*(\d+)$/m.exec(info)?.[1] === connection) {
        return { pid: Number(pid), fd: Number(fd) };
      }
    }
  }
  return undefined;
}

// Processes end while /proc is read: what is gone holds no descriptor.
function namesIn(path: string): string[] {
  return orElse(() => readdirSync(path), []);
}

function linksTo(path: string, target: string): boolean {
  return orElse(() => readlinkSync(path), '') === target;
}

function textOf(path: string): string {
  return orElse(() => readFileSync(path, 'utf8'), '');
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return otherwise;
    throw error;
  }
}
