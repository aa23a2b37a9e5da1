import { symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Daxdevs } from '../../src/pool/daxdevs.ts';
import { checkedPath, devicePath } from '../../src/pool/device-path.ts';
import { caught } from '../support/caught.ts';
import { FakeDaxBus } from '../support/fake-sysfs.ts';
import { Scratch } from '../support/scratch.ts';

const UUID = '0a1b2c3d-1111-4111-8111-000000000001';
let bus: FakeDaxBus;
let contents: Map<string, string>;

beforeEach(() => {
  bus = new FakeDaxBus(['device_dax', 'fsdev_dax', 'kmem']);
  bus.add('dax0.0', 'device_dax');
  bus.add('dax1.0', 'device_dax');
  bus.add('dax2.0', 'fsdev_dax');
  contents = new Map([['/dev/dax1.0', UUID]]);
});

function find(given: string, last?: string): string {
  return devicePath(given, last, new Daxdevs(() => [], bus), (path) => {
    if (path === '/dev/dax2.0') throw new Error('a device in fsdev mode was looked at');
    return contents.get(path);
  });
}

describe('a device that is given by its uuid', () => {
  test('is the one that has it', () => {
    expect(find(`uuid:${UUID}`)).toBe('/dev/dax1.0');
    expect(find(`uuid:${UUID.toUpperCase()}`)).toBe('/dev/dax1.0');
  });

  test('that is nowhere is NOT_FOUND, with what could not be looked at', () => {
    contents.clear();
    bus.add('dax3.0', undefined);
    const { code, message } = caught(() => find(`uuid:${UUID}`));
    expect(code).toBe('NOT_FOUND');
    expect(message).toBe(
      `device uuid:${UUID}: no dax device of this host has it; not looked at: ` +
        '/dev/dax2.0 (fsdev_dax), /dev/dax3.0 (no driver)',
    );
  });

  test('that two have is neither', () => {
    contents.set('/dev/dax0.0', UUID);
    const { code, message } = caught(() => find(`uuid:${UUID}`));
    expect(code).toBe('PRECONDITION');
    expect(message).toContain('found on /dev/dax0.0 and /dev/dax1.0; one is a copy');
  });

  test('that a mounter has left in fsdev mode, or without a driver, is where it was', () => {
    contents.clear();
    expect(find(`uuid:${UUID}`, '/dev/dax2.0')).toBe('/dev/dax2.0');
    expect(caught(() => find(`uuid:${UUID}`, '/dev/dax0.0')).code).toBe('NOT_FOUND');
    bus.add('dax2.0', undefined);
    expect(find(`uuid:${UUID}`, '/dev/dax2.0')).toBe('/dev/dax2.0');
    bus.add('dax2.0', 'kmem');
    expect(caught(() => find(`uuid:${UUID}`, '/dev/dax2.0')).code).toBe('NOT_FOUND');
    contents.set('/dev/dax0.0', UUID);
    bus.add('dax2.0', 'fsdev_dax');
    expect(find(`uuid:${UUID}`, '/dev/dax2.0')).toBe('/dev/dax0.0');
  });

  test('is not found by what is no uuid', () => {
    expect(caught(() => find('uuid:dax0')).message).toContain('device uuid: found "dax0"');
  });
});

describe('a device that is given by its path', () => {
  test('is a file, or a character device of the dax bus, without symbolic links', () => {
    using folder = new Scratch();
    writeFileSync(folder.join('fabric'), '');
    expect(find(folder.join('fabric'))).toBe(folder.join('fabric'));
    symlinkSync('/dev/null', folder.join('link'));
    const tree = { ...sysfsWith('dax'), list: () => [] };
    expect(checkedPath(folder.join('link'), tree)).toBe('/dev/null');
  });

  test('is never another character device: kernels warn on those', () => {
    const { code, message } = caught(() => find('/dev/null'));
    expect([code, message]).toEqual([
      'INVALID',
      expect.stringContaining(
        'device /dev/null: is a character device of mem, not of /sys/bus/dax',
      ),
    ]);
    expect(caught(() => checkedPath('/dev/null', sysfsWith(undefined))).code).toBe('INVALID');
  });

  test('has to be there', () => {
    expect(caught(() => find('/dev/dax9.9'))).toEqual({
      code: 'NOT_FOUND',
      message: '/dev/dax9.9: no such device or file (ENOENT)',
    });
  });

  function sysfsWith(subsystem: string | undefined) {
    return {
      read: () => undefined,
      list: () => [],
      link: (path: string) => (path === '/sys/dev/char/1:3/subsystem' ? subsystem : undefined),
      write: () => {},
    };
  }
});
