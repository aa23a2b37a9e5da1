import { statSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { deviceNumber, MountWatch } from '../../src/mounter/mount-watch.ts';
import { type MountInfo, readMountInfo } from '../../src/native/mounts.ts';

const CONNECTION = '0:45';

/** The line of mountinfo of one mount on `device`. */
function mount(device: string, at = '/pools/demo'): MountInfo[] {
  return readMountInfo(`36 25 ${device} / ${at} rw - fuse.famfs demo rw`);
}

/** A watch of CONNECTION, and what it sees from now on. */
function watch(): { watch: MountWatch; seen: MountInfo[][] } {
  const seen: MountInfo[][] = [];
  return { watch: new MountWatch(CONNECTION, () => seen.flat()), seen };
}

describe('the watch of a mount on dax', () => {
  test('lets a mount be that is not to be seen yet', () => {
    const { watch: one, seen } = watch();
    expect(one.isOver(false)).toBe(false);
    seen.push(mount('0:46'));
    expect(one.isOver(false)).toBe(false);
    expect(one.wasSeen).toBe(false);
  });

  test('is over once the mount was seen and is no longer', () => {
    const { watch: one, seen } = watch();
    seen.push(mount(CONNECTION), mount('0:46'));
    expect(one.isOver(false)).toBe(false);
    expect(one.wasSeen).toBe(true);
    seen.shift();
    expect(one.isOver(false)).toBe(true);
    expect(one.isOver(true)).toBe(true);
  });

  test('goes on for as long as a pod shows a volume of it, though the pool is unmounted', () => {
    const { watch: one, seen } = watch();
    seen.push(mount(CONNECTION), mount(CONNECTION, '/pods/1/volume'));
    expect(one.isOver(false)).toBe(false);
    seen.shift();
    expect(one.isOver(false)).toBe(false);
    seen.shift();
    expect(one.isOver(false)).toBe(true);
  });

  test('is over where the keeper died before it had shown the mount', () => {
    const { watch: one, seen } = watch();
    expect(one.isOver(true)).toBe(true);
    seen.push(mount(CONNECTION));
    expect(one.isOver(true)).toBe(false);
  });

  test('writes a device number as mountinfo does', () => {
    const infos = readMountInfo();
    for (const path of ['/proc', '/dev/shm', '/sys']) {
      const there = infos.filter(({ mountPoint }) => mountPoint === path).at(-1);
      if (there !== undefined) expect(deviceNumber(statSync(path).dev)).toBe(there.device);
    }
    // include/linux/kdev_t.h, new_encode_dev: minor 7 to 0, major, minor 19 to 8.
    expect(deviceNumber(0x2d)).toBe('0:45');
    expect(deviceNumber(0x123_45_8_67)).toBe('1112:74599');
    expect(deviceNumber(0xfff_fff_ff)).toBe('4095:1048575');
  });
});
