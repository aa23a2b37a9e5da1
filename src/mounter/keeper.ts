import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { Fault } from '../base/errors.ts';
import type { FileLock } from '../native/file-lock.ts';
import type { DataPathOption } from './data-path-choice.ts';
import { HandOver } from './hand-over.ts';
import { type Asker, KeeperSocket } from './keeper-socket.ts';
import { PoolKeeper } from './pool-keeper.ts';
import type { Request } from './protocol.ts';
import { TakeOver } from './take-over.ts';

export interface KeptPool {
  readonly name: string;
  /** By devindex; each a path, or `uuid:` and a device's uuid. */
  readonly devices: readonly string[];
  readonly dataPath?: DataPathOption;
  /** See `PoolAssignment`. */
  readonly prepare?: () => Promise<void>;
}

export interface KeeperOptions {
  readonly socketPath: string;
  /** Pools are mounted at `<mountRoot>/<pool name>`. One keeper a mount root. */
  readonly mountRoot: string;
  readonly pools: readonly KeptPool[];
  /** Of pools that have none of their own. */
  readonly dataPath: DataPathOption;
  /** Group of `.meta` on a dax path. */
  readonly metaGid: number;
  /** The argv that runs a server child. */
  readonly serverCommand: readonly string[];
  readonly log: Logger;
  /** See `Keeper.hold`. */
  readonly holdsOnly?: boolean;
}

/** The mounter: keeps every pool of this node mounted, and answers the node plugin's questions. */
export class Keeper implements AsyncDisposable {
  /** Resolves when another keeper has taken everything over: there is nothing left to do. */
  readonly handedOver: Promise<void>;
  readonly #options: KeeperOptions;
  readonly #pools = new Map<string, PoolKeeper>();
  #lock: FileLock;
  #socket: KeeperSocket | undefined;
  #handOver: HandOver | undefined;
  #resolveHandedOver: () => void = () => {};

  private constructor(options: KeeperOptions, lock: FileLock) {
    this.#options = options;
    this.#lock = lock;
    this.handedOver = new Promise((resolve) => {
      this.#resolveHandedOver = resolve;
    });
  }

