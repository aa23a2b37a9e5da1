import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { codeOf, Fault, messageOf } from '../../base/errors.ts';
import { readMountInfo, unmount } from '../../native/mounts.ts';
import { endServers } from './fabric-users.ts';
import { Processes } from './processes.ts';

export const POOL = 'demo';

/** One "node": what a host of the fabric has, in a directory of its own on this machine. */
export interface LocalNode {
  readonly name: string;
  readonly csiSocket: string;
  readonly mounterSocket: string;
  readonly mountRoot: string;
  /** Stands for /var/lib/kubelet: staging and target paths are below it. */
  readonly kubeletDir: string;
}

export interface LocalClusterOptions {
  /** Path of the executable script, `dist/main.js`. */
  readonly main: string;
  readonly nodes: number;
  /** Whether the controller asks the mounters, and gives memory of deleted volumes back. */
  readonly reclaims?: boolean;
}

/**
 * The product on one machine: an emulated fabric in /dev/shm, a controller, and for each node a
 * node plugin and a mounter, all as separate processes under one directory. `stop` takes away
 * everything that the cluster made, in whatever state it is.
 */
export class LocalCluster implements AsyncDisposable {
  readonly directory: string;
  readonly logs: string;
  readonly fabric: string;
  readonly controllerSocket: string;
  readonly nodes: readonly LocalNode[];
  readonly processes: Processes;

  readonly #reclaims: boolean;

  constructor(options: LocalClusterOptions) {
    this.#reclaims = options.reclaims ?? false;
    this.directory = makeDirectory();
    this.logs = this.#folder('logs');
    this.fabric = join('/dev/shm', basename(this.directory));
    this.processes = new Processes(options.main, this.logs);
    this.controllerSocket = join(this.#folder('controller'), 'csi.sock');
    this.nodes = Array.from({ length: options.nodes }, (_, at) => {
      const name = `node-${String.fromCharCode(97 + at)}`;
      const folder = this.#folder(name);
      return {
        name,
        csiSocket: join(folder, 'csi.sock'),
        mounterSocket: join(folder, 'mounter.sock'),
        mountRoot: this.#folder(join(name, 'pools')),
        kubeletDir: this.#folder(join(name, 'kubelet')),
      };
    });
  }

  startController(): number {
    const state = join(this.directory, 'controller');
    const nodes = this.nodes.flatMap(({ name }) => ['--node', name]);
    const mounters = this.nodes.flatMap(({ mounterSocket }) => ['--mounter', mounterSocket]);
    return this.processes.start('controller', [
      'controller',
      ...['--endpoint', `unix://${this.controllerSocket}`, '--state-dir', state],
      ...['--pool', `${POOL}=${this.fabric}`],
      ...nodes,
      ...(this.#reclaims ? mounters : []),
    ]);
  }

  startMounter(node: LocalNode): number {
    return this.processes.start(`${node.name}-mounter`, [
      'mounter',
      ...['--socket', node.mounterSocket, '--mount-root', node.mountRoot],
      ...['--pool', `${POOL}=${this.fabric}`],
    ]);
  }

  startNode(node: LocalNode): number {
    return this.processes.start(node.name, [
      'node',
      ...['--endpoint', `unix://${node.csiSocket}`, '--node-id', node.name],
      ...['--mounter', node.mounterSocket],
    ]);
  }

  /** What is mounted below the cluster's directory, the latest first. */
  mounts(): string[] {
    return readMountInfo()
      .map(({ mountPoint }) => mountPoint)
      .filter((mountPoint) => mountPoint.startsWith(`${this.directory}/`))
      .reverse();
  }

  /**
   * Every mount goes, then every process; the servers end with their mounts. `keepLogs`: leaves the
   * logs' directory for a user to read. BUSY, and no directory is touched, if a mount stays.
   */
  async stop(options: { keepLogs?: boolean } = {}): Promise<void> {
    this.#unmountAll();
    await this.processes.stopAll();
    // What a keeper or a plugin was about to mount when the others went.
    const stuck = this.#unmountAll();
    if (stuck.length > 0) throw new Fault('BUSY', `cannot be unmounted: ${stuck.join('; ')}`);
    await endServers(this.fabric);
    rmSync(this.fabric, { force: true });
    const folders = options.keepLogs
      ? ['controller', ...this.nodes.map(({ name }) => name)].map((at) => join(this.directory, at))
      : [this.directory];
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Returns why what stays could not be unmounted. */
  #unmountAll(): string[] {
    const stuck: string[] = [];
    for (const mountPoint of this.mounts()) {
      try {
        unmount(mountPoint, { detach: true });
      } catch (error) {
        if (codeOf(error) !== 'NOT_FOUND') stuck.push(messageOf(error));
      }
    }
    return stuck;
  }

  #folder(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true, mode: 0o755 });
    return path;
  }
}

/** Without symbolic links, as the mount table names what is mounted below it. */
function makeDirectory(): string {
  try {
    return realpathSync(mkdtempSync(join(tmpdir(), 'famfs-')));
  } catch (error) {
    throw new Fault(
      'IO',
      `${tmpdir()}: no directory can be made in it (${codeOf(error)}); set TMPDIR to another one`,
      { cause: error },
    );
  }
}
