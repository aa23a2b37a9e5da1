import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { checkFabric, readFromFabric } from './fabric.ts';
import { Guest } from './guest.ts';
import { DATASET, DEVICE, Host, type Volume } from './host.ts';
import { type Kernel, kernelToTest } from './kernel.ts';
import { writeRootFileSystem } from './root-file-system.ts';
import { step } from './story.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const FABRIC_BYTES = 4 * GiB;
/** Not a multiple of a page: the tail of a file is where layouts go wrong. */
const DATASET_BYTES = 12 * MiB + 12_345;
const PAGES = Math.ceil(DATASET_BYTES / 4096);
/** More than the 2 MiB faults and the 4 KiB ones of the tail take, and the program's own. */
const FEW_FAULTS = PAGES / 8;

const isDax = Boolean(process.env.FAMFS_KERNEL);
const { FAMFS_VM_FOLDER: folder = '', FAMFS_VM_FABRIC: fabric = '' } = process.env;
const dataset = randomBytes(DATASET_BYTES);

interface Doctor {
  readonly devices: readonly { path: string; sizeBytes: number; driver?: string; holds: string }[];
  readonly kernel: { readonly generation: string; readonly evidence: string };
  readonly paths: { readonly buffered: boolean; readonly dax: boolean };
}

interface Touched {
  readonly pages: number;
  readonly faults: number;
  readonly upcalls: Readonly<Record<string, number>>;
}

interface Shared {
  readonly kind: string;
  readonly parameters: object;
  volume: Volume;
  /** Path of its file in a pod on each host. */
  files: [string, string];
}

const none = { volume_id: '', volume_context: {} };
const volumes: Shared[] = [
  { kind: 'contiguous', parameters: {}, volume: none, files: ['', ''] },
  { kind: 'interleaved', parameters: { strips: '2' }, volume: none, files: ['', ''] },
];

let kernel: Kernel;
let guests: Guest[] = [];
let first: Host;
let second: Host;

beforeAll(() => {
  kernel = kernelToTest();
  writeRootFileSystem(join(folder, 'root.cpio'), kernel, new Map([[DATASET, dataset]]));
  const fd = openSync(fabric, 'wx', 0o600);
  ftruncateSync(fd, FABRIC_BYTES);
  closeSync(fd);
}, 900_000);

afterAll(async () => {
  await Promise.all(guests.map((guest) => guest[Symbol.asyncDispose]()));
});

async function both<T>(act: (host: Host) => Promise<T>): Promise<[T, T]> {
  return await Promise.all([act(first), act(second)]);
}

