import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { findDropper, findServers } from '../../src/mounter/find-server.ts';
import { type MountInfo, mountsAt } from '../../src/native/mounts.ts';
import { childOf, endOf, HeldMount, isGone, stateOf, WHOLE_INO } from '../support/held-mount.ts';
import { describeWith, fuse } from '../support/requirements.ts';

const SERVER = join(__dirname, '..', 'support', 'name-dropping-server.mjs');

let mount: HeldMount;

describeWith([fuse], 'a name that went', () => {
  beforeEach(() => {
    mount = new HeldMount();
  });

  afterEach(() => mount[Symbol.asyncDispose]());

  test('is dropped by the kernel, which forgets what it named', async () => {
    const stat = mount.start('stat', [join(mount.path, 'whole')]);
    expect(await mount.until('stat ends', () => endOf(stat))).toBe(0);
    mount.start(process.execPath, [SERVER, 'whole']);
    await mount.until('it is forgotten', () =>
      mount.files.calls.includes(`forget ${WHOLE_INO} 1`) ? true : undefined,
    );
  });

  test('holds no server up whose answer is what keeps its directory locked', async () => {
    const late = mount.start('stat', [join(mount.path, 'late')]);
    await mount.until('its lookup holds the lock', () => mount.withheld);
    const server = mount.start(process.execPath, [SERVER, 'whole']);
    const dropper = await mount.until('the kernel was told', () => {
      const pid = childOf(server);
      return pid !== undefined && stateOf(pid) === 'D' ? pid : undefined;
    });
    server.kill('SIGKILL');
    expect(await mount.until('the server ends', () => endOf(server))).toBe('SIGKILL');
    expect(endOf(late)).toBeUndefined();
    expect(isGone(dropper)).toBe(false);
    // A keeper that finds no server any more can go on with the mount: here is its descriptor.
    const { device } = mountsAt(mount.path)[0] as MountInfo;
    expect(findServers(device, undefined)).toEqual([]);
    expect(findDropper(device)).toEqual({ pid: dropper, fd: 3 });
    // As its successor does, with the request that comes again.
    mount.answerWithheld();
    expect(await mount.until('stat ends', () => endOf(late))).toBe(1);
    await mount.until('the name was dropped', () => isGone(dropper) || undefined);
  });
});
