import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  FLAG_SECONDARY,
  SUPERBLOCK_BYTES,
} from '../../src/format/superblock.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import type { AssignedDevice } from '../../src/mounter/pool-devices.ts';
import { META_DIRECTORY, metaSuperblock } from '../../src/pool/meta-memory.ts';
import { daxdev, deviceUuid } from '../format/entries.ts';
import { at, FILES_AT, ModelPool, simple } from './model-pool.ts';
import { type FamfsKernel, MountedPool } from './mounted-pool.ts';
import { O_RDWR, Process } from './process.ts';
import type { Program } from './task.ts';

const [ZERO, ONE] = ['/dev/dax0.0', '/dev/dax1.0'] as const;
const BOTH = [{ path: ZERO }, { path: ONE }];
const NOT_HERE = "is on device 1 of the pool, which this node's mounter does not have";

/** `vol/here` on the primary, `vol/there` on device 1, `vol/both` interleaved over the two. */
function poolOnTwo(): ModelPool {
  const pool = new ModelPool();
  pool.directory('vol');
  pool.append(daxdev(1, GiB));
  pool.file('vol/here', simple(at(FILES_AT, 4 * MiB)));
  pool.file('vol/there', simple(at(2 * MiB, 4 * MiB, 1)));
  const strips = [at(FILES_AT + 32 * MiB, 4 * MiB), at(32 * MiB, 4 * MiB, 1)];
  pool.file('vol/both', { type: 'interleaved', chunkBytes: 2 * MiB, strips });
  return pool;
}

/** What the kernel maps as the superblock of device 1: of this pool, with that uuid. */
function writeSecond(mounted: MountedPool, pool: ModelPool, change = {}): void {
  const primary = decodeSuperblock(pool.memory.read(0, SUPERBLOCK_BYTES));
  const own = { flags: FLAG_SECONDARY, deviceUuid: deviceUuid(1), deviceSizeBytes: GiB };
  const bytes = new Uint8Array(2 * MiB);
  bytes.set(encodeSuperblock({ ...primary, ...own, ...change }));
  writeFileSync(join(mounted.folder, META_DIRECTORY, metaSuperblock(1)), bytes);
}

async function booted(
  name: FamfsKernel,
  devices: readonly AssignedDevice[] = BOTH,
): Promise<MountedPool> {
  const pool = poolOnTwo();
  const mounted = new MountedPool(pool, name, devices);
  writeSecond(mounted, pool);
  mounted.startServer();
  await mounted.boot();
  return mounted;
}

/** Stores one byte at a place of a file and says where that went. */
function* storeIn(pod: Process, path: string, offset: number, value: number): Program<void> {
  const file = yield* pod.open(path, O_RDWR);
  const mapping = pod.mmap(file);
  yield* pod.store(mapping, offset, Uint8Array.of(value));
  mapping.unmap();
  yield* pod.close(file);
}

describe('a pool over two devices on dax, push2 kernel', () => {
  test('gives the kernel both before a pod can see the mount, and maps files on each', async () => {
    using mounted = await booted('push2');
    const { kernel, served } = mounted;
    expect([kernel.devices.at(0)?.path, kernel.devices.at(1)?.path]).toEqual([ZERO, ONE]);
    expect(mounted.server.state({ servable: 'vol' })).toMatchObject({
      deviceProblems: [],
      refusals: [],
    });
    const pod = new Process(kernel, { root: 'pod' });
    served.do(storeIn(pod, '/vol/here', 1, 11));
    served.do(storeIn(pod, '/vol/there', 1, 12));
    // Chunks 0 and 2 are on the primary, 1 on the other.
    served.do(storeIn(pod, '/vol/both', 2 * MiB + 1, 13));
    served.do(storeIn(pod, '/vol/both', 4 * MiB + 1, 14));
    const stored = [...kernel.host.memory].sort(([, one], [, other]) => one - other);
    expect(stored).toEqual([
      [`${ZERO}:${FILES_AT + 1}`, 11],
      [`${ONE}:${2 * MiB + 1}`, 12],
      [`${ONE}:${32 * MiB + 1}`, 13],
      [`${ZERO}:${FILES_AT + 34 * MiB + 1}`, 14],
    ]);
    expect(kernel.rules.breaches).toEqual([]);
  });

  test('shows root the superblock of each, and a pod none', async () => {
    using mounted = await booted('push2');
    const { served, kernel } = mounted;
    const root = new Process(kernel);
    expect(served.do(root.stat('/.meta/.superblock.1')).sizeBytes).toBe(2 * MiB);
    expect(served.do(root.readdir('/')).filter((name) => name.includes('meta'))).toEqual([]);
    const third = kernel.start(root.stat('/.meta/.superblock.2'));
    served.settle();
    expect(third.error).toMatchObject({ code: 'ENOENT' });
  });

  test('has a successor take both again, while a pod has them mapped', async () => {
    using mounted = await booted('push2');
    const { kernel, served } = mounted;
    const pod = new Process(kernel, { root: 'pod' });
    const mapping = pod.mmap(served.do(pod.open('/vol/there', O_RDWR)));
    mounted.server[Symbol.dispose]();
    mounted.startServer();
    await mounted.boot();
    mounted.served.do(pod.store(mapping, 0, Uint8Array.of(7)));
    expect(mounted.server.state({ servable: 'vol' })).toMatchObject({
      deviceProblems: [],
      refusals: [],
    });
    expect(kernel.rules.breaches).toEqual([]);
  });

  test('is given a device that is new in its list by the next server', async () => {
    using mounted = await booted('push2', [{ path: ZERO }]);
    const refused = mounted.server.state({ servable: 'vol' }).refusals;
    expect(refused).toEqual([
      { path: 'vol/there', reason: NOT_HERE },
      { path: 'vol/both', reason: NOT_HERE },
    ]);
    mounted.kernel.host.add(ONE);
    mounted.server[Symbol.dispose]();
    mounted.startServer({ devices: BOTH });
    await mounted.boot({ devices: BOTH });
    expect(mounted.server.state({ servable: 'vol' }).refusals).toEqual([]);
    const pod = new Process(mounted.kernel, { root: 'pod' });
    mounted.served.do(storeIn(pod, '/vol/there', 0, 1));
    expect(mounted.kernel.rules.breaches).toEqual([]);
  });
});

