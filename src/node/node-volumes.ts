import { mkdir, readdir, realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { codeOf, Fault } from '../base/errors.ts';
import { KeyedLock } from '../base/keyed-lock.ts';
import type { LogPlace } from '../base/log-place.ts';
import type { VolumeContext } from '../csi/volume-context.ts';
import type { PoolMount } from '../mounter/client.ts';
import type { MountInfo } from '../native/mounts.ts';

export interface StageRequest {
  readonly volumeId: string;
  readonly stagingPath: string;
  readonly location: VolumeContext;
  readonly readOnly: boolean;
}

export interface PublishRequest {
  readonly volumeId: string;
  readonly stagingPath: string;
  readonly targetPath: string;
  readonly location: VolumeContext;
  readonly readOnly: boolean;
  /** SINGLE_NODE_SINGLE_WRITER: at most one target path on the node. */
  readonly singleTarget: boolean;
}

export interface VolumeStats {
  readonly bytes: number;
  readonly files: number;
  /** Why the volume's pool is not healthy on this node; undefined: it is. */
  readonly problem: string | undefined;
}

/** The mount operations that the node needs; `src/native/mounts.ts` on a real node. */
export interface Mounts {
  bindMount(options: { source: string; target: string; readOnly: boolean }): void;
  unmount(target: string): void;
  readMountInfo(): MountInfo[];
}

/** Who has the pools mounted on this node. */
export interface PoolMounts {
  poolMount(
    pool: string,
    atLeast: LogPlace,
    options: { path: string; signal?: AbortSignal | undefined },
  ): Promise<PoolMount>;
  /** What is wrong with a pool on this node, or undefined. */
  problemOf(pool: string): Promise<string | undefined>;
}

const FS_TYPE = 'fuse.famfs';
const LOCK_PATIENCE_MS = 30_000;

/**
 * Stages and publishes volumes by bind mounts. The mount table is the only state: each call looks
 * there what is done already and does the rest, so it may come twice, late, or after a crash.
 */
export class NodeVolumes {
  readonly #pools: PoolMounts;
  readonly #mounts: Mounts;
  readonly #locks = new KeyedLock(LOCK_PATIENCE_MS);

  constructor(pools: PoolMounts, mounts: Mounts) {
    this.#pools = pools;
    this.#mounts = mounts;
  }

  /**
   * Binds `<pool mount>/<volume>` to the staging path. PRECONDITION where this node cannot give
   * the data path that the volume asks for, cannot serve one of its files, or has another pool
   * under that name; NOT_FOUND for a volume that the log does not have.
   */
  stage(request: StageRequest, signal?: AbortSignal): Promise<void> {
    return this.#locks.run(request.volumeId, async () => {
      const { location, readOnly, volumeId } = request;
      const stagingPath = await canonical(request.stagingPath);
      const { pool, path } = location;
      const mounted = await this.#pools.poolMount(pool, placeOf(location), { path, signal });
      checkPool(mounted, location, volumeId);
      checkFiles(mounted, volumeId);
      const connection = this.#at(mounted.mountPoint)?.device;
      await mkdir(stagingPath, { recursive: true });
      const there = this.#famfsAt(stagingPath);
      if (there !== undefined && there.device !== connection) {
        // Left by a mount of the pool that has died: nothing can be read through it any more.
        this.#mounts.unmount(stagingPath);
      } else if (there !== undefined) {
        checkSame(there, stagingPath, location.path, readOnly);
        return;
      }
      const source = join(mounted.mountPoint, location.path);
      await checkDirectory(source, volumeId, location.pool);
      this.#mounts.bindMount({ source, target: stagingPath, readOnly });
    });
  }

  /** Undoes `stage`; fine when there is nothing to undo, or when the mount is dead. */
  unstage(volumeId: string, stagingPath: string): Promise<void> {
    return this.#locks.run(volumeId, async () => this.#unmountAll(await canonical(stagingPath)));
  }

  /**
   * Binds the staged volume to the target path, which is made. PRECONDITION when the volume is not
   * staged there, is staged read-only and asked for writable, or may have one target only and has
   * another; EXISTS when the target has it with another read-only flag. A staging mount that died
   * with its mounter is made anew: kubelet stages a volume once, for all pods of the node.
   */
  publish(request: PublishRequest, signal?: AbortSignal): Promise<void> {
    return this.#locks.run(request.volumeId, async () => {
      const { volumeId, readOnly } = request;
      const stagingPath = await canonical(request.stagingPath);
      const targetPath = await canonical(request.targetPath);
      const found = this.#famfsAt(stagingPath);
      if (found === undefined || found.root !== rootOf(volumeId)) {
        throw new Fault(
          'PRECONDITION',
          `staging_target_path ${stagingPath}: volume ${volumeId} is not staged here; call ` +
            'NodeStageVolume first',
        );
      }
      const staged = await this.#revive(found, request, signal);
      if (!readOnly && isReadOnly(staged)) {
        throw new Fault(
          'PRECONDITION',
          `volume ${volumeId}: is attached to this node for reading only; publish it with ` +
            'readonly, or attach it writable',
        );
      }
      const there = this.#famfsAt(targetPath);
      if (there !== undefined && there.device === staged.device) {
        checkSame(there, targetPath, volumeDirectory(volumeId), readOnly);
        return;
      }
      if (request.singleTarget) this.#checkSingle(volumeId, staged, targetPath);
      if (there !== undefined) this.#mounts.unmount(targetPath);
      await mkdir(targetPath, { recursive: true, mode: 0o750 });
      this.#mounts.bindMount({ source: stagingPath, target: targetPath, readOnly });
    });
  }

  /** Undoes `publish` and removes the target directory; fine when there is nothing to undo. */
  unpublish(volumeId: string, path: string): Promise<void> {
    return this.#locks.run(volumeId, async () => {
      const targetPath = await canonical(path);
      this.#unmountAll(targetPath);
      try {
        await rmdir(targetPath);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return;
        throw new Fault(
          'PRECONDITION',
          `target_path ${targetPath}: cannot be removed (${codeOf(error)}); it holds files that ` +
            'are not of the volume, look and remove them',
          { cause: error },
        );
      }
    });
  }

  /**
   * Sizes of the volume's files; NOT_FOUND unless the volume is mounted at exactly this path. No
   * volume is at a relative one: csi-sanity asks for `some/path` and expects NOT_FOUND.
   */
  async stats(volumeId: string, volumePath: string): Promise<VolumeStats> {
    const path = isAbsolute(volumePath) ? await canonical(volumePath) : volumePath;
    const there = this.#at(path);
    if (there?.fsType !== FS_TYPE || there.root !== rootOf(volumeId)) {
      throw new Fault('NOT_FOUND', `volume_path ${path}: volume ${volumeId} is not mounted here`);
    }
    const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
      if (codeOf(error) === 'ENOTCONN') return undefined;
      throw error;
    });
    if (entries === undefined) {
      return { bytes: 0, files: 0, problem: 'its mount has died; end the pods that use it' };
    }
    const files = entries.filter((entry) => entry.isFile());
    const sizes = await Promise.all(
      files.map(async ({ name }) => (await stat(join(path, name))).size),
    );
    return {
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      files: files.length,
      // The mounter names a pool's mount by the pool.
      problem: await this.#pools.problemOf(there.source),
    };
  }

  /** Operations that run now, for metrics and for finding one that hangs. */
  held(): { key: string; ageMs: number }[] {
    return this.#locks.held();
  }

  /** The topmost mount at a path. A stat would block on a dead one; the mount table does not. */
  #at(path: string): MountInfo | undefined {
    return this.#mounts.readMountInfo().findLast(({ mountPoint }) => mountPoint === path);
  }

  #famfsAt(path: string): MountInfo | undefined {
    const there = this.#at(path);
    if (there !== undefined && there.fsType !== FS_TYPE) {
      throw new Fault(
        'PRECONDITION',
        `${path}: a ${there.fsType} file system is mounted here, not a volume of ours; unmount it`,
      );
    }
    return there;
  }

  /** The staging mount, bound anew when the pool's mount that it shows has died. */
  async #revive(
    staged: MountInfo,
    { volumeId, location }: PublishRequest,
    signal?: AbortSignal,
  ): Promise<MountInfo> {
    const { mountPoint, root, device } = staged;
    const isOfPool = (one: MountInfo) => one.root === '/' && one.device === device;
    if (this.#mounts.readMountInfo().some(isOfPool)) return staged;
    const { path } = location;
    const place = placeOf(location);
    const mounted = await this.#pools.poolMount(staged.source, place, { path, signal });
    const present = this.#at(mounted.mountPoint)?.device;
    if (present === undefined || present === device) return staged;
    checkPool(mounted, location, volumeId);
    checkFiles(mounted, volumeId);
    const source = join(mounted.mountPoint, root);
    await checkDirectory(source, volumeId, staged.source);
    this.#unmountAll(mountPoint);
    this.#mounts.bindMount({ source, target: mountPoint, readOnly: isReadOnly(staged) });
    return this.#famfsAt(mountPoint) ?? staged;
  }

  #unmountAll(path: string): void {
    while (this.#famfsAt(path) !== undefined) this.#mounts.unmount(path);
  }

  #checkSingle(volumeId: string, staged: MountInfo, targetPath: string): void {
    const other = this.#mounts
      .readMountInfo()
      .filter(({ device, root }) => device === staged.device && root === staged.root)
      .find(({ mountPoint }) => mountPoint !== staged.mountPoint && mountPoint !== targetPath);
    if (other !== undefined) {
      throw new Fault(
        'PRECONDITION',
        `volume ${volumeId}: its access mode SINGLE_NODE_SINGLE_WRITER allows one target, and it ` +
          `is published at ${other.mountPoint}; unpublish it there first`,
      );
    }
  }
}

