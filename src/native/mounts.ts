import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';
import { addon, native, nativeFault } from './addon.ts';

/** One line of /proc/self/mountinfo, proc(5). Paths have their octal escapes decoded. */
export interface MountInfo {
  readonly mountId: number;
  readonly parentId: number;
  /** `major:minor` of st_dev; a FUSE connection's number is the minor. */
  readonly device: string;
  /** The directory of the file system that is mounted: `/`, or what a bind mount shows. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly fsType: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

export interface FuseMountOptions {
  readonly fuseFd: number;
  readonly target: string;
  /** What mount(8) lists as the device. */
  readonly source: string;
  /** The type is listed as `fuse.<subtype>`. */
  readonly subtype: string;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
}

/** Mounts a FUSE connection, nosuid and nodev; the kernel then sends INIT to the descriptor. */
export function mountFuse(options: FuseMountOptions): void {
  const { fuseFd, target, source, subtype, allowOther, defaultPermissions } = options;
  native(
    target,
    (raw) => raw.mountFuse(fuseFd, target, source, subtype, allowOther, defaultPermissions),
    'a mount needs root, or a user namespace of its own',
  );
}

/**
 * A FUSE mount that nobody can see yet: its files are reached below `path`, by this process and by
 * those that inherit `fd`. Needs the mount API of Linux 5.2, which every kernel with famfs has.
 */
export class DetachedMount implements Disposable {
  readonly fd: number;
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  static create(options: Omit<FuseMountOptions, 'target'>): DetachedMount {
    const { fuseFd, source, subtype, allowOther, defaultPermissions } = options;
    const fd = native(
      source,
      (raw) => raw.createFuseMount(fuseFd, source, subtype, allowOther, defaultPermissions),
      'a mount needs root, or a user namespace of its own',
    );
    return new DetachedMount(fd);
  }

  get path(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  /** Shows the mount at `target`, an existing directory that is no symbolic link. */
  attach(target: string): void {
    native(target, (raw) => raw.attachMount(this.fd, target));
  }

  /** Idempotent. A mount that was never attached is gone then. */
  [Symbol.dispose](): void {
    if (!this.#closed) closeSync(this.fd);
    this.#closed = true;
  }
}

/**
 * The numbers of all FUSE connections of this kernel: that of a mount is there for as long as
 * anything of it is used, be it detached, dead, and used by a mapped file alone. Needs root.
 */
export function fuseConnections(): ReadonlySet<number> {
  const fd = native('fusectl', (raw) => raw.fuseConnections(), 'it needs root');
  try {
    return new Set(readdirSync(`/proc/self/fd/${fd}`).map(Number));
  } finally {
    closeSync(fd);
  }
}

/**
 * Shows `source`, a directory, at `target`, an existing directory that is no symbolic link. A
 * read-only mount is never writable, not even for a moment.
 */
export function bindMount(options: { source: string; target: string; readOnly: boolean }): void {
  const { source, target, readOnly } = options;
  native(`${source} at ${target}`, (raw) => raw.bindMount(source, target, readOnly));
}

/**
 * Unmounts the topmost mount at `target`, a symbolic link not followed. NOT_FOUND when nothing is
 * mounted there, BUSY when it is in use; with `detach` it goes now and is freed when unused.
 */
export function unmount(target: string, options: { detach?: boolean } = {}): void {
  try {
    addon().unmount(target, options.detach ?? false);
  } catch (error) {
    if (codeOf(error) === 'EINVAL') throw new Fault('NOT_FOUND', `${target}: is not mounted`);
    throw nativeFault(target, error);
  }
}

/** The mounts that this process sees, in the kernel's order: later ones may hide earlier ones. */
export function readMountInfo(text?: string): MountInfo[] {
  const lines = (text ?? readFileSync('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.filter((line) => line !== '').map(parseLine);
}

/** The mounts at exactly this path, the topmost last. */
export function mountsAt(path: string, infos: readonly MountInfo[] = readMountInfo()): MountInfo[] {
  return infos.filter(({ mountPoint }) => mountPoint === path);
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw`: optional fields end at `-`. */
function parseLine(line: string): MountInfo {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const [mountId, parentId, device, root, mountPoint, options] = fields;
  const [fsType, source, superOptions] = fields.slice(separator + 1);
  if (separator < 0 || options === undefined || superOptions === undefined) {
    throw new Fault('IO', `/proc/self/mountinfo: found "${line}", expected the format of proc(5)`);
  }
  return {
    mountId: Number(mountId),
    parentId: Number(parentId),
    device: device ?? '',
    root: decodeOctal(root ?? ''),
    mountPoint: decodeOctal(mountPoint ?? ''),
    options: options.split(','),
    fsType: fsType ?? '',
    source: decodeOctal(source ?? ''),
    superOptions: superOptions.split(','),
  };
}

/** Blank, tab, newline and backslash are written as three octal digits. */
function decodeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