describe('a second device that cannot be used', () => {
  /** What becomes of the pool: its state, for files below `vol`. */
  async function stateWith(spoil: (mounted: MountedPool, pool: ModelPool) => void) {
    const pool = poolOnTwo();
    using mounted = new MountedPool(pool, 'push2', BOTH);
    writeSecond(mounted, pool);
    spoil(mounted, pool);
    mounted.startServer();
    await mounted.boot();
    const pod = new Process(mounted.kernel, { root: 'pod' });
    mounted.served.do(storeIn(pod, '/vol/here', 0, 1));
    const opened = mounted.kernel.start(pod.open('/vol/there', O_RDWR));
    mounted.served.settle();
    expect(opened.error).toMatchObject({ code: 'EOPNOTSUPP' });
    expect(mounted.kernel.rules.breaches).toEqual([]);
    return mounted.server.state({ servable: 'vol' });
  }

  test.each<[string, (mounted: MountedPool, pool: ModelPool) => void, RegExp]>([
    [
      'is of another pool',
      (mounted, pool) => writeSecond(mounted, pool, { fsUuid: deviceUuid(9) }),
      /dax1\.0: given as device 1, is of pool .*9, not of /,
    ],
    [
      'has another uuid',
      (mounted, pool) => writeSecond(mounted, pool, { deviceUuid: deviceUuid(2) }),
      /dax1\.0: given as device 1, has uuid .*2, the log says .*1$/,
    ],
    [
      'is no famfs device',
      (mounted) => {
        writeFileSync(join(mounted.folder, META_DIRECTORY, metaSuperblock(1)), zeroes());
      },
      /device \/dev\/dax1\.0: superblock: magic is 0x0/,
    ],
    [
      'cannot be given to the kernel',
      (mounted) => {
        const device = mounted.kernel.host.at(ONE);
        if (device) device.driver = 'device_dax';
      },
      /ENODEV/,
    ],
  ])('since it %s is named, and the rest is served', async (_, spoil, message) => {
    const { deviceProblems, refusals } = await stateWith(spoil);
    expect(deviceProblems).toEqual([expect.stringMatching(message)]);
    expect(refusals).toEqual([
      { path: 'vol/there', reason: `${NOT_HERE}: ${deviceProblems[0]}` },
      { path: 'vol/both', reason: `${NOT_HERE}: ${deviceProblems[0]}` },
    ]);
  });

  const zeroes = () => new Uint8Array(2 * MiB);

  test('since the mounter could not find it is left alone, and not shown', async () => {
    const devices = [{ path: ZERO }, { path: ONE, problem: 'it is in use as system memory' }];
    using mounted = await booted('push2', devices);
    expect(mounted.server.state()).toMatchObject({ deviceProblems: [devices[1]?.problem] });
    expect(mounted.kernel.devices.at(1)).toBeUndefined();
    const root = new Process(mounted.kernel);
    const shown = mounted.kernel.start(root.stat('/.meta/.superblock.1'));
    mounted.served.settle();
    expect(shown.error).toMatchObject({ code: 'ENOENT' });
  });
});

describe('a pool over two devices on a kernel that uses one', () => {
  test.each<FamfsKernel>(['pull', 'push'])(
    '%s: is served, and what is on the other is refused at stage',
    async (name) => {
      using mounted = await booted(name);
      const { refusals } = mounted.server.state({ servable: 'vol' });
      const reason = 'is on device 1, only 1 can be used';
      expect(refusals).toEqual([
        { path: 'vol/there', reason },
        { path: 'vol/both', reason },
      ]);
      const pod = new Process(mounted.kernel, { root: 'pod' });
      mounted.served.do(storeIn(pod, '/vol/here', 0, 1));
      const asked = mounted.kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_DAXDEV);
      expect(asked.map(({ nodeid }) => nodeid)).toEqual(name === 'pull' ? [0] : []);
      expect(mounted.kernel.rules.breaches).toEqual([]);
    },
  );
});
