import { closeSync, ftruncateSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { eventually } from '../support/test-cluster.ts';
import { daxdevRanges, Guest } from './guest.ts';
import { type Kernel, kernelToTest } from './kernel.ts';
import { writeRootFileSystem } from './root-file-system.ts';
import { step } from './story.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const FABRIC_BYTES = 4 * GiB;
const RANGES = daxdevRanges(FABRIC_BYTES, 2);
const [ZERO, ONE] = ['/dev/dax0.0', '/dev/dax1.0'] as const;
const UUIDS = ['0', '1'].map((digit) => `abcdabcd-1111-4111-8111-00000000000${digit}`);
const DEVICES = [ZERO, ONE].map((path, at) => ({ path, uuid: UUIDS[at] }));
const MOUNT = '/var/lib/famfs/pools/p';
const SOCKET = '/run/mounter.sock';
/** Together more than the first device has room for. */
const FILES = { here: 1200 * MiB, there: 1000 * MiB };
const STRIPED_BYTES = 8 * MiB;

const isDax = Boolean(process.env.FAMFS_KERNEL);
const { FAMFS_VM_FOLDER: folder = '' } = process.env;
const fabric = `${process.env.FAMFS_VM_FABRIC ?? ''}-2`;

interface Pool {
  readonly mount?: { readonly generation: string; readonly dataPath: string };
  readonly problem?: string;
  readonly devices: readonly { path: string; problem?: string }[];
}

let kernel: Kernel;
let guest: Guest;
let generation = '';

beforeAll(() => {
  kernel = kernelToTest();
  writeRootFileSystem(join(folder, 'root-2.cpio'), kernel, new Map());
  const fd = openSync(fabric, 'wx', 0o600);
  ftruncateSync(fd, FABRIC_BYTES);
  closeSync(fd);
}, 900_000);

afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  rmSync(fabric, { force: true });
});

const famfs = (...args: readonly string[]) =>
  guest.output(['node', '/app/dist/main.js', ...args, '--json']);

