import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect } from '@jest/globals';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { type Negotiated, negotiate } from '../../src/fuse/init.ts';
import { Responder } from '../../src/fuse/responder.ts';
import { FuseSession } from '../../src/fuse/session.ts';
import { FuseDevice } from '../../src/native/fuse-device.ts';
import { Mapping, type Segment } from '../../src/native/mapping.ts';
import { mountFuse, mountsAt } from '../../src/native/mounts.ts';
import { MemoryFileSystem } from '../fuse/memory-file-system.ts';
import { fuse, testUnless } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';

/** The real /dev/fuse and the real kernel at its other end; the session runs in this thread. */
const mountTest = testUnless(fuse());

const PAGE = 4096;
const IDLE_MS = 1000;
const IDLE_MAX = 20;
const ATTR = { nlink: 1, uid: 0, gid: 0, timeSeconds: 1_700_000_000, mode: 0o100644 };
const WHOLE = 16;
const BROKEN = 17;

/** Two files of a page each: `whole` is the first page of the mapping, `broken` the second. */
class PagesFileSystem extends MemoryFileSystem {
  readonly #memory: Mapping;

  constructor(memory: Mapping) {
    super({
      root: { ...ATTR, ino: 1, sizeBytes: 0, mode: 0o040755 },
      files: [
        { name: 'whole', attr: { ...ATTR, ino: WHOLE, sizeBytes: PAGE } },
        { name: 'broken', attr: { ...ATTR, ino: BROKEN, sizeBytes: PAGE } },
      ],
    });
    this.#memory = memory;
  }

  override read(ino: number, offset: number, lengthBytes: number): readonly Segment[] {
    const wanted = Math.max(0, Math.min(lengthBytes, PAGE - offset));
    const start = ino === BROKEN ? PAGE : 0;
    return [{ memory: this.#memory, offset: start + offset, lengthBytes: wanted }];
  }
}

let scratch: Scratch;
let mountPoint: string;
let file: string;

beforeEach(() => {
  scratch = new Scratch();
  mountPoint = scratch.join('mount');
  mkdirSync(mountPoint);
  file = scratch.join('memory');
  writeFileSync(file, Buffer.alloc(2 * PAGE, 'x'));
});

afterEach(() => scratch[Symbol.dispose]());

function mount(device: FuseDevice): Negotiated {
  const options = { source: 'test', subtype: 'famfs', allowOther: true, defaultPermissions: true };
  mountFuse({ fuseFd: device.fd, target: mountPoint, ...options });
  const buffer = new Uint8Array(MiB + PAGE);
  const length = device.receive(buffer, undefined, 10_000);
  if (typeof length !== 'number') throw new Error('the mount is gone before INIT');
  const { reply, negotiated } = negotiate(buffer.subarray(0, length));
  expect(device.send(reply)).toBe(true);
  return negotiated;
}

/**
 * Serves the mount until the shell script, which runs in its root beside it, has unmounted it. The
 * script's file names are relative to the scratch directory, which is `$T`.
 */
function serveWhile(device: FuseDevice, negotiated: Negotiated, memory: Mapping, script: string) {
  const failures: string[] = [];
  let idle = 0;
  const responder = new Responder(new PagesFileSystem(memory), {
    malformed: (problem) => failures.push(problem),
    failed: (operation, error) => failures.push(`${operation}: ${messageOf(error)}`),
  });
  const session = new FuseSession({
    device,
    responder,
    negotiated,
    resume: false,
    idleMs: IDLE_MS,
    hooks: {
      onWake: () => (idle > IDLE_MAX ? 'stop' : undefined),
      onIdle: () => {
        idle++;
      },
      sendFailed: (what, error) => failures.push(`${what}: ${codeOf(error)}`),
    },
  });
  const env = { ...process.env, T: scratch.path, LC_ALL: 'C' };
  const child = spawn('sh', ['-c', `${script}; umount $T/mount`], { env, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return { end: session.run(), failures, ended };
}

describe('a FUSE mount', () => {
  mountTest('answers EIO for memory that fails, and serves on', async () => {
    using device = FuseDevice.open();
    const negotiated = mount(device);
    using memory = Mapping.open(file, { writable: false });
    truncateSync(file, PAGE);
    const { end, failures, ended } = serveWhile(
      device,
      negotiated,
      memory,
      `cat $T/mount/broken >$T/broken 2>$T/error
       cat $T/mount/whole >$T/whole
       cat $T/mount/broken 2>>$T/error
       cat $T/mount/whole >>$T/whole`,
    );
    expect(end).toBe('gone');
    await ended;
    const error = `cat: ${scratch.join('mount/broken')}: Input/output error\n`;
    expect(readFileSync(scratch.join('error'), 'utf8')).toBe(error + error);
    expect(readFileSync(scratch.join('broken'))).toEqual(Buffer.alloc(0));
    // The second look at `whole` is the page cache's, or the server's.
    expect(readFileSync(scratch.join('whole'))).toEqual(Buffer.alloc(2 * PAGE, 'x'));
    expect(new Set(failures)).toEqual(new Set(['reply of 16 bytes and 1 segments: MEMORY_ERROR']));
  });

  mountTest('is served by any descriptor of its connection', async () => {
    using device = FuseDevice.open();
    const negotiated = mount(device);
    using memory = Mapping.open(file, { writable: false });
    using clone = FuseDevice.open();
    clone.cloneFrom(device);
    const { end, failures, ended } = serveWhile(
      clone,
      negotiated,
      memory,
      'cat $T/mount/whole >$T/whole',
    );
    expect(end).toBe('gone');
    await ended;
    expect(readFileSync(scratch.join('whole'))).toEqual(Buffer.alloc(PAGE, 'x'));
    expect(failures).toEqual([]);
  });

  mountTest('is listed with its source and type, neither setuid nor devices allowed', () => {
    using device = FuseDevice.open();
    mount(device);
    expect(mountsAt(mountPoint)).toEqual([
      expect.objectContaining({
        source: 'test',
        fsType: 'fuse.famfs',
        root: '/',
        options: expect.arrayContaining(['rw', 'nosuid', 'nodev']),
        superOptions: expect.arrayContaining(['allow_other', 'default_permissions']),
      }),
    ]);
  });
});
