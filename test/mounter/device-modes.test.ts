import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { PoolDevices } from '../../src/mounter/pool-devices.ts';
import { PoolKeeper } from '../../src/mounter/pool-keeper.ts';
import type { KernelVerdict } from '../../src/mounter/probe.ts';
import { readMountInfo } from '../../src/native/mounts.ts';
import { Daxdevs } from '../../src/pool/daxdevs.ts';
import { FakeDaxBus } from '../support/fake-sysfs.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';
import { eventually, MAIN } from '../support/test-cluster.ts';

const QUIET = pino({ level: 'silent' });
/** A character device of this machine that stands for a daxdev: no kernel here takes it for one. */
const DEVICE = '/dev/null';

describeWith([fuse], 'the mode of a device whose mount fails', () => {
  let folder: Scratch;
  let bus: FakeDaxBus;
  let keeper: PoolKeeper;

  beforeEach(() => {
    folder = new Scratch();
    bus = new FakeDaxBus(['device_dax', 'fsdev_dax']);
    bus.add('null', 'device_dax');
  });

  afterEach(async () => {
    await keeper.suspend();
    keeper.giveUp();
    expect(readMountInfo().filter((one) => one.mountPoint.startsWith(folder.path))).toEqual([]);
    folder[Symbol.dispose]();
  });

  function start(generation: KernelVerdict['generation'], users: readonly string[] = []): void {
    const daxdevs = new Daxdevs(() => users, bus);
    const devices = new PoolDevices([DEVICE], QUIET, daxdevs, (path) => path);
    const mountPoint = folder.join('p');
    const options = { dataPath: 'dax', metaGid: 0 } as const;
    keeper = new PoolKeeper(
      { name: 'p', devices: [DEVICE], mountPoint, ...options },
      [process.execPath, MAIN, 'serve'],
      QUIET,
      async () => ({ generation, evidence: 'as the test says' }),
      devices,
    );
    keeper.start();
  }

  const SWITCH = ['device_dax/unbind null', 'fsdev_dax/new_id null', 'fsdev_dax/bind null'];
  const BACK = ['fsdev_dax/unbind null', 'fsdev_dax/remove_id null', 'device_dax/bind null'];

  async function problemOf(pattern: RegExp): Promise<string> {
    return await eventually('the mount fails', async () => {
      const { problem } = await keeper.status();
      return problem !== undefined && pattern.test(problem) ? problem : undefined;
    });
  }

  test('is put back when the kernel does not take the device', async () => {
    start('push');
    expect(await problemOf(/device/)).toMatch(
      /^device \/dev\/null: cannot be given to the kernel as device 0 of a pool \(E[A-Z]+\);/,
    );
    await keeper.suspend();
    expect(bus.writes.slice(0, 6)).toEqual([...SWITCH, ...BACK]);
    expect(bus.driverOf('null')).toBe('device_dax');
  });

  test('is put back when the pool cannot be read through the mount', async () => {
    start('pull');
    expect(await problemOf(/null/)).toContain('device /dev/null: the kernel has no access to it');
    await keeper.suspend();
    expect(bus.writes.slice(0, 6)).toEqual([...SWITCH, ...BACK]);
    expect(bus.driverOf('null')).toBe('device_dax');
  });

  test('is put back when its mounter ends while the mount is not to be seen yet', async () => {
    start('pull');
    await eventually('it is moved', () => (bus.writes.length >= 3 ? true : undefined));
    await keeper.suspend();
    expect(bus.driverOf('null')).toBe('device_dax');
  });

  test('is not changed when somebody uses the device, who is named', async () => {
    start('push', ['process 4711 (qemu)']);
    expect(await problemOf(/null/)).toContain('is used by process 4711 (qemu)');
    expect(bus.writes).toEqual([]);
  });
});
