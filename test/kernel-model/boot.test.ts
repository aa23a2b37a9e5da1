import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { FOPEN, OPCODE } from '../../src/fuse/abi-constants.ts';
import { rejection } from '../support/caught.ts';
import { countsOfKernel, countsOfTable } from './counts.ts';
import { FAMFS_KERNELS } from './generations.ts';
import { viewOf } from './messages.ts';
import { at, FILES_AT, ModelPool, simple } from './model-pool.ts';
import { MountedPool } from './mounted-pool.ts';
import { O_RDWR, Process } from './process.ts';
import type { Program } from './task.ts';

function somePool(): ModelPool {
  const pool = new ModelPool();
  pool.directory('vol');
  pool.file('vol/data', simple(at(FILES_AT, 4 * MiB), at(FILES_AT + 8 * MiB, 4 * MiB)));
  const strips = [at(FILES_AT + 32 * MiB, 4 * MiB), at(FILES_AT + 40 * MiB, 4 * MiB)];
  pool.file('vol/striped', { type: 'interleaved', chunkBytes: 2 * MiB, strips });
  return pool;
}

/** What a server that has booted must be good for. */
function* useFiles(process: Process): Program<number> {
  for (const name of ['data', 'striped']) {
    const file = yield* process.open(`/vol/${name}`, O_RDWR);
    const mapping = process.mmap(file);
    yield* process.store(mapping, 5 * MiB, Uint8Array.of(1));
    expect(yield* process.load(mapping, 5 * MiB)).toEqual(Uint8Array.of(1));
    mapping.unmap();
    yield* process.close(file);
  }
  return (yield* process.readdir('/vol')).length;
}

/** What is mapped stays when a file is opened again; and no server waits for itself to close. */
const OWN = FOPEN.KEEP_CACHE | FOPEN.NOFLUSH;