describe('two hosts of one fabric', () => {
  step('boot, and have the same memory as a dax device', async () => {
    const options = { folder, kernel: kernel.image, fabric, fabricBytes: FABRIC_BYTES };
    const boot = async (name: string) => {
      const guest = await Guest.boot({
        ...options,
        name,
        rootFileSystem: join(folder, 'root.cpio'),
      });
      guests.push(guest);
      return new Host(guest);
    };
    [first, second] = await Promise.all([boot('host-1'), boot('host-2')]);
    const sizes = await both(({ guest }) =>
      guest.output(['cat', '/sys/bus/dax/devices/dax0.0/size']),
    );
    expect(sizes.map(Number)).toEqual([FABRIC_BYTES, FABRIC_BYTES]);
    return `Linux ${(await first.guest.output(['uname', '-r'])).trim()} (${kernel.origin})`;
  });

  step('bring the device, which has no driver, into devdax mode', async () => {
    const switched = await both((host) => host.daxdev('switch', 'devdax'));
    expect(switched[0].drivers.at(-1)).toBe('device_dax');
    expect(switched[1].drivers.at(-1)).toBe('device_dax');
    return switched.map(({ drivers }) => drivers.join(' → ')).join('; ');
  });

  step('switch devdax to fsdev and back, but not while the device is in use', async () => {
    const there = await first.daxdev('try', 'fsdev');
    expect(there).toEqual({ drivers: ['device_dax', 'fsdev_dax', 'device_dax'] });
    const held = await first.daxdev('held', 'fsdev');
    expect(held.drivers).toEqual(['device_dax']);
    expect(held.refused?.code).toBe('BUSY');
    return held.refused?.message;
  });

  step('format the device on one; the other sees the pool in the same memory', async () => {
    const pool = await first.famfsJson<{ fsUuid: string }>(['mkfs', DEVICE, '--json']);
    const seen = await both(async (host) => {
      const { code, stdout } = await host.famfs(['doctor', '--json']);
      return { code, ...(JSON.parse(stdout) as Doctor) };
    });
    for (const { code, devices, paths, kernel: verdict } of seen) {
      expect(devices).toEqual([
        expect.objectContaining({
          path: DEVICE,
          sizeBytes: FABRIC_BYTES,
          driver: 'device_dax',
          holds: `famfs pool ${pool.fsUuid}`,
        }),
      ]);
      expect({ ...paths, code }).toEqual({ buffered: true, dax: isDax, code: isDax ? 0 : 1 });
      expect(verdict.generation === 'none').toBe(!isDax);
    }
    expect(checkFabric(fabric)).toMatchObject({ usable: true, problems: [], files: 0 });
    return `doctor: ${seen[0].kernel.generation}: ${seen[0].kernel.evidence}`;
  });

  step(`mount the pool on the ${isDax ? 'dax' : 'buffered'} path`, async () => {
    // In devdax mode a device cannot be held by a mount.
    if (isDax) await both((host) => host.daxdev('switch', 'fsdev'));
    await both((host) => host.startMounter(isDax ? 'dax' : 'auto'));
    const mounts = await both((host) => host.mounted());
    for (const { dataPath } of mounts) expect(dataPath).toBe(isDax ? 'dax' : 'buffered');
    await first.startController(isDax ? mounts[0].mountPoint : DEVICE, [first, second]);
    await both((host) => host.startNode());
    return `generation ${mounts.map(({ generation }) => generation).join(', ')}`;
  });

  step('get volumes made on one and published to pods on both', async () => {
    const dataPath = isDax ? 'dax' : 'any';
    for (const shared of volumes) {
      const { kind, parameters } = shared;
      const made = { ...parameters, dataPath };
      shared.volume = await first.createVolume(kind, DATASET_BYTES, made);
      shared.files[0] = await first.publish(shared.volume, first, false);
      shared.files[1] = await first.publish(shared.volume, second, true);
    }
    return volumes.map(({ kind, volume }) => `${kind} ${volume.volume_id}`).join(', ');
  });

  step('share what a pod on one writes through mmap with a pod that maps it on two', async () => {
    for (const { files } of volumes) {
      const written = await first.program('pod', ['write', DATASET, files[0]]);
      const seen = await second.program('pod', ['verify', DATASET, files[1]]);
      expect(written).toMatchObject({ bytes: DATASET_BYTES });
      expect(seen).toEqual(written);
    }
    return `${DATASET_BYTES} bytes, each compared, twice`;
  });

  step("leave those bytes in the host's file at the very offsets that the log names", async () => {
    const places = volumes.map(({ volume }) => {
      const { bytes, where } = readFromFabric(fabric, `${volume.volume_id}/data`);
      expect(Buffer.compare(bytes, dataset)).toBe(0);
      return where;
    });
    return places.join('; ');
  });

  step(
    isDax ? 'fault with no upcall and in 2 MiB' : 'fault by upcalls, as is expected',
    async () => {
      const seen: Touched[] = [];
      for (const { files } of volumes) {
        const [writer, reader] = files;
        seen.push(await first.program('touch-pages', [writer, first.mounterSocket, 'w']));
        seen.push(await second.program('touch-pages', [reader, second.mounterSocket, 'r']));
      }
      for (const { pages, faults, upcalls } of seen) {
        expect(pages).toBe(PAGES);
        if (isDax) expect(upcalls).toEqual({});
        else expect(upcalls.READ).toBeGreaterThan(0);
        if (isDax) expect(faults).toBeLessThan(FEW_FAULTS);
      }
      return seen
        .map(({ faults, upcalls }) => `${faults} faults, upcalls ${JSON.stringify(upcalls)}`)
        .join('; ');
    },
  );

  step('refuse a write where the volume is read-only', async () => {
    for (const { files } of volumes) {
      const dd = await second.guest.run(['dd', 'if=/dev/zero', `of=${files[1]}`, 'conv=notrunc']);
      expect(dd.code).not.toBe(0);
      expect(dd.stderr).toContain('Read-only file system');
    }
    return undefined;
  });

  step('keep every byte of a mapped file when its server is killed', async () => {
    const [{ files } = { files: ['', ''] }] = volumes;
    const { same, killed, followedBy } = await second.program<{
      same: boolean;
      killed: number;
      followedBy: number;
    }>('outlive-server', [files[1], DATASET, second.mounterSocket]);
    expect(same).toBe(true);
    expect(followedBy).not.toBe(killed);
    const { mount } = await second.poolState();
    expect(mount?.dataPath).toBe(isDax ? 'dax' : 'buffered');
    return `process ${killed}, followed by ${followedBy}`;
  });

  step('take the volumes away, with a clean log in the memory', async () => {
    for (const { volume } of volumes) {
      await first.unpublish(volume, second);
      await first.unpublish(volume, first);
      await first.deleteVolume(volume);
    }
    expect(checkFabric(fabric)).toMatchObject({ usable: true, problems: [], files: 0 });
    return undefined;
  });

  step('end with no mount, no process and the device in its mode', async () => {
    const ends = await both((host) => host.shutDown());
    for (const how of ends.flat()) expect(how).toMatch(/: exit code 0$/);
    await both(async ({ guest }) => {
      expect(await guest.output(['cat', '/proc/self/mountinfo'])).not.toContain('famfs');
      expect(await guest.output(['ps', '-o', 'args'])).not.toContain('/app/dist/main.js');
    });
    const modes = await both((host) => host.daxdev('switch', 'devdax'));
    for (const { drivers } of modes) expect(drivers.at(-1)).toBe('device_dax');
    return undefined;
  });

  step('switch off', async () => {
    const pids = guests.map(({ pid }) => pid);
    expect(await Promise.all(guests.map((guest) => guest.powerOff()))).toEqual(
      guests.map(() => 'exit code 0'),
    );
    for (const pid of pids) expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
    guests = [];
    return undefined;
  });
});