  /**
   * Listens, and starts to mount the pools, or takes them over from the keeper that has them. BUSY
   * if another keeper has this mount root and does not hand over; IO if the socket cannot be had,
   * and nothing is mounted then.
   */
  static async start(options: KeeperOptions): Promise<Keeper> {
    mkdirSync(options.mountRoot, { recursive: true });
    // The mount table has no symbolic links, and every mount is looked up there.
    const mountRoot = realpathSync(options.mountRoot);
    const { socketPath, log } = options;
    const names = options.pools.map(({ name }) => name);
    const taken = await TakeOver.begin({ socketPath, mountRoot, pools: names, log });
    if (options.holdsOnly && !taken.isHandOver) {
      taken[Symbol.dispose]();
      throw new Fault('UNAVAILABLE', `${mountRoot}: no mounter keeps it any more`);
    }
    const keeper = new Keeper({ ...options, mountRoot }, taken.lock);
    try {
      const pools = options.pools.map((pool) => keeper.#add(pool));
      if (!taken.isHandOver) await keeper.#listen();
      const served = options.holdsOnly ? [] : taken.servedBefore;
      const ready = pools.map((pool) => {
        const first = served.includes(pool.name) ? pool.untilServed() : undefined;
        pool.start(taken.session(pool.name));
        return first;
      });
      keeper.#lock = await taken.finish(Promise.all(ready));
    } catch (error) {
      // Before the connection ends: when the old keeper serves again, these have ended.
      await Promise.all([...keeper.#pools.values()].map((pool) => pool.suspend()));
      for (const pool of keeper.#pools.values()) pool.giveUp();
      await keeper.#socket?.[Symbol.asyncDispose]();
      taken[Symbol.dispose]();
      throw error;
    }
    // After a hand-over: the old keeper had the socket until now.
    if (keeper.#socket === undefined) await keeper.#listen();
    return keeper;
  }

  /**
   * Takes the pools over from the keeper that has them, holds their descriptors, serves nothing,
   * and hands them over to the next. UNAVAILABLE if there is no keeper.
   */
  static hold({
    pools,
    ...options
  }: Pick<KeeperOptions, 'socketPath' | 'mountRoot' | 'log'> & {
    readonly pools: readonly string[];
  }): Promise<Keeper> {
    const held = pools.map((name) => ({ name, devices: [] }));
    const nothing = { dataPath: 'auto', metaGid: 0, serverCommand: [] } as const;
    return Keeper.start({ ...options, ...nothing, pools: held, holdsOnly: true });
  }

  async #listen(): Promise<void> {
    const { socketPath, log } = this.#options;
    const handle = (request: Request, asker: Asker) => this.#handle(request, asker);
    this.#socket = await KeeperSocket.listen(socketPath, handle, log);
  }

  /** Stops answering and lets go; mounts and servers live on for the pods. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    // In between, nobody may hold the descriptors but this process.
    const isServedElsewhere = await this.#handOver?.decided;
    await this.#socket?.[Symbol.asyncDispose]();
    if (isServedElsewhere) return;
    for (const pool of this.#pools.values()) pool.release();
    this.#lock[Symbol.dispose]();
  }

  #add({ name, devices, dataPath = this.#options.dataPath, prepare }: KeptPool): PoolKeeper {
    const { mountRoot, metaGid, serverCommand, log, holdsOnly = false } = this.#options;
    const mountPoint = join(mountRoot, name);
    const assignment = { name, devices, mountPoint, dataPath, metaGid, prepare, holdsOnly };
    const pool = new PoolKeeper(assignment, serverCommand, log);
    this.#pools.set(name, pool);
    return pool;
  }

  async #handle(request: Request, asker: Asker): Promise<unknown> {
    if (request.op === 'status') {
      const pools = await Promise.all([...this.#pools.values()].map((pool) => pool.status()));
      return { keeperPid: process.pid, pools };
    }
    if (request.op === 'hand-over') return await this.#giveAway(request, asker);
    if (request.op === 'serving') return this.#letGo(asker);
    if (request.op === 'custody') {
      throw new Fault('UNSUPPORTED', 'custody: this is a mounter, not a custodian');
    }
    const pool = this.#pools.get(request.pool);
    if (pool === undefined) {
      const known = [...this.#pools.keys()].join(', ') || 'none';
      throw new Fault(
        'NOT_FOUND',
        `pool "${request.pool}": this node's mounter does not have it; it has: ${known}`,
      );
    }
    const { op, generation, atLeast: position, path } = request;
    const place = { generation, position };
    return op === 'pool' ? await pool.mount(place, path) : await pool.references(place, path);
  }

  async #giveAway(
    { receiver, pools }: Extract<Request, { op: 'hand-over' }>,
    asker: Asker,
  ): Promise<unknown> {
    if (this.#handOver !== undefined) {
      throw new Fault('BUSY', 'hand-over: another mounter is taking over already');
    }
    const { mountRoot, log } = this.#options;
    const wanted = [...this.#pools.values()].filter(({ name }) => pools.includes(name));
    const lock = this.#lock;
    const handOver = new HandOver({ asker, pools: wanted, lock, mountRoot, log });
    this.#handOver = handOver;
    void handOver.decided.then((served) => {
      if (!served) this.#handOver = undefined;
    });
    await handOver.giveAway(receiver);
    return {};
  }

  /** The other serves: the socket's path is free when it is answered, and the lock is its own. */
  #letGo(asker: Asker): unknown {
    if (this.#handOver?.asker !== asker) {
      throw new Fault('PRECONDITION', 'serving: this connection has no hand-over under way');
    }
    this.#handOver.served();
    this.#socket?.stopListening();
    // Pools that the other was not asked to keep: their servers live on, as after any keeper.
    for (const pool of this.#pools.values()) pool.release();
    this.#lock[Symbol.dispose]();
    this.#options.log.info('another mounter has taken over');
    this.#resolveHandedOver();
    return {};
  }
}
