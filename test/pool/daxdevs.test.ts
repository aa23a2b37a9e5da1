import { beforeEach, describe, expect, test } from '@jest/globals';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { Daxdevs } from '../../src/pool/daxdevs.ts';
import { FakeDaxBus } from '../support/fake-sysfs.ts';

const PATH = '/dev/dax0.0';
let bus: FakeDaxBus;
let users: string[];
let daxdevs: Daxdevs;

beforeEach(() => {
  bus = new FakeDaxBus(['device_dax', 'fsdev_dax', 'kmem']);
  bus.add('dax0.0', 'device_dax', {
    size: String(4 * GiB),
    align: String(2 * MiB),
    target_node: '1',
  });
  bus.add('dax1.0', 'kmem', { size: '4096', numa_node: '-1' });
  users = [];
  daxdevs = new Daxdevs(() => users, bus);
});

function faultOf(run: () => unknown): { code: string | undefined; message: string } {
  try {
    run();
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
  throw new Error('it did not fail');
}

describe('daxdevs', () => {
  test('are listed with size, alignment, driver and NUMA node', () => {
    expect(daxdevs.list()).toEqual([
      {
        name: 'dax0.0',
        path: PATH,
        sizeBytes: 4 * GiB,
        alignBytes: 2 * MiB,
        driver: 'device_dax',
        numaNode: 1,
      },
      {
        name: 'dax1.0',
        path: '/dev/dax1.0',
        sizeBytes: 4096,
        alignBytes: 0,
        driver: 'kmem',
        numaNode: undefined,
      },
    ]);
  });

  test('that are not there are NOT_FOUND, with those that are', () => {
    const fault = faultOf(() => daxdevs.get('/dev/dax7.0'));
    expect(fault.code).toBe('NOT_FOUND');
    expect(fault.message).toContain('/dev/dax7.0');
    expect(fault.message).toContain('/dev/dax0.0, /dev/dax1.0');
  });
});

describe('switching the mode of a daxdev', () => {
  test('goes to fsdev and back, and leaves no id behind', () => {
    const switched = daxdevs.switchTo(PATH, 'fsdev');
    expect(bus.driverOf('dax0.0')).toBe('fsdev_dax');
    switched.restore();
    expect(bus.driverOf('dax0.0')).toBe('device_dax');
    expect([...(bus.drivers.get('fsdev_dax') ?? [])]).toEqual([]);
  });

  test('writes nothing when the device is in that mode', () => {
    daxdevs.switchTo(PATH, 'devdax').restore();
    expect(bus.writes).toEqual([]);
  });

  test('takes a bind that fails since new_id has bound the device already', () => {
    daxdevs.switchTo(PATH, 'fsdev');
    // The fake binds at new_id, as kernels do: the bind that follows got EBUSY.
    expect(bus.writes).toEqual([
      'device_dax/unbind dax0.0',
      'fsdev_dax/new_id dax0.0',
      'fsdev_dax/bind dax0.0',
    ]);
    expect(bus.driverOf('dax0.0')).toBe('fsdev_dax');
  });

  test.each(['unbind', 'new_id'])('puts the device back when %s fails', (attribute) => {
    bus.failures = [{ attribute, code: 'EIO' }];
    const fault = faultOf(() => daxdevs.switchTo(PATH, 'fsdev'));
    expect(fault.code).toBe('IO');
    expect(fault.message).toContain('it is with device_dax now');
    expect(bus.driverOf('dax0.0')).toBe('device_dax');
  });

  test('says which driver the device has when it cannot be put back either', () => {
    bus.failures = [
      { attribute: 'new_id', code: 'EIO' },
      { attribute: 'bind', code: 'EIO' },
    ];
    const fault = faultOf(() => daxdevs.switchTo(PATH, 'fsdev'));
    expect(fault.message).toContain('it is with no driver now');
  });

  test('recovers a device that a crash left without a driver', () => {
    bus.add('dax2.0', undefined);
    daxdevs.switchTo('/dev/dax2.0', 'devdax');
    expect(bus.driverOf('dax2.0')).toBe('device_dax');
    bus.add('dax3.0', undefined);
    daxdevs.switchTo('/dev/dax3.0', 'fsdev');
    expect(bus.driverOf('dax3.0')).toBe('fsdev_dax');
  });

  test('refuses while somebody has the device, and names who', () => {
    users = ['process 4711 (qemu)'];
    const fault = faultOf(() => daxdevs.switchTo(PATH, 'fsdev'));
    expect(fault.code).toBe('BUSY');
    expect(fault.message).toContain('process 4711 (qemu)');
    expect(bus.writes).toEqual([]);
  });

  test('refuses system memory, and a mode that the kernel has no driver for', () => {
    expect(faultOf(() => daxdevs.switchTo('/dev/dax1.0', 'devdax')).code).toBe('PRECONDITION');
    const old = new FakeDaxBus(['device_dax']);
    old.add('dax0.0', 'device_dax');
    const fault = faultOf(() => new Daxdevs(() => [], old).switchTo(PATH, 'fsdev'));
    expect(fault.code).toBe('PRECONDITION');
    expect(fault.message).toContain('fsdev_dax');
    expect([...bus.writes, ...old.writes]).toEqual([]);
  });
});
