import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { FileLock } from '../../src/native/file-lock.ts';
import { DeviceLock } from '../../src/pool/device-lock.ts';
import { rejection } from '../support/caught.ts';
import { descriptorsOf } from '../support/descriptors.ts';

let folder: string;
let path: string;
let holder: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-lock-'));
  path = join(folder, 'device');
  writeFileSync(path, '');
});

afterEach(async () => {
  jest.restoreAllMocks();
  if (holder !== undefined) await kill(holder);
  holder = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** A process that has the lock by the time this resolves, and keeps it. */
async function startHolder(): Promise<ChildProcess> {
  const program =
    'import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); ' +
    'print("held", flush=True); sys.stdin.read()';
  const child = spawn('python3', ['-c', program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  holder = child;
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  expect(line).toBe('held');
  return child;
}

describe('device lock', () => {
  test('is held by one at a time, and free again when it is disposed', async () => {
    const lock = new DeviceLock(path);
    {
      using _held = await lock.acquire();
      expect(FileLock.tryLock(path)).toBeUndefined();
    }
    const next = FileLock.tryLock(path);
    expect(next).toBeDefined();
    next?.[Symbol.dispose]();
  });

  test('opens its device once, however often it is held, and closes it in the end', async () => {
    const lock = new DeviceLock(path);
    expect(descriptorsOf(path)).toBe(0);
    for (let hold = 0; hold < 3; hold++) {
      using _hold = await lock.acquire();
      expect(descriptorsOf(path)).toBe(1);
    }
    const last = await lock.acquire();
    lock[Symbol.dispose]();
    last[Symbol.dispose]();
    expect(descriptorsOf(path)).toBe(0);
    using free = FileLock.tryLock(path);
    expect(free).toBeDefined();
  });

  test('waits for the process that holds it, and is not left behind when that dies', async () => {
    const child = await startHolder();
    expect(FileLock.tryLock(path)).toBeUndefined();
    let isHeld = false;
    const waiting = new DeviceLock(path).acquire().then((lock) => {
      isHeld = true;
      return lock;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isHeld).toBe(false);
    await kill(child);
    using _lock = await waiting;
    expect(FileLock.tryLock(path)).toBeUndefined();
  });

  test('gives up with BUSY when another process keeps it for too long', async () => {
    await startHolder();
    const start = Date.now();
    jest
      .spyOn(Date, 'now')
      .mockReturnValueOnce(start)
      .mockReturnValue(start + 10_001);
    expect(await rejection(new DeviceLock(path).acquire())).toEqual({
      code: 'BUSY',
      message: expect.stringMatching(/has held the writer's lock for 10000 ms; retry when it is/),
    });
  });

  test('of a device that is gone is NOT_FOUND', async () => {
    expect(await rejection(new DeviceLock(`${path}.not`).acquire())).toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
