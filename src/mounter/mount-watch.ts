import { type MountInfo, readMountInfo } from '../native/mounts.ts';

/**
 * Tells when a mount on a dax path has served its time. Its server has the pool's log mapped
 * through the mount itself, so the kernel will never say that the mount is gone, and the device
 * would be held for as long as the server runs: somebody has to see that no directory shows the
 * mount any more, be it the pool's own or a volume's in a pod.
 */
export class MountWatch {
  readonly #connection: string;
  readonly #mounts: () => readonly MountInfo[];
  #wasSeen = false;

  /** `connection`: `major:minor` of the mount. */
  constructor(connection: string, mounts: () => readonly MountInfo[] = readMountInfo) {
    this.#connection = connection;
    this.#mounts = mounts;
  }

  /** Whether a directory showed the mount at any look so far. */
  get wasSeen(): boolean {
    return this.#wasSeen;
  }

  /**
   * Whether the mount was seen and no longer is; or, for an orphan, that it is not seen at all: its
   * keeper died before it had shown it, and nobody else can.
   */
  isOver(isOrphan: boolean): boolean {
    const isSeen = this.#mounts().some(({ device }) => device === this.#connection);
    this.#wasSeen ||= isSeen;
    return !isSeen && (this.#wasSeen || isOrphan);
  }
}

/** `st_dev` of stat(2) as mountinfo writes it. */
export function deviceNumber(dev: number): string {
  const major = Math.floor(dev / 2 ** 8) % 2 ** 12;
  const minor = (dev % 2 ** 8) + (Math.floor(dev / 2 ** 20) % 2 ** 12) * 2 ** 8;
  return `${major}:${minor}`;
}
