import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { deviceNumber } from '../../src/mounter/mount-watch.ts';
import { type MountInfo, mountsAt } from '../../src/native/mounts.ts';
import { childOf, endOf, HeldMount, isGone } from '../support/held-mount.ts';
import { describeWith, fuse } from '../support/requirements.ts';

const SERVER = join(__dirname, '..', 'support', 'opening-server.mjs');

let mount: HeldMount;

describeWith([fuse], 'a file that a server opens of its own mount', () => {
  beforeEach(() => {
    mount = new HeldMount();
  });

  afterEach(() => mount[Symbol.asyncDispose]());

  test('is opened for it, and its failure is told', async () => {
    const { device } = mountsAt(mount.path)[0] as MountInfo;
    const [major = 0, minor = 0] = device.split(':').map(Number);
    const dev = major * 256 + minor;
    expect(deviceNumber(dev)).toBe(device);
    const found = mount.start(process.execPath, [SERVER, 'whole', `${dev} regular 4096`]);
    expect(await mount.until('it has compared', () => endOf(found))).toBe(0);
    const missing = mount.start(process.execPath, [SERVER, 'none', `${dev} ENOENT`]);
    expect(await mount.until('it has compared', () => endOf(missing))).toBe(0);
  });

  test('holds no server up that is killed before it has answered', async () => {
    const server = mount.start(process.execPath, [SERVER, 'late', '']);
    await mount.until('the opener waits', () => mount.withheld);
    const opener = childOf(server) as number;
    server.kill('SIGKILL');
    expect(await mount.until('the server ends', () => endOf(server))).toBe('SIGKILL');
    expect(isGone(opener)).toBe(false);
    // As its successor does, with the request that comes again.
    mount.answerWithheld();
    await mount.until('the opener ends', () => isGone(opener) || undefined);
  });
});