function placeOf({ logGeneration: generation, logPosition: position }: VolumeContext): LogPlace {
  return { generation, position };
}

/**
 * The path as the mount table has it: its directory without symbolic links, its last component
 * untouched, since a look at a dead mount would fail.
 */
async function canonical(path: string): Promise<string> {
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return join(path);
    throw new Fault('IO', `${path}: its directory cannot be read (${codeOf(error)})`);
  }
}

/** The directory of a volume in its pool: its id, or what follows `<pool>/` in a static handle. */
function volumeDirectory(volumeId: string): string {
  return volumeId.slice(volumeId.indexOf('/') + 1);
}

function rootOf(volumeId: string): string {
  return `/${volumeDirectory(volumeId)}`;
}

function isReadOnly(mount: MountInfo): boolean {
  return mount.options.includes('ro');
}

function checkPool(mounted: PoolMount, location: VolumeContext, volumeId: string): void {
  if (location.fsUuid !== '' && mounted.fsUuid !== location.fsUuid) {
    throw new Fault(
      'PRECONDITION',
      `pool ${location.pool}: on this node it is ${mounted.fsUuid}, volume ${volumeId} is on ` +
        `${location.fsUuid}; give the mounter the device of that pool`,
    );
  }
  if (location.dataPath === 'dax' && mounted.dataPath !== 'dax') {
    throw new Fault(
      'PRECONDITION',
      `volume ${volumeId}: asks for dataPath dax, this node has ${mounted.dataPath} ` +
        `(${mounted.dataPathReason}); use a node with a famfs kernel and a dax device, or a ` +
        'StorageClass with dataPath: any',
    );
  }
}

