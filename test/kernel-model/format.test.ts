import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { decodeLogHeader, LOG_HEADER_BYTES } from '../../src/format/log-header.ts';
import { decodeSuperblock, SUPERBLOCK_BYTES } from '../../src/format/superblock.ts';
import { throughMount } from '../../src/mounter/device-memory.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { META_LOG, META_SUPERBLOCK } from '../../src/pool/meta-memory.ts';
import { type MkfsOptions, mkfs } from '../../src/pool/mkfs.ts';
import { deviceUuid } from '../format/entries.ts';
import { rejection } from '../support/caught.ts';
import { Scratch } from '../support/scratch.ts';
import { Host } from './devices.ts';
import { FAMFS_KERNELS } from './generations.ts';
import { Kernel } from './kernel.ts';
import type { FamfsKernel } from './mounted-pool.ts';
import { O_RDWR, Process } from './process.ts';

const PATH = '/dev/dax0.0';
const OPTIONS: MkfsOptions = { deviceName: PATH, systemUuid: deviceUuid(1) };
let folder: Scratch;
let host: Host;

beforeEach(() => {
  folder = new Scratch();
  host = new Host();
  host.add(PATH);
});

afterEach(() => folder[Symbol.dispose]());

/** Uses the memory of the device through a mount; files here stand for what the kernel maps. */
async function through<T>(
  name: FamfsKernel,
  use: (memory: SharedMemory) => T,
  sizeBytes = 4 * GiB,
) {
  const kernel = new Kernel({ name, host, tolerate: ['simple-only'] });
  const format = new Process(kernel);
  let isOpen = 0;
  const openFile = async (path: string) => {
    const file = await kernel.start(format.open(`/${path}`, O_RDWR)).finished;
    const stand = folder.join(path);
    mkdirSync(dirname(stand), { recursive: true });
    writeFileSync(stand, '', { flag: 'a' });
    truncateSync(stand, file.inode.sizeBytes);
    const handle = await open(stand, 'r+');
    isOpen++;
    const close = handle.close.bind(handle);
    handle.close = async () => {
      await kernel.start(format.close(file)).finished;
      isOpen--;
      await close();
    };
    return handle;
  };
  const register = () => kernel.devices.give(host.at(PATH), 0);
  const facts = { path: PATH, sizeBytes, isPull: name === 'pull', register };
  try {
    return await throughMount(kernel, facts, openFile, use);
  } finally {
    // The mount goes: the next one may have the device.
    const device = host.at(PATH);
    if (device) device.holder = undefined;
    expect(isOpen).toBe(0);
    expect(kernel.rules.breaches).toEqual([]);
  }
}

const start = (name: string, bytes: number) =>
  new Uint8Array(readFileSync(folder.join('.meta', name)).subarray(0, bytes));

describe.each(FAMFS_KERNELS)('mkfs of a device in fsdev mode, %s kernel', (name) => {
  test('formats it through a mount, and lets go of it', async () => {
    const made = await through(name, (memory) => mkfs(memory, OPTIONS));
    expect(made.deviceSizeBytes).toBe(4 * GiB);
    expect(decodeSuperblock(start(META_SUPERBLOCK, SUPERBLOCK_BYTES))).toEqual(made);
    expect(decodeLogHeader(start(META_LOG, LOG_HEADER_BYTES))).toMatchObject({ nextIndex: 0 });
    const again = through(name, (memory) => mkfs(memory, OPTIONS));
    expect(await rejection(again)).toMatchObject({
      code: 'EXISTS',
      message: expect.stringContaining(`holds a famfs superblock (pool ${made.fsUuid})`),
    });
  });

  test('takes the longest log that there may be, and a device that ends before that', async () => {
    const long = { ...OPTIONS, logLengthBytes: GiB };
    expect((await through(name, (memory) => mkfs(memory, long))).logLengthBytes).toBe(GiB);
    const small = await through(
      name,
      (memory) => mkfs(memory, { ...OPTIONS, force: true }),
      16 * MiB + 4096,
    );
    expect(small.deviceSizeBytes).toBe(16 * MiB + 4096);
  });
});

describe('a device that the kernel does not take', () => {
  test('is refused, and nothing of it is opened', async () => {
    const kernel = new Kernel({ name: 'push2', host });
    const register = () => {
      throw new Fault('PRECONDITION', 'device /dev/dax0.0: it is mounted');
    };
    const facts = { path: PATH, sizeBytes: GiB, isPull: false, register };
    const openFile = () => Promise.reject(new Error('a file was opened'));
    const fault = await rejection(throughMount(kernel, facts, openFile, () => {}));
    expect(fault).toEqual({ code: 'PRECONDITION', message: 'device /dev/dax0.0: it is mounted' });
    expect(kernel.sent).toHaveLength(1);
  });
});
