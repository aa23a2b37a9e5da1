import { afterEach, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import type { FamfsFileSystem } from '../../src/fs/famfs-file-system.ts';
import { FOPEN, OPCODE } from '../../src/fuse/abi-constants.ts';
import { ENOENT } from '../../src/fuse/errno.ts';
import { invalidateEntry } from '../../src/fuse/notify.ts';
import { caught } from '../support/caught.ts';
import { Host } from './devices.ts';
import { FAMFS_KERNELS } from './generations.ts';
import { Kernel, type KernelOptions } from './kernel.ts';
import { at, FILES_AT, ModelPool, simple } from './model-pool.ts';
import { O_RDONLY, O_RDWR, Process } from './process.ts';
import { type Served, serve } from './served.ts';

const O_TRUNC = 0o1000;
const SIZE = 12 * MiB;
const NOTHING = { volumes: [], volumeCount: 0, deleted: [], deletedCount: 0 };

interface World {
  readonly pool: ModelPool;
  readonly kernel: Kernel;
  readonly fs: FamfsFileSystem;
  readonly served: Served;
  readonly pod: Process;
  /** Names that the server wants dropped, as its other thread writes them. */
  readonly dropNames: () => boolean[];
  readonly indices: Readonly<Record<string, number>>;
}

const worlds: World[] = [];
afterEach(() => {
  for (const { fs, kernel } of worlds.splice(0)) {
    fs[Symbol.dispose]();
    expect(kernel.rules.breaches).toEqual([]);
  }
});

/** A pool with `vol/data` (two extents) and `vol/striped`, served to one kernel. */
function world(name: KernelOptions['name'], options: Partial<KernelOptions> = {}): World {
  const pool = new ModelPool();
  const strips = [at(FILES_AT + 32 * MiB, 6 * MiB), at(FILES_AT + 64 * MiB, 6 * MiB)];
  const indices = {
    vol: pool.directory('vol'),
    data: pool.file('vol/data', simple(at(FILES_AT, 8 * MiB), at(FILES_AT + 16 * MiB, 4 * MiB))),
    striped: pool.file('vol/striped', { type: 'interleaved', chunkBytes: 2 * MiB, strips }),
  };
  const host = options.host ?? new Host();
  if (host.at('/dev/dax0.0') === undefined) host.add('/dev/dax0.0');
  const kernel = new Kernel({ name, ...options, host });
  const removed: [number, string][] = [];
  const fs = pool.fileSystem({
    ...(name.startsWith('stock') ? {} : { generation: name as 'pull' }),
    onRemoved: (parent, child) => removed.push([parent, child]),
  });
  const served = serve(kernel, fs);
  // As the mounter: before any pod, so that a pull kernel finds the device.
  const mounter = new Process(kernel);
  served.do(mounter.close(served.do(mounter.open('/.meta/.superblock', O_RDWR))));
  const pod = new Process(kernel, { root: 'pod' });
  const dropNames = () =>
    removed.splice(0).map(([parent, child]) => {
      const isThere = kernel.write(invalidateEntry(parent, child), 'other');
      served.settle();
      return isThere;
    });
  const made = { pool, kernel, fs, served, pod, dropNames, indices };
  worlds.push(made);
  return made;
}

describe.each(FAMFS_KERNELS)('a pod on a %s kernel', (name) => {
  test.each(['data', 'striped'])('maps %s, and no message is sent until it unmaps', (file) => {
    const { kernel, served, pod } = world(name);
    const opened = served.do(pod.open(`/vol/${file}`, O_RDWR));
    const before = kernel.sent.length;
    const mapping = pod.mmap(opened);
    for (let offset = 0; offset < SIZE; offset += 2 * MiB) {
      served.do(pod.store(mapping, offset + 5, Uint8Array.of(1 + offset / MiB)));
    }
    for (let offset = 0; offset < SIZE; offset += 2 * MiB) {
      const found = served.do(pod.load(mapping, offset + 5));
      expect(found).toEqual(Uint8Array.of(1 + offset / MiB));
    }
    expect(served.do(pod.pwrite(opened, SIZE - 1, Uint8Array.of(9, 9)))).toBe(1);
    expect(served.do(pod.pread(opened, SIZE - 1, 10))).toEqual(Uint8Array.of(9));
    served.do(pod.stat(`/vol/${file}`));
    expect(kernel.sent.slice(before)).toEqual([]);
    served.do(pod.msync(mapping));
    mapping.unmap();
    served.do(pod.close(opened));
    expect(kernel.sent.slice(before).map(({ opcode }) => opcode)).toEqual([20, 25, 18]);
  });

  test('asks no kernel to drop what is mapped when a file is opened again', () => {
    const { kernel, served, pod } = world(name);
    const mounter = new Process(kernel);
    const { KEEP_CACHE, NOFLUSH } = FOPEN;
    expect(served.do(pod.open('/vol/data', O_RDWR)).openFlags).toBe(KEEP_CACHE);
    // Its server has this one open, too, and must never wait for its own answer to FLUSH.
    const log = served.do(mounter.open('/.meta/.log', O_RDWR));
    expect(log.openFlags).toBe(KEEP_CACHE | NOFLUSH);
    const before = kernel.sent.length;
    served.do(mounter.close(log));
    expect(kernel.sent.slice(before).map(({ opcode }) => opcode)).toEqual([OPCODE.RELEASE]);
  });

  test('keeps the size of a file against ftruncate and O_TRUNC, and the file works on', () => {
    const { served, pod } = world(name);
    const file = served.do(pod.open('/vol/data', O_RDWR));
    const mapping = pod.mmap(file);
    for (const bytes of [0, 4096, SIZE - 1, SIZE + 1, 2 * SIZE]) {
      expect(caught(() => served.do(pod.ftruncate(file, bytes))).code).toBe('EPERM');
    }
    expect(caught(() => served.do(pod.open('/vol/data', O_RDWR | O_TRUNC))).code).toBe('EPERM');
    served.do(pod.touch('/vol/data'));
    served.do(pod.ftruncate(file, SIZE));
    served.do(pod.store(mapping, SIZE - 1, Uint8Array.of(1)));
    expect(served.do(pod.stat('/vol/data')).sizeBytes).toBe(SIZE);
  });

  test('uses a file that is deleted for as long as it has it, and nobody finds it', () => {
    const { kernel, served, pod, pool, fs, dropNames, indices } = world(name);
    const file = served.do(pod.open('/vol/data', O_RDWR));
    const mapping = pod.mmap(file);
    served.do(pod.close(file));
    pool.remove('vol/data', indices.data as number);
    fs.follow();
    expect(dropNames()).toEqual([true]);
    expect(caught(() => served.do(pod.stat('/vol/data'))).code).toBe('ENOENT');
    served.do(pod.store(mapping, 0, Uint8Array.of(1)));
    const { ino } = file.inode;
    expect(fs.references.of(ino)).toEqual({ lookups: 1, opens: 1 });
    const extents = [at(FILES_AT, 8 * MiB), at(FILES_AT + 16 * MiB, 4 * MiB)];
    expect(fs.referenceReport('vol')).toEqual({
      volumes: [{ volume: 'vol', cachedInodes: 1, openFiles: 0 }],
      volumeCount: 1,
      deleted: [{ volume: 'vol', ino, extents, lookups: 1, openFiles: 1 }],
      deletedCount: 1,
    });
    expect(fs.referenceReport('other')).toMatchObject({ volumeCount: 0, deletedCount: 0 });
    mapping.unmap();
    served.settle();
    expect(fs.referenceReport('vol')).toMatchObject({ deleted: [], deletedCount: 0 });
    expect(fs.references.of(ino)).toEqual({ lookups: 0, opens: 0 });
    expect(kernel.inodes.byIno(ino)).toBeUndefined();
  });

  test('loses a name that nobody uses at once, and the kernel forgets the inode', () => {
    const { kernel, served, pod, pool, fs, dropNames, indices } = world(name);
    const { ino } = served.do(pod.stat('/vol/striped'));
    served.do(pod.stat('/vol/data'));
    pool.remove('vol/striped', indices.striped as number);
    fs.follow();
    // No time has passed: the name would be valid for another second.
    expect(served.do(pod.stat('/vol/striped')).ino).toBe(ino);
    expect(dropNames()).toEqual([true]);
    expect(caught(() => served.do(pod.stat('/vol/striped'))).code).toBe('ENOENT');
    expect(kernel.inodes.byIno(ino)).toBeUndefined();
    expect(fs.references.of(ino)).toEqual({ lookups: 0, opens: 0 });
    // Nor has the server it any more: it keeps what is referred to, and no longer.
    expect(fs.getattr(ino)).toBe(ENOENT);
  });

  test('loses a whole volume with its directory', () => {
    const { kernel, served, pod, pool, fs, dropNames, indices } = world(name);
    served.do(pod.readdir('/vol'));
    const before = kernel.sent.length;
    for (const child of ['data', 'striped']) pool.remove(`vol/${child}`, indices[child] as number);
    pool.remove('vol', indices.vol as number);
    fs.follow();
    expect(dropNames()).toEqual([true, true, true]);
    expect(fs.referenceReport()).toEqual(NOTHING);
    const forgets = kernel.sent.slice(before).filter(({ opcode }) => opcode === 2);
    expect(forgets).toHaveLength(3);
  });

  test('keeps its maps when the server is gone, and can open nothing', () => {
    const { kernel, served, pod } = world(name);
    const file = served.do(pod.open('/vol/data', O_RDWR));
    const mapping = pod.mmap(file);
    const waits = kernel.start(pod.open('/vol/striped'));
    kernel.closeDescriptors();
    expect(waits.error).toMatchObject({ code: 'ECONNABORTED' });
    kernel.start(pod.store(mapping, 0, Uint8Array.of(5))).result();
    const again = pod.mmap(file);
    expect(kernel.start(pod.load(again, 0)).result()).toEqual(Uint8Array.of(5));
    expect(kernel.start(pod.open('/vol/data')).error).toMatchObject({ code: 'ENOTCONN' });
    expect(kernel.start(pod.msync(mapping)).error).toMatchObject({ code: 'ENOTCONN' });
  });

  test('gets SIGBUS and EIO where the memory has failed', () => {
    const { kernel, served, pod } = world(name);
    const file = served.do(pod.open('/vol/data', O_RDWR));
    const device = kernel.host.at('/dev/dax0.0');
    if (device) device.isPoisoned = true;
    expect(kernel.start(pod.load(pod.mmap(file), 0)).error).toMatchObject({ code: 'SIGBUS' });
    expect(kernel.start(pod.pread(file, 0, 1)).error).toMatchObject({ code: 'EIO' });
    expect(served.do(pod.stat('/vol/data')).sizeBytes).toBe(SIZE);
  });

  test('finds the files of an earlier mount only when all of that is gone', () => {
    const first = world(name);
    const { host } = first.kernel;
    const file = first.served.do(first.pod.open('/vol/data', O_RDWR));
    const mapping = first.pod.mmap(file);
    first.served.do(first.pod.close(file));
    first.kernel.unmount({ detach: true });
    const tolerate = ['one-mount', 'one-mount-push'] as const;
    if (name === 'pull') {
      const second = world(name, { host, tolerate });
      const other = second.served.do(second.pod.open('/vol/data', O_RDWR));
      const load = second.kernel.start(second.pod.load(second.pod.mmap(other), 0));
      expect(load.error).toMatchObject({ code: 'SIGBUS' });
    } else {
      expect(caught(() => world(name, { host, tolerate })).code).toBe('EBUSY');
    }
    mapping.unmap();
    expect(first.served.settle()).toBe('gone');
    const third = world(name, { host });
    const found = third.served.do(third.pod.open('/vol/data', O_RDWR));
    third.served.do(third.pod.store(third.pod.mmap(found), 0, Uint8Array.of(1)));
  });

  test('may not create, remove or write to what is read-only', () => {
    const { served, pod, kernel } = world(name);
    expect(caught(() => served.do(pod.create('/vol/new'))).code).toBe('EPERM');
    expect(caught(() => served.do(pod.unlink('/vol/data'))).code).toBe('EPERM');
    const file = served.do(pod.open('/vol/data', O_RDONLY));
    expect(kernel.start(pod.store(pod.mmap(file), 0, Uint8Array.of(1))).error).toMatchObject({
      code: 'SIGSEGV',
    });
  });
});

describe('a name that went', () => {
  test('is dropped when whoever holds its directory has been answered', () => {
    const { kernel, served, pod, pool, fs, indices } = world('push2');
    served.do(pod.stat('/vol/data'));
    pool.remove('vol/data', indices.data as number);
    fs.follow();
    const listing = kernel.start(pod.readdir('/vol'));
    const vol = kernel.inodes.byIno(served.do(pod.stat('/vol')).ino);
    // The request is under way: the writer of the notification waits for the directory.
    const looking = kernel.start(pod.stat('/vol/none'));
    expect(kernel.write(invalidateEntry(vol?.ino ?? 0, 'data'), 'other')).toBe(true);
    expect(vol?.children.has('data')).toBe(true);
    served.settle();
    expect([listing.isDone, looking.isDone]).toEqual([true, true]);
    expect(vol?.children.has('data')).toBe(false);
  });

  test('is one that the kernel may not have: ENOENT is no error', () => {
    const { kernel, served, pod } = world('push2');
    const { ino } = served.do(pod.stat('/vol'));
    expect(kernel.write(invalidateEntry(ino, 'data'), 'other')).toBe(false);
    expect(kernel.write(invalidateEntry(4711, 'data'), 'other')).toBe(false);
  });

  test('is not told for what the kernel never had', () => {
    const { pool, fs, dropNames, indices } = world('push2');
    pool.remove('vol/data', indices.data as number);
    fs.follow();
    expect(dropNames()).toEqual([]);
  });

  test('is told by a successor, if the name is not taken again', () => {
    const { kernel, served, pod, pool, fs, indices } = world('push2');
    for (const file of ['data', 'striped']) served.do(pod.open(`/vol/${file}`));
    pool.remove('vol/data', indices.data as number);
    pool.remove('vol/striped', indices.striped as number);
    pool.file('vol/striped', simple(at(FILES_AT + 128 * MiB, 2 * MiB)));
    const told: string[] = [];
    const { references } = fs;
    using successor = pool.fileSystem({
      generation: 'push2',
      references,
      onRemoved: (_, child) => told.push(child),
    });
    expect(told).toEqual(['data']);
    const { deleted } = successor.referenceReport('vol');
    expect(deleted.map(({ openFiles }) => openFiles)).toEqual([1, 1]);
    expect(kernel.hasWork).toBe(false);
  });
});
