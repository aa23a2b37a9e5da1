import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { invalidateEntry } from '../../src/fuse/notify.ts';
import type {
  BootRequest,
  WorkerInput,
  WorkerReply,
  WorkerRequest,
} from '../../src/mounter/worker-messages.ts';
import { WakeEvent } from '../../src/native/fuse-device.ts';
import { countsOfKernel, countsOfTable } from './counts.ts';
import { FAMFS_KERNELS } from './generations.ts';
import { at, FILES_AT, ModelPool, simple } from './model-pool.ts';
import { type FamfsKernel, MountedPool } from './mounted-pool.ts';
import { O_RDWR, Process } from './process.ts';
import { SocketKernel, socketPair } from './socket-pair.ts';
import type { Program } from './task.ts';

const WORKER = join(__dirname, '../../dist/mounter/serve-worker.js');
type Reply<Op extends WorkerReply['op']> = Extract<WorkerReply, { op: Op }>;

/** The FUSE thread of a server as it is shipped, with this thread as its main one. */
class FuseThread implements AsyncDisposable {
  readonly replies: WorkerReply[] = [];
  readonly #worker: Worker;
  readonly #wake = WakeEvent.create();
  readonly #ended: Promise<number>;
  readonly #fd: number;
  #arrived: () => void = () => {};

  constructor(mounted: MountedPool, fd: number) {
    this.#fd = fd;
    const { assignment } = mounted;
    const workerData: WorkerInput = { assignment, fuseFd: fd, wakeFd: this.#wake.fd };
    this.#worker = new Worker(WORKER, { workerData, stderr: true });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.on('message', (reply: WorkerReply) => {
      // As the main thread of a server: on the descriptor, by a thread that answers nothing.
      if (reply.op === 'removed') {
        mounted.kernel.write(invalidateEntry(reply.parent, reply.name), 'other');
      }
      this.replies.push(reply);
      this.#arrived();
    });
  }

  tell(request: WorkerRequest): void {
    this.#worker.postMessage(request);
    this.#wake.signal();
  }

  /** The next reply of this kind that has come or will come. */
  async next<Op extends WorkerReply['op']>(op: Op): Promise<Reply<Op>> {
    for (;;) {
      const found = this.replies.findIndex((reply) => reply.op === op);
      if (found >= 0) return this.replies.splice(found, 1)[0] as Reply<Op>;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  stop(): Promise<number> {
    this.tell({ op: 'stop' });
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
    this.#wake[Symbol.dispose]();
    closeSync(this.#fd);
  }
}

function* useFile(process: Process, path: string): Program<Uint8Array> {
  const file = yield* process.open(path, O_RDWR);
  const mapping = process.mmap(file);
  yield* process.store(mapping, 3 * MiB, Uint8Array.of(1, 2, 3));
  const found = yield* process.load(mapping, 3 * MiB, 3);
  yield* process.msync(mapping);
  mapping.unmap();
  yield* process.close(file);
  return found;
}

/** The pool, its kernel at one end of a socket pair, the FUSE thread at the other. */
async function threaded(
  name: FamfsKernel,
  run: (
    all: { mounted: MountedPool; socket: SocketKernel; thread: FuseThread },
    pool: ModelPool,
    dataIndex: number,
  ) => Promise<void>,
): Promise<void> {
  const pool = new ModelPool();
  pool.directory('vol');
  const dataIndex = pool.file('vol/data', simple(at(FILES_AT, 4 * MiB)));
  const strips = [0, 1].map((strip) => at(FILES_AT + 32 * MiB + strip * 400 * MiB, 400 * MiB));
  // 400 chunks: on push, a map in two steps, which still is one packet.
  pool.file('vol/long', { type: 'interleaved', chunkBytes: 2 * MiB, strips });
  using mounted = new MountedPool(pool, name);
  const [kernelEnd, serverEnd] = await socketPair();
  using socket = new SocketKernel(mounted.kernel, kernelEnd);
  await using thread = new FuseThread(mounted, serverEnd);
  const tell = async (request: BootRequest) => {
    thread.tell(request);
    await thread.next('booted');
  };
  const early = mounted.kernel.start(
    new Process(mounted.kernel, { root: 'pod' }).stat('/vol/data'),
  );
  await socket.until('boot', mounted.bootWith(tell));
  expect((await socket.until('early', early.finished)).sizeBytes).toBe(4 * MiB);
  await run({ mounted, socket, thread }, pool, dataIndex);
  expect(mounted.kernel.rules.breaches).toEqual([]);
}

describe.each(FAMFS_KERNELS)('the FUSE thread over a socket pair, %s kernel', (name) => {
  test('boots, serves many pods at once, and leaves exact counts', async () => {
    await threaded(name, async ({ mounted, socket, thread }) => {
      const { kernel } = mounted;
      const { state } = await socket.until('ready', thread.next('ready'));
      expect(state).toMatchObject({ generation: name, logPosition: 3 });
      const pods = Array.from({ length: 8 }, () => new Process(kernel, { root: 'pod' }));
      const used = pods.map((pod, at) => {
        const path = at % 2 === 0 ? '/vol/data' : '/vol/long';
        return kernel.start(useFile(pod, path)).finished;
      });
      expect(await socket.until('pods', Promise.all(used))).toEqual(
        pods.map(() => Uint8Array.of(1, 2, 3)),
      );
      kernel.inodes.shrink();
      const listed = kernel.start((pods[0] as Process).readdir('/vol')).finished;
      expect(await socket.until('readdir', listed)).toEqual(['.', '..', 'data', 'long']);
      await expectExactCounts(mounted, socket, thread);
    });
  });

  test('tells of a name that went before it says that it has followed the log', async () => {
    await threaded(name, async ({ mounted, socket, thread }, pool, dataIndex) => {
      const { kernel } = mounted;
      await socket.until('ready', thread.next('ready'));
      const pod = new Process(kernel, { root: 'pod' });
      const { ino } = await socket.until('stat', kernel.start(pod.stat('/vol/data')).finished);
      pool.remove('vol/data', dataIndex);
      mounted.write(pool);
      thread.tell({ op: 'follow', id: 7, servable: 'vol' });
      const { state } = await socket.until('follow', thread.next('followed'));
      expect(state).toMatchObject({ logPosition: 4, refusals: [] });
      expect(thread.replies).toEqual([
        { op: 'removed', parent: kernel.inodes.root.children.get('vol')?.inode.ino, name: 'data' },
      ]);
      expect(kernel.inodes.byIno(ino)).toBeUndefined();
      const gone = kernel.start(pod.stat('/vol/data')).finished.catch((error) => error.code);
      expect(await socket.until('stat', gone)).toBe('ENOENT');
      await expectExactCounts(mounted, socket, thread);
    });
  });
});

/** Ends the thread when it has read all, FORGETs too, and compares. */
async function expectExactCounts(
  { kernel, assignment }: MountedPool,
  socket: SocketKernel,
  thread: FuseThread,
): Promise<void> {
  await socket.sendAll();
  await socket.until('statfs', kernel.start(new Process(kernel).statfs()).finished);
  expect(await socket.until('stop', thread.stop())).toBe(0);
  expect(socket.refused).toBe(0);
  expect(countsOfTable(assignment.referencesPath)).toEqual(countsOfKernel(kernel));
}
