import { join } from 'node:path';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { mountsAt, unmount } from '../native/mounts.ts';
import { Keeper } from './keeper.ts';
import { KeeperConnection } from './keeper-connection.ts';
import { type Asker, KeeperSocket } from './keeper-socket.ts';
import type { Request } from './protocol.ts';

const FS_TYPE = 'fuse.famfs';
/** Less than Kubernetes grants a pod that is to end; the servers' end is part of it. */
const CUSTODY_PATIENCE_MS = 20_000;

/** Pools, each mounted at `<mountRoot>/<pool>`. */
interface Mounts {
  readonly mountRoot: string;
  readonly pools: readonly string[];
}

export interface CustodianOptions {
  readonly socketPath: string;
  /** Of the mounters: where one is asked to hand over, and the next one asks. */
  readonly mounterSocket: string;
  readonly log: Logger;
}

/**
 * Holds a node's mounts while its mounter's pod is replaced by hand: the pod that ends takes its
 * processes with it, and Kubernetes makes the next one only then. To both it is another keeper: it
 * takes over from the first and hands over to the next, and serves nothing in between. Requests of
 * running pods wait in the kernel meanwhile.
 */
export class Custodian implements AsyncDisposable {
  readonly #options: CustodianOptions;
  #socket: KeeperSocket | undefined;
  /** What it holds, or is taking over. */
  #kept: Promise<Keeper> | undefined;
  #given: Mounts | undefined;
  #isEnding = false;

  private constructor(options: CustodianOptions) {
    this.#options = options;
  }

  static async listen(options: CustodianOptions): Promise<Custodian> {
    const custodian = new Custodian(options);
    const { socketPath, log } = options;
    const handle = (request: Request, asker: Asker) => custodian.#handle(request, asker);
    custodian.#socket = await KeeperSocket.listen(socketPath, handle, log);
    return custodian;
  }

  /** What it holds is lost with it: no dead mounts stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.#socket?.[Symbol.asyncDispose]();
    const kept = await this.#kept?.catch(() => undefined);
    if (kept !== undefined && this.#given !== undefined) detach(this.#given, this.#options.log);
    await kept?.[Symbol.asyncDispose]();
  }

  async #handle(request: Request, _asker: Asker): Promise<unknown> {
    if (request.op !== 'custody') {
      throw new Fault('UNSUPPORTED', `${request.op}: this is a custodian, not a mounter`);
    }
    if (this.#isEnding) throw new Fault('UNAVAILABLE', 'custody: this process is to end, too');
    if (this.#kept !== undefined) throw new Fault('BUSY', 'custody: mounts are held here already');
    const { mounterSocket: socketPath, log } = this.#options;
    const { mountRoot, pools } = request;
    try {
      this.#kept = Keeper.hold({ socketPath, mountRoot, pools, log });
      this.#given = { mountRoot, pools };
      const kept = await this.#kept;
      log.info({ pools }, 'holding the mounts of a mounter that ends');
      void kept.handedOver.then(async () => {
        await kept[Symbol.asyncDispose]();
        this.#kept = undefined;
      });
    } catch (error) {
      this.#kept = undefined;
      throw error;
    }
    return {};
  }
}

/** A mounter that ends gives its mounts to the custodian, if there is one. Never throws. */
export async function giveToCustodian(
  socketPath: string,
  given: Mounts,
  log: Logger,
): Promise<void> {
  try {
    using connection = await KeeperConnection.open(socketPath);
    if (connection === undefined) throw new Fault('UNAVAILABLE', 'nobody listens');
    const answer = await connection.ask({ op: 'custody', ...given }, CUSTODY_PATIENCE_MS);
    if (answer === 'ended') throw new Fault('UNAVAILABLE', 'it has ended');
  } catch (error) {
    log.warn(`custodian at ${socketPath}: ${messageOf(error)}; mounts may end with this process`);
  }
}

/** Takes mount points away whose connection is about to end. */
export function detach({ mountRoot, pools }: Mounts, log: Logger): void {
  for (const mountPoint of pools.map((pool) => join(mountRoot, pool))) {
    try {
      if (!mountsAt(mountPoint).some(({ fsType }) => fsType === FS_TYPE)) continue;
      log.warn({ mountPoint }, 'detaching a mount that nobody serves any more');
      unmount(mountPoint, { detach: true });
    } catch (error) {
      log.error({ mountPoint }, `not detached: ${messageOf(error)}`);
    }
  }
}