async function drivers(): Promise<string[]> {
  const script = 'for at in /sys/bus/dax/devices/*/driver; do readlink $at; done';
  const text = await guest.output(['sh', '-c', script]);
  return text
    .trim()
    .split('\n')
    .map((line) => line.replace(/^.*\//, ''));
}

async function pool(): Promise<Pool> {
  const { pools } = await guest.ask<{ pools: Pool[] }>('mounterStatus', { socket: SOCKET });
  return pools[0] as Pool;
}

const mounted = () =>
  eventually(
    'the pool is mounted',
    async () => {
      const found = await pool();
      if (found.mount === undefined) throw new Error(found.problem);
      return found;
    },
    120_000,
  );

function startMounter() {
  const devices = UUIDS.map((uuid) => `uuid:${uuid}`).join(',');
  const argv = ['node', '/app/dist/main.js', 'mounter', '--socket', SOCKET];
  const dataPath = ['--data-path', isDax ? 'dax' : 'auto'];
  return guest.ask('start', {
    name: 'mounter',
    argv: [...argv, '--pool', `p=${devices}`, ...dataPath],
  });
}

/** A byte of the fabric's file, where a device has it. */
function byteOn(device: number, offset: number): number {
  const fd = openSync(fabric, 'r');
  try {
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, (RANGES[device]?.offset ?? 0) + offset);
    return byte[0] ?? 0;
  } finally {
    closeSync(fd);
  }
}

/** Stores a byte through a mapping of a file, if it can be opened. */
async function store(path: string, offset: number, value: number): Promise<string> {
  const program = `
    import { Mapping } from '/app/dist/native/mapping.js';
    const memory = Mapping.open('${MOUNT}/${path}', { writable: true });
    memory.copyIn(${offset}, Uint8Array.of(${value}));
    memory.sync(${offset}, 1);
    memory[Symbol.dispose]();
  `;
  const { code, stderr } = await guest.run(['node', '--input-type=module', '-e', program]);
  return code === 0 ? 'stored' : stderr;
}

describe('a pool over two dax devices', () => {
  step('boot, with two devices', async () => {
    guest = await Guest.boot({
      ...{ name: 'host', folder, kernel: kernel.image, fabric, fabricBytes: FABRIC_BYTES },
      rootFileSystem: join(folder, 'root-2.cpio'),
      daxdevs: 2,
    });
    for (const device of [ZERO, ONE]) {
      await guest.output(['node', '/app/vm/daxdevs.mjs', 'switch', device, 'devdax']);
    }
    expect(await drivers()).toEqual(['device_dax', 'device_dax']);
    const size = await guest.output(['cat', '/sys/bus/dax/devices/dax1.0/size']);
    expect(Number(size)).toBe(RANGES[1]?.sizeBytes);
    return kernel.origin;
  });

  step('make the pool, add the second device, and files on each and on both', async () => {
    await famfs('mkfs', ZERO, '--device-uuid', UUIDS[0] ?? '');
    await famfs('devadd', ZERO, ONE, '--device-uuid', UUIDS[1] ?? '');
    const both = `${ZERO},${ONE}`;
    for (const [path, size] of Object.entries(FILES)) {
      await famfs('create', '--size', String(size), both, path);
    }
    await famfs('create', '--size', String(STRIPED_BYTES), '--strips', '2', both, 'both');
    const report: unknown = JSON.parse(await famfs('check', ZERO));
    expect(report).toMatchObject({ usable: true, problems: [], files: 3 });
    return undefined;
  });

  step('mount it by the uuids of its devices', async () => {
    await guest.output(['mkdir', '-p', MOUNT]);
    await startMounter();
    const { mount, devices, problem } = await mounted();
    generation = mount?.generation ?? '';
    expect(devices).toEqual(DEVICES);
    expect([mount?.dataPath, problem]).toEqual([isDax ? 'dax' : 'buffered', undefined]);
    return `${generation}; ${(await drivers()).join(', ')}`;
  });

  step('files are where the log says, on the devices that this kernel can use', async () => {
    const isBoth = ['buffered', 'push2'].includes(generation);
    expect(await store('here', 5 * MiB, 11)).toBe('stored');
    const results = [await store('there', 5 * MiB, 12), await store('both', 3 * MiB, 13)];
    expect(byteOn(0, 10 * MiB + 5 * MiB)).toBe(11);
    if (isBoth) {
      expect(results).toEqual(['stored', 'stored']);
      expect(byteOn(1, 2 * MiB + 5 * MiB)).toBe(12);
    } else {
      for (const result of results) expect(result).toMatch(/ENOTSUP/);
    }
    return `${generation}: ${isBoth ? 'on both' : 'on the first alone'}`;
  });

  step('kill the mounter: the next one serves the same mount', async () => {
    const { how } = await guest.ask<{ how: string }>('stop', {
      name: 'mounter',
      signal: 'SIGKILL',
    });
    const before = await drivers();
    await startMounter();
    const { devices, problem } = await mounted();
    expect([how, problem]).toEqual(['SIGKILL', undefined]);
    expect(devices).toEqual(DEVICES);
    expect(await drivers()).toEqual(before);
    expect(await store('here', 6 * MiB, 21)).toBe('stored');
    expect(byteOn(0, 10 * MiB + 6 * MiB)).toBe(21);
    return before.join(', ');
  });

  step('take the pool down: the devices are in devdax mode again', async () => {
    await guest.output(['umount', '-l', MOUNT]);
    await eventually('devdax', async () => {
      const now = await drivers();
      if (now.some((driver) => driver !== 'device_dax')) throw new Error(now.join());
      return now;
    });
    const { how } = await guest.ask<{ how: string }>('stop', {
      name: 'mounter',
      signal: 'SIGTERM',
    });
    return how;
  });

  step('format a device in fsdev mode, as far as the kernel can mount it', async () => {
    await guest.output(['node', '/app/vm/daxdevs.mjs', 'switch', ZERO, 'fsdev']);
    const { code, stderr, stdout } = await guest.run([
      ...['node', '/app/dist/main.js', 'mkfs', ZERO, '--force'],
      ...['--device-uuid', UUIDS[1]?.replaceAll('abcd', 'dcba') ?? ''],
    ]);
    await guest.output(['node', '/app/vm/daxdevs.mjs', 'switch', ZERO, 'devdax']);
    const info = JSON.parse(await famfs('info', ZERO));
    expect([code, info.files, stderr]).toEqual([isDax ? 0 : 1, isDax ? 0 : 3, expect.anything()]);
    return isDax ? stdout.split('\n')[0] : stderr.trim();
  });

  step('switch off, with nothing to complain about', async () => {
    const log = await guest.output(['dmesg']);
    const at = log.split('\n').filter((line) => /WARNING: |BUG: |Oops|Call Trace/.test(line));
    expect(at).toEqual([]);
    return await guest.powerOff();
  });
});
