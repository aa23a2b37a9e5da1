import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { Fault } from '../base/errors.ts';
import { FileLock } from '../native/file-lock.ts';
import type { DataPathOption } from './data-path-choice.ts';
import { KeeperSocket } from './keeper-socket.ts';
import { PoolKeeper } from './pool-keeper.ts';
import type { Request } from './protocol.ts';

export interface KeeperOptions {
  readonly socketPath: string;
  /** Pools are mounted at `<mountRoot>/<pool name>`. One keeper a mount root. */
  readonly mountRoot: string;
  readonly pools: readonly { readonly name: string; readonly device: string }[];
  readonly dataPath: DataPathOption;
  /** Group of `.meta` on a dax path. */
  readonly metaGid: number;
  /** The argv that runs a server child. */
  readonly serverCommand: readonly string[];
  readonly log: Logger;
}

/** The mounter: keeps every pool of this node mounted, and answers the node plugin's questions. */
export class Keeper implements AsyncDisposable {
  readonly #pools = new Map<string, PoolKeeper>();
  readonly #lock: FileLock;
  #socket: KeeperSocket | undefined;

  private constructor(lock: FileLock) {
    this.#lock = lock;
  }

  /**
   * Listens, and starts to mount the pools. BUSY if another keeper has this mount root, IO if the
   * socket cannot be had; nothing is mounted then.
   */
  static async start(options: KeeperOptions): Promise<Keeper> {
    mkdirSync(options.mountRoot, { recursive: true });
    // The mount table has no symbolic links, and every mount is looked up there.
    const mountRoot = realpathSync(options.mountRoot);
    const lock = FileLock.tryLock(mountRoot);
    if (lock === undefined) {
      throw new Fault('BUSY', `${mountRoot}: another mounter keeps its mounts here`);
    }
    const keeper = new Keeper(lock);
    for (const { name, device } of options.pools) {
      const mountPoint = join(mountRoot, name);
      const { dataPath, metaGid } = options;
      const pool = new PoolKeeper(
        { name, device, mountPoint, dataPath, metaGid },
        options.serverCommand,
        options.log,
      );
      keeper.#pools.set(name, pool);
    }
    const handle = (request: Request) => keeper.#handle(request);
    try {
      keeper.#socket = await KeeperSocket.listen(options.socketPath, handle, options.log);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
    for (const pool of keeper.#pools.values()) void pool.run();
    return keeper;
  }

  /** Stops answering and lets go; mounts and servers live on for the pods. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket?.[Symbol.asyncDispose]();
    for (const pool of this.#pools.values()) pool.release();
    this.#lock[Symbol.dispose]();
  }

  async #handle(request: Request): Promise<unknown> {
    if (request.op === 'status') {
      const pools = await Promise.all([...this.#pools.values()].map((pool) => pool.status()));
      return { keeperPid: process.pid, pools };
    }
    const pool = this.#pools.get(request.pool);
    if (pool === undefined) {
      const known = [...this.#pools.keys()].join(', ') || 'none';
      throw new Fault(
        'NOT_FOUND',
        `pool "${request.pool}": this node's mounter does not have it; it has: ${known}`,
      );
    }
    return await pool.mount(request.atLeast, request.path);
  }
}
