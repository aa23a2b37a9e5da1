import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { MiB } from '../../src/base/numbers.ts';
import { LOG_OFFSET } from '../../src/format/log-header.ts';
import type { Generation } from '../../src/fs/data-path.ts';
import type { Negotiated } from '../../src/fuse/init.ts';
import { bootThroughMount } from '../../src/mounter/boot.ts';
import type { AssignedDevice } from '../../src/mounter/pool-devices.ts';
import { PoolServer } from '../../src/mounter/pool-server.ts';
import type { ServerAssignment } from '../../src/mounter/server-messages.ts';
import type { BootRequest } from '../../src/mounter/worker-messages.ts';
import { META_DIRECTORY, META_LOG, META_SUPERBLOCK } from '../../src/pool/meta-memory.ts';
import { Host } from './devices.ts';
import type { FAMFS_KERNELS } from './generations.ts';
import { Kernel } from './kernel.ts';
import { viewOf } from './messages.ts';
import type { ModelPool } from './model-pool.ts';
import { O_RDWR, Process } from './process.ts';
import { agree, Served } from './served.ts';

export type FamfsKernel = (typeof FAMFS_KERNELS)[number];

const QUIET = pino({ level: 'silent' });
const PATIENCE_MS = 20_000;
/** As `chooseDataPath` has it before the first map was given. */
export const ASSUMED: Readonly<Record<FamfsKernel, Generation>> = {
  pull: 'pull',
  push2: 'push2',
  push: 'push2',
};

/**
 * A pool on a dax path: model kernel, the real boot and the real PoolServer, on one thread. The
 * pool's superblock and log are files here, which stand for what the kernel maps.
 */
export class MountedPool implements Disposable {
  readonly folder: string;
  readonly kernel: Kernel;
  readonly negotiated: Negotiated;
  readonly assignment: ServerAssignment;
  /** Replies to what had waited for the log, by `unique`, as they were sent. */
  readonly late: bigint[] = [];
  /** FOPEN bits that answered the boot's own opens. */
  readonly openFlags: number[] = [];
  /** Names that the server wants dropped; a thread of its own would write them. */
  readonly removed: { parent: number; name: string }[] = [];
  server!: PoolServer;
  served!: Served;

  /** `devices`: what the mounter was given; the host has them all. */
  constructor(
    pool: ModelPool,
    name: FamfsKernel,
    devices: readonly AssignedDevice[] = [{ path: '/dev/dax0.0' }],
  ) {
    this.folder = mkdtempSync(join(tmpdir(), 'famfs-mounted-'));
    mkdirSync(join(this.folder, META_DIRECTORY));
    this.write(pool);
    const host = new Host();
    for (const { path } of devices) host.add(path);
    // That a push kernel refuses the first map is how the mounter tells it from push2.
    this.kernel = new Kernel({ name, host, tolerate: ['simple-only'] });
    this.negotiated = agree(this.kernel, { requestDaxFmap: true });
    this.assignment = {
      pool: 'model',
      devices,
      generation: ASSUMED[name],
      metaGid: 0,
      referencesPath: join(this.folder, 'references'),
      negotiated: this.negotiated,
    };
    if (name !== 'pull') this.kernel.devices.give(host.at('/dev/dax0.0'), 0);
  }

  /** Puts the pool's superblock and log where the mount has them; in place, as they are mapped. */
  write({ memory }: ModelPool): void {
    const bytes = memory.read(0, LOG_OFFSET + 8 * MiB);
    for (const [name, part] of [
      [META_SUPERBLOCK, bytes.subarray(0, LOG_OFFSET)],
      [META_LOG, bytes.subarray(LOG_OFFSET)],
    ] as const) {
      const path = join(this.folder, META_DIRECTORY, name);
      writeFileSync(path, part, { flag: existsSync(path) ? 'r+' : 'w' });
    }
  }

  /** A server starts on the mount: the first, or one after another. It has not booted yet. */
  startServer(assignment: Partial<ServerAssignment> = {}): void {
    const resume = this.served !== undefined;
    const device = {
      send: (head: Uint8Array) => {
        this.late.push(viewOf(head).getBigUint64(8, true));
        return this.kernel.send(head);
      },
    };
    const removed = (parent: number, name: string) => this.removed.push({ parent, name });
    this.server = new PoolServer({ ...this.assignment, ...assignment }, device, QUIET, removed);
    this.served = new Served(this.kernel, this.negotiated, () => this.server, { resume });
  }

  /** Boots the server as its main thread does, through the mount. */
  async boot(assignment: Partial<ServerAssignment> = {}): Promise<void> {
    const tell = async (request: BootRequest) => this.server.boot(request);
    await this.until(this.bootWith(tell, assignment));
    this.served.settle();
  }

  /** The part of `boot` that opens files, by the model's kernel, and tells the server. */
  bootWith(
    tell: (request: BootRequest) => Promise<void>,
    assignment: Partial<ServerAssignment> = {},
  ): Promise<void> {
    const mounter = new Process(this.kernel);
    const openFile = async (path: string) => {
      const file = await this.kernel.start(mounter.open(path.slice(this.folder.length), O_RDWR))
        .finished;
      this.openFlags.push(file.openFlags);
      const handle = await open(path, 'r+');
      const close = handle.close.bind(handle);
      handle.close = () => {
        this.kernel.start(mounter.close(file));
        return close();
      };
      return handle;
    };
    const facts = { ...this.assignment, ...assignment };
    const register = (path: string, devindex: number) => {
      this.kernel.devices.give(this.kernel.host.at(path), devindex);
    };
    return bootThroughMount(this.folder, facts, { tell, register, log: QUIET, openFile });
  }

  /** Serves until the promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const noted = promise.finally(() => {
      isSettled = true;
    });
    noted.catch(() => {});
    for (const deadline = Date.now() + PATIENCE_MS; !isSettled; await nextTurn()) {
      this.served.settle();
      if (Date.now() > deadline) throw new Error(`nothing came of it in ${PATIENCE_MS} ms`);
    }
    return noted;
  }

  [Symbol.dispose](): void {
    this.server?.[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
