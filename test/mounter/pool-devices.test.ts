import { beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Fault } from '../../src/base/errors.ts';
import type { Generation } from '../../src/fs/data-path.ts';
import { PoolDevices } from '../../src/mounter/pool-devices.ts';
import { Daxdevs } from '../../src/pool/daxdevs.ts';
import { caught } from '../support/caught.ts';
import { FakeDaxBus } from '../support/fake-sysfs.ts';

const QUIET = pino({ level: 'silent' });
const [ZERO, ONE, TWO] = ['/dev/dax0.0', '/dev/dax1.0', '/dev/dax2.0'] as const;
const NAMES = ['dax0.0', 'dax1.0', 'dax2.0'];
let bus: FakeDaxBus;
let users: string[];

beforeEach(() => {
  bus = new FakeDaxBus(['device_dax', 'fsdev_dax', 'kmem']);
  for (const name of NAMES) bus.add(name, 'device_dax');
  users = [];
});

function poolOn(given: readonly string[], find = (path: string) => path): PoolDevices {
  return new PoolDevices(given, QUIET, new Daxdevs(() => users, bus), find);
}

function drivers(): (string | undefined)[] {
  return NAMES.map((name) => bus.driverOf(name));
}

const at = (...paths: readonly string[]) => paths.map((path) => ({ path }));

describe('the devices of a pool on a node', () => {
  test('go to fsdev mode for a dax mount, and back after it', () => {
    const pool = poolOn([ZERO, ONE]);
    const { devices, switched } = pool.prepare(pool.find(), 'push2');
    expect(devices).toEqual(at(ZERO, ONE));
    expect(drivers()).toEqual(['fsdev_dax', 'fsdev_dax', 'device_dax']);
    pool.putBack(switched);
    expect(drivers()).toEqual(['device_dax', 'device_dax', 'device_dax']);
    expect([...(bus.drivers.get('fsdev_dax') ?? [])]).toEqual([]);
  });

  test.each<[Generation, string[]]>([
    ['buffered', ['device_dax', 'device_dax', 'device_dax']],
    // One device is all that these kernels can use of a pool.
    ['pull', ['fsdev_dax', 'device_dax', 'device_dax']],
    ['push', ['fsdev_dax', 'device_dax', 'device_dax']],
  ])('go there as far as %s uses them', (generation, expected) => {
    const pool = poolOn([ZERO, ONE]);
    pool.prepare(pool.find(), generation);
    expect(drivers()).toEqual(expected);
  });

  test('stay in devdax mode on a kernel that has no other', () => {
    const old = new FakeDaxBus(['device_dax']);
    old.add('dax0.0', 'device_dax');
    const pool = new PoolDevices([ZERO], QUIET, new Daxdevs(() => [], old), (path) => path);
    expect(pool.prepare(pool.find(), 'pull')).toEqual({ devices: at(ZERO), switched: [] });
    expect(old.writes).toEqual([]);
  });

  test('that are in fsdev mode already are left so, also afterwards', () => {
    bus.add('dax0.0', 'fsdev_dax');
    const pool = poolOn([ZERO]);
    const { switched } = pool.prepare(pool.find(), 'push2');
    pool.putBack(switched);
    expect([switched, bus.writes]).toEqual([[], []]);
  });

  test('that a crash left without a driver are bound to the one that is needed', () => {
    for (const name of NAMES) bus.add(name, undefined);
    const dax = poolOn([ZERO]);
    const { switched } = dax.prepare(dax.find(), 'push2');
    const buffered = poolOn([ONE]);
    buffered.prepare(buffered.find(), 'buffered');
    expect(drivers()).toEqual(['fsdev_dax', 'device_dax', undefined]);
    dax.putBack(switched);
    expect(drivers()).toEqual(['device_dax', 'device_dax', undefined]);
  });

  test('in fsdev mode are not taken from whoever has them mounted, for the buffered path', () => {
    bus.add('dax0.0', 'fsdev_dax');
    const pool = poolOn([ZERO]);
    const { code, message } = caught(() => pool.prepare(pool.find(), 'buffered'));
    expect(code).toBe('PRECONDITION');
    expect(message).toContain(`device ${ZERO}: is in fsdev mode, for a famfs mount`);
    expect(bus.writes).toEqual([]);
  });

  test('that are files of an emulated fabric have no mode', () => {
    const pool = poolOn(['/dev/shm/fabric', '/tmp/dax0.0']);
    pool.prepare(pool.find(), 'buffered');
    expect(bus.writes).toEqual([]);
  });
});