/** Here, and not at the open() of a pod that runs already. */
function checkFiles({ refusals = [], ...mounted }: PoolMount, volumeId: string): void {
  const [first] = refusals;
  if (first === undefined) return;
  const others = refusals.length > 1 ? `, and at least ${refusals.length - 1} more` : '';
  const advice =
    mounted.dataPath === 'dax'
      ? 'use a node whose kernel is push2, or make the volume anew with chunks of 2 MiB or more, ' +
        'in a pool with an alloc unit of 2 MiB, on its first device'
      : 'give the mounter of this node all devices of the pool';
  throw new Fault(
    'PRECONDITION',
    `volume ${volumeId}: file ${first.path}: ${first.reason}${others}; this node has dataPath ` +
      `${mounted.dataPath} (${mounted.generation}); ${advice}`,
  );
}

function checkSame(there: MountInfo, path: string, directory: string, readOnly: boolean): void {
  if (there.root === `/${directory}` && isReadOnly(there) === readOnly) return;
  const found = `${there.root} ${isReadOnly(there) ? 'read-only' : 'writable'}`;
  throw new Fault(
    'EXISTS',
    `${path}: ${found} is mounted here, asked for /${directory} ` +
      `${readOnly ? 'read-only' : 'writable'}; unmount it first`,
  );
}

async function checkDirectory(path: string, volumeId: string, pool: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Fault('IO', `${path}: ${codeOf(error)}; see the mounter's log`, { cause: error });
  });
  if (found?.isDirectory()) return;
  throw new Fault('NOT_FOUND', `volume ${volumeId}: pool ${pool} has no such directory`);
}