describe.each(FAMFS_KERNELS)('a mount on dax, %s kernel', (name) => {
  test('boots through its own mount and then serves pods', async () => {
    using mounted = new MountedPool(somePool(), name);
    const { kernel } = mounted;
    mounted.startServer();
    expect(mounted.server.isReady).toBe(false);
    await mounted.boot();
    // What is mapped already must stay: a successor's boot opens the same files.
    expect(mounted.openFlags).toEqual([OWN, OWN]);
    expect(mounted.server.state()).toMatchObject({ generation: name, logPosition: 3 });
    expect(mounted.served.do(useFiles(new Process(kernel, { root: 'pod' })))).toBe(4);
    const asked = kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_DAXDEV);
    expect(asked).toHaveLength(name === 'pull' ? 1 : 0);
    // One refused map tells push from push2; nothing else is ever refused.
    const { breaches, overlooked } = kernel.rules;
    expect([breaches, overlooked]).toEqual([[], name === 'push' ? ['simple-only'] : []]);
  });

  test('has what comes before the log is read wait, and answers it in its order', async () => {
    using mounted = new MountedPool(somePool(), name);
    const { kernel } = mounted;
    const early: bigint[] = [];
    kernel.onRead = (message) => early.push(viewOf(message).getBigUint64(8, true));
    mounted.startServer();
    const [one, two, three] = [1, 2, 3].map(() => new Process(kernel, { root: 'pod' })) as [
      Process,
      Process,
      Process,
    ];
    const tasks = [
      kernel.start(one.stat('/vol/data')),
      kernel.start(two.readdir('/')),
      kernel.start(three.open('/vol/striped')),
      kernel.start(one.statfs()),
      kernel.start(two.stat('/nothing')),
    ];
    mounted.served.settle();
    expect(tasks.map(({ isDone }) => isDone)).toEqual([false, false, false, false, false]);
    const waiting = [...early];
    expect(waiting).toHaveLength(5);
    await mounted.boot();
    expect(mounted.late).toEqual(waiting);
    expect(tasks.map(({ isDone }) => isDone)).toEqual([true, true, true, true, true]);
    expect(tasks.map(({ error }) => error)).toMatchObject([
      ...[undefined, undefined, undefined, undefined],
      { code: 'ENOENT' },
    ]);
    expect(tasks[1]?.result()).toEqual(['.', '..', 'vol']);
  });

  test('answers at once what locks the root, so that .meta can be looked up', async () => {
    using mounted = new MountedPool(somePool(), name);
    const { kernel } = mounted;
    mounted.startServer();
    const host = new Process(kernel);
    // Both hold the root's lock for themselves until they are answered.
    const made = kernel.start(host.unlink('/vol'));
    const touched = kernel.start(host.touch('/'));
    await mounted.boot();
    expect([made.error, touched.error]).toMatchObject([{ code: 'EPERM' }, undefined]);
    expect(mounted.server.isReady).toBe(true);
  });

  test('goes on to the next where nobody waits for an answer any more', async () => {
    using mounted = new MountedPool(somePool(), name);
    const { kernel } = mounted;
    mounted.startServer();
    const early: bigint[] = [];
    kernel.onRead = (message) => early.push(viewOf(message).getBigUint64(8, true));
    const pod = new Process(kernel, { root: 'pod' });
    const tasks = [kernel.start(pod.stat('/vol')), kernel.start(pod.statfs())];
    mounted.served.settle();
    kernel.queue.drop(early[0] as bigint);
    await mounted.boot();
    expect(tasks.map(({ error }) => error)).toMatchObject([{ code: 'EINTR' }, undefined]);
    // Nobody got the directory that was looked up: it is not counted.
    expect(countsOfTable(mounted.assignment.referencesPath)).toEqual(countsOfKernel(kernel));
  });

  test('counts from the first message on, .meta and its files too', async () => {
    using mounted = new MountedPool(somePool(), name);
    const { kernel } = mounted;
    mounted.startServer(name === 'push' ? { generation: 'push' } : {});
    const controller = new Process(kernel);
    mounted.served.do(controller.open('/.meta/.superblock'));
    await mounted.boot();
    const log = mounted.served.do(controller.open('/.meta/.log', O_RDWR));
    const counts = countsOfKernel(kernel);
    expect(countsOfTable(mounted.assignment.referencesPath)).toEqual(counts);
    expect(counts[log.inode.ino]).toEqual({ lookups: 1, opens: 1 });
    expect(Object.keys(counts)).toHaveLength(3);
  });

  test('has a successor boot under files that pods have open', async () => {
    using mounted = new MountedPool(somePool(), name);
    const { kernel } = mounted;
    mounted.startServer();
    await mounted.boot();
    const pod = new Process(kernel, { root: 'pod' });
    const file = mounted.served.do(pod.open('/vol/data', O_RDWR));
    const mapping = pod.mmap(file);
    mounted.server[Symbol.dispose]();
    const before = kernel.sent.length;
    mounted.startServer({ generation: name });
    const waits = kernel.start(pod.open('/vol/striped', O_RDWR));
    await mounted.boot({ generation: name });
    expect(waits.error).toBeUndefined();
    mounted.served.do(pod.store(mapping, 0, Uint8Array.of(7)));
    const maps = kernel.sent.slice(before).filter(({ opcode }) => opcode === OPCODE.GET_FMAP);
    // Of `striped` alone: the superblock and the log are cached inodes, which have theirs.
    expect(maps).toHaveLength(1);
    expect(kernel.rules.breaches).toEqual([]);
  });
});

describe('a device that the kernel cannot acquire', () => {
  test('fails whoever touches the memory, and is not asked for again', async () => {
    using mounted = new MountedPool(somePool(), 'pull');
    const { kernel } = mounted;
    const device = kernel.host.at('/dev/dax0.0');
    if (device) device.driver = 'device_dax';
    mounted.startServer();
    // The files that stand for the mount's can be read; through the kernel the boot would end here.
    await mounted.boot();
    const pod = new Process(kernel);
    const file = mounted.served.do(pod.open('/vol/data'));
    const read = kernel.start(pod.pread(file, 0, 1)).finished;
    expect((await rejection(read)).code).toBe('EIO');
    const load = kernel.start(pod.load(pod.mmap(file), 0)).finished;
    expect((await rejection(load)).code).toBe('SIGBUS');
    const asked = kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_DAXDEV);
    expect(asked).toHaveLength(1);
  });
});