describe('a switch that fails', () => {
  test.each(['unbind', 'new_id'])('at %s leaves the primary as it was', (attribute) => {
    bus.failures = [{ attribute, code: 'EIO' }];
    const pool = poolOn([ZERO, ONE]);
    const { code, message } = caught(() => pool.prepare(pool.find(), 'push2'));
    expect([code, message]).toEqual(['IO', expect.stringContaining(`device ${ZERO}`)]);
    expect(drivers()).toEqual(['device_dax', 'device_dax', 'device_dax']);
  });

  test('since somebody has the primary open says who', () => {
    users = ['process 4711 (qemu)'];
    const pool = poolOn([ZERO]);
    const { code, message } = caught(() => pool.prepare(pool.find(), 'push2'));
    expect([code, message]).toEqual(['BUSY', expect.stringContaining('process 4711 (qemu)')]);
    expect(bus.writes).toEqual([]);
  });

  test('for another device leaves the pool without that one', () => {
    bus.add('dax1.0', 'kmem');
    const pool = poolOn([ZERO, ONE, TWO]);
    const { devices, switched } = pool.prepare(pool.find(), 'push2');
    expect(devices).toEqual([
      { path: ZERO },
      { path: ONE, problem: expect.stringContaining('in use as system memory') },
      { path: TWO },
    ]);
    expect(switched).toEqual([ZERO, TWO]);
    expect(drivers()).toEqual(['fsdev_dax', 'kmem', 'fsdev_dax']);
  });

  test.each([
    ['unbind', 'fsdev_dax'],
    ['bind', undefined],
  ])('on the way back, at %s, is reported and stops no other', (attribute, left) => {
    const pool = poolOn([ZERO, ONE]);
    const { switched } = pool.prepare(pool.find(), 'push2');
    bus.failures = [{ attribute, code: 'EIO' }];
    pool.putBack(switched);
    expect(drivers()).toEqual([left, 'device_dax', 'device_dax']);
  });

  test('on the way back, since somebody has the device, leaves it', () => {
    const pool = poolOn([ZERO]);
    const { switched } = pool.prepare(pool.find(), 'push2');
    const before = bus.writes.length;
    users = ['process 4711 (pod)'];
    pool.putBack(switched);
    expect(bus.writes).toHaveLength(before);
    expect(bus.driverOf('dax0.0')).toBe('fsdev_dax');
  });
});

describe('the devices of a mount that is there', () => {
  test('stay as they are, whatever mode they are in', () => {
    const pool = poolOn([ZERO, ONE]);
    const had = { devices: at(ZERO, ONE), switched: [ZERO] };
    expect(pool.refresh(had, 'push2')).toEqual(had);
    expect(bus.writes).toEqual([]);
  });

  test('are joined by one that is new in the list, and by one that has come meanwhile', () => {
    const pool = poolOn([ZERO, ONE, TWO]);
    const had = { devices: [{ path: ZERO }, { path: ONE, problem: 'gone' }], switched: [] };
    expect(pool.refresh(had, 'push2')).toEqual({
      devices: at(ZERO, ONE, TWO),
      switched: [ONE, TWO],
    });
    expect(drivers()).toEqual(['device_dax', 'fsdev_dax', 'fsdev_dax']);
  });

  test('are served on when one that is new cannot be had', () => {
    const uuid = 'uuid:00000000-0000-4000-9000-000000000001';
    const pool = poolOn([ZERO, uuid], (path) => {
      if (path === uuid) throw new Fault('NOT_FOUND', 'no dax device of this host has it');
      return path;
    });
    const had = { devices: at(ZERO), switched: [] };
    expect(pool.refresh(had, 'push2').devices).toEqual([
      { path: ZERO },
      { path: uuid, problem: 'no dax device of this host has it' },
    ]);
  });

  test('stay where one that is given by uuid, or by a link, is not found again', () => {
    const uuid = 'uuid:00000000-0000-4000-9000-000000000001';
    const pool = poolOn([ZERO, uuid, '/dev/link'], (path) => {
      if (path === uuid) throw new Fault('NOT_FOUND', 'it is in fsdev mode');
      return path === '/dev/link' ? TWO : path;
    });
    const second = { path: ONE, uuid: uuid.slice(5) };
    const had = { devices: [{ path: ZERO }, second, { path: TWO }], switched: [ONE] };
    expect(pool.refresh(had, 'push2')).toEqual(had);
    expect(bus.writes).toEqual([]);
  });

  test('that are given by uuid have to have it', () => {
    const uuid = '00000000-0000-4000-9000-00000000000A';
    const pool = poolOn([`uuid:${uuid}`], () => ZERO);
    expect(pool.find()).toEqual([{ path: ZERO, uuid: uuid.toLowerCase() }]);
  });

  test('keep the primary that is mounted, whatever the list says now', () => {
    const pool = poolOn([TWO]);
    const had = { devices: at(ZERO), switched: [ZERO] };
    expect(pool.refresh(had, 'push2')).toEqual(had);
    expect(bus.writes).toEqual([]);
  });

  test('follow a list that was corrected', () => {
    const pool = poolOn([ZERO, TWO]);
    const had = { devices: at(ZERO, ONE), switched: [ONE] };
    expect(pool.refresh(had, 'push2')).toEqual({
      devices: at(ZERO, TWO),
      switched: [ONE, TWO],
    });
  });
});
