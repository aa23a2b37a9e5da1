import { join } from 'node:path';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { sendDescriptors } from '../native/descriptor-socket.ts';
import type { FileLock } from '../native/file-lock.ts';
import { encodeGiven, MOUNTS_MAX } from './hand-over-message.ts';
import type { Asker } from './keeper-socket.ts';
import type { PoolKeeper } from './pool-keeper.ts';

/** For `serving`, once the servers have ended; less than Kubernetes grants a pod that is to end. */
const SERVING_PATIENCE_MS = 20_000;

export interface HandOverOptions {
  readonly asker: Asker;
  readonly pools: readonly PoolKeeper[];
  readonly lock: FileLock;
  readonly mountRoot: string;
  readonly log: Logger;
}

/**
 * The old keeper's side of a hand-over. Whoever is killed when, somebody serves in the end:
 *   1. copies of all descriptors go to the new keeper: from now on both keep the mounts alive
 *   2. the servers end; the kernel keeps the requests
 *   3. the new keeper starts servers and says so, and only then this one lets go
 * Until 3 this keeper takes over again when the other leaves or is silent. Servers that it left
 * behind are ended first: `PoolKeeper.start` does so.
 */
export class HandOver {
  readonly asker: Asker;
  /** Whether the new keeper serves; resolves when that is decided. */
  readonly decided: Promise<boolean>;
  readonly #options: HandOverOptions;
  readonly #pools: readonly PoolKeeper[];
  #decide: (served: boolean) => void = () => {};
  #isDecided = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#pools = options.pools;
    this.asker = options.asker;
    this.decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
  }

  /** Steps 1 and 2. When it throws, the pools are served here as before. */
  async giveAway(receiver: string): Promise<void> {
    try {
      this.#send(join(this.#options.mountRoot, receiver));
    } catch (error) {
      this.#settle(false);
      throw error;
    }
    this.#options.log.info('handing over to another mounter');
    await Promise.all(this.#pools.map((pool) => pool.suspend()));
    const { asker } = this.#options;
    if (asker.gone.aborted) this.#takeBack('it has left');
    const silent = `silent for ${SERVING_PATIENCE_MS} ms`;
    const timer = setTimeout(() => this.#takeBack(silent), SERVING_PATIENCE_MS);
    asker.gone.addEventListener('abort', () => this.#takeBack('it has left'));
    void this.decided.then(() => clearTimeout(timer));
  }

  /** Step 3. PRECONDITION when it comes too late. */
  served(): void {
    if (this.#isDecided) {
      throw new Fault('PRECONDITION', 'serving: too late, the pools are served here again');
    }
    for (const pool of this.#pools) pool.giveUp();
    this.#settle(true);
  }

  #send(path: string): void {
    const mounts = this.#pools.flatMap((pool) => {
      const { session, isServed } = pool;
      if (session?.connection === undefined) return [];
      const { connection, facts, device } = session;
      return [{ pool: pool.name, connection, isServed, facts, fuseFd: device.fd }];
    });
    if (mounts.length > MOUNTS_MAX) {
      throw new Fault('UNSUPPORTED', `hand-over: ${mounts.length} mounts, at most ${MOUNTS_MAX}`);
    }
    try {
      sendDescriptors(path, encodeGiven({ lock: this.#options.lock, mounts }));
    } catch (error) {
      throw new Fault('UNAVAILABLE', `hand-over: ${messageOf(error)}`, { cause: error });
    }
  }

  #takeBack(why: string): void {
    if (this.#isDecided) return;
    this.#options.log.warn(`the other mounter does not serve: ${why}; serving again`);
    for (const pool of this.#pools) pool.start();
    this.#settle(false);
    this.asker.drop();
  }

  #settle(served: boolean): void {
    this.#isDecided = true;
    this.#decide(served);
  }
}
