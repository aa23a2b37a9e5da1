import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FileLock } from '../../src/native/file-lock.ts';
import { FuseDevice, fetchDescriptor, WakeEvent } from '../../src/native/fuse-device.ts';
import { codeThrownBy } from '../support/caught.ts';
import { LinePeer } from '../support/line-peer.ts';
import { Scratch } from '../support/scratch.ts';

const DIST = join(__dirname, '..', '..', 'dist', 'native');

let scratch: Scratch;
let file: string;

beforeEach(() => {
  scratch = new Scratch();
  file = scratch.join('file');
  writeFileSync(file, 'content');
});

afterEach(() => scratch[Symbol.dispose]());

const openDescriptors = () => readdirSync('/proc/self/fd').length;

/** A process that runs this body once, says `ready`, and stays. */
function startProcess(body: string): LinePeer {
  const script = `${body}; console.log('ready'); setInterval(() => {}, 1000);`;
  return new LinePeer(process.execPath, ['--input-type=module', '-e', script]);
}

describe('a file lock', () => {
  test('is held by one descriptor at a time, and given back', () => {
    const first = FileLock.tryLock(file);
    expect(first).toBeDefined();
    expect(FileLock.tryLock(file)).toBeUndefined();
    first?.[Symbol.dispose]();
    first?.[Symbol.dispose]();
    const second = FileLock.tryLock(file);
    expect(second).toBeDefined();
    second?.[Symbol.dispose]();
  });

  test('costs no descriptor when it is held elsewhere', () => {
    using held = FileLock.tryLock(file);
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) expect(FileLock.tryLock(file)).toBeUndefined();
    expect(openDescriptors()).toBe(before);
    expect(held).toBeDefined();
  });

  test('is held against other processes, and ends with the process that held it', async () => {
    await using holder = startProcess(
      `const { FileLock } = await import('${DIST}/file-lock.js');
       globalThis.held = FileLock.tryLock(${JSON.stringify(file)})`,
    );
    expect(await holder.ask()).toBe('ready');
    expect(FileLock.tryLock(file)).toBeUndefined();
    await holder.kill();
    using lock = FileLock.tryLock(file);
    expect(lock).toBeDefined();
  });

  test('is taken and given back through one descriptor, by one at a time', () => {
    const before = openDescriptors();
    const lock = FileLock.open(file);
    for (let round = 0; round < 3; round++) {
      expect(lock.tryTake()).toBe(true);
      expect(lock.tryTake()).toBe(false);
      expect(FileLock.tryLock(file)).toBeUndefined();
      lock.release();
      lock.release();
      using other = FileLock.tryLock(file);
      expect(other).toBeDefined();
      expect(lock.tryTake()).toBe(false);
    }
    expect(lock.tryTake()).toBe(true);
    lock[Symbol.dispose]();
    expect(openDescriptors()).toBe(before);
    using next = FileLock.tryLock(file);
    expect(next).toBeDefined();
    lock.release();
    expect(FileLock.tryLock(file)).toBeUndefined();
  });

  test('is taken no more once it is closed', () => {
    const lock = FileLock.open(file);
    lock[Symbol.dispose]();
    expect(lock.tryTake()).toBe(false);
    lock.release();
    using next = FileLock.tryLock(file);
    expect(next).toBeDefined();
  });

  test('of a file that is not there is NOT_FOUND', () => {
    expect(codeThrownBy(() => FileLock.open(scratch.join('gone')))).toBe('NOT_FOUND');
    expect(codeThrownBy(() => FileLock.tryLock(scratch.join('gone')))).toBe('NOT_FOUND');
  });

  test('can be that of a directory', () => {
    using lock = FileLock.tryLock(scratch.path);
    expect(lock).toBeDefined();
    expect(FileLock.tryLock(scratch.path)).toBeUndefined();
  });
});

describe('the wake event', () => {
  /**
   * What the script prints. It waits without end for what must end its waits, in a process that can
   * be killed if it does not. `silence` is an eventfd, to `receive` a mount without requests.
   */
  function printedBy(script: string): string {
    const head = `
      const { FuseDevice, WakeEvent } = await import('${DIST}/fuse-device.js');
      const { Worker } = await import('node:worker_threads');
      const silence = WakeEvent.create();
      const wake = WakeEvent.create();
      const device = FuseDevice.adopt(silence.fd);
      const receive = (timeoutMs) => device.receive(new Uint8Array(64), wake, timeoutMs);`;
    const args = ['--input-type=module', '-e', head + script];
    const options = { encoding: 'utf8', timeout: 15_000, killSignal: 'SIGKILL' } as const;
    const { stdout, stderr } = spawnSync(process.execPath, args, options);
    return stdout + stderr;
  }

  test('ends a wait for requests in another thread, which does not own it', () => {
    const printed = printedBy(`
      const worker = new Worker(\`
        const { parentPort, workerData } = await import('node:worker_threads');
        const { FuseDevice, WakeEvent } = await import('${DIST}/fuse-device.js');
        const wake = WakeEvent.adopt(workerData.wake);
        const device = FuseDevice.adopt(workerData.silence);
        parentPort.postMessage('waits');
        parentPort.postMessage('woken: ' + device.receive(new Uint8Array(64), wake, -1));
        wake[Symbol.dispose]();
      \`, { eval: true, workerData: { silence: silence.fd, wake: wake.fd } });
      worker.on('message', (line) => {
        console.log(line);
        if (line === 'waits') wake.signal();
      });
      worker.on('exit', () => {
        wake.signal();
        console.log('still open');
      });`);
    expect(printed).toBe('waits\nwoken: 0\nstill open\n');
  });

  test('stays signalled until it is drained, and drained it is silent', () => {
    const printed = printedBy(`
      const fs = await import('node:fs');
      const count = () => /eventfd-count: *(\\d+)/.exec(
        fs.readFileSync('/proc/self/fdinfo/' + wake.fd, 'utf8'))[1];
      for (let round = 0; round < 3; round++) wake.signal();
      console.log(receive(-1), receive(-1), count());
      wake.drain();
      wake.drain();
      console.log(count());`);
    expect(printed).toBe('0 0 3\n0\n');
  });

  test('does not hide a request that is there', () => {
    expect(
      printedBy('wake.signal(); silence.signal(); console.log(receive(-1), receive(-1))'),
    ).toBe('8 0\n');
  });

  test('is closed once', () => {
    const wake = WakeEvent.create();
    wake[Symbol.dispose]();
    const next = openSync('/dev/null', 'r');
    expect(next).toBe(wake.fd);
    wake[Symbol.dispose]();
    closeSync(next);
  });
});

describe('a descriptor of another process', () => {
  test('is fetched: the same open file, closed on exec', async () => {
    await using owner = startProcess(
      `const fs = await import('node:fs');
       const fd = fs.openSync(${JSON.stringify(file)}, 'r');
       fs.readSync(fd, new Uint8Array(3));
       console.log(fd)`,
    );
    const number = Number(await owner.ask());
    expect(await owner.ask()).toBe('ready');
    const fd = fetchDescriptor(owner.pid, number);
    try {
      // The file offset is the owner's too: three bytes have been read there.
      expect(readFileSync(fd, 'utf8')).toBe('tent');
      const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
      expect(Number.parseInt(flags?.[1] ?? '', 8) & 0o2000000).toBe(0o2000000);
      await owner.kill();
      expect(readFileSync(file, 'utf8')).toBe('content');
    } finally {
      closeSync(fd);
    }
  });

  test('that is not open, or of a process that is gone, is an error that names it', async () => {
    await using other = startProcess('0');
    expect(await other.ask()).toBe('ready');
    const { pid } = other;
    expect(() => fetchDescriptor(pid, 999)).toThrow(
      `descriptor 999 of process ${pid}: EBADF: Bad file descriptor, pidfd_getfd`,
    );
    await other.kill();
    expect(() => fetchDescriptor(pid, 0)).toThrow(
      `descriptor 0 of process ${pid}: ESRCH: No such process, pidfd_open`,
    );
  });
});

describe('a fuse device', () => {
  test('that is not there is NOT_FOUND and says what to load', () => {
    expect(() => FuseDevice.open(scratch.join('fuse'))).toThrow(/is not there.*modprobe fuse/);
    expect(codeThrownBy(() => FuseDevice.open(scratch.join('fuse')))).toBe('NOT_FOUND');
  });

  test('that is no open descriptor is refused when it is adopted', () => {
    expect(codeThrownBy(() => FuseDevice.adopt(9999))).toBe('IO');
  });

  test('that was inherited is made non-blocking and closed on exec', () => {
    const script = `
      const { FuseDevice } = await import('${DIST}/fuse-device.js');
      const fs = await import('node:fs');
      const info = () => fs.readFileSync('/proc/self/fdinfo/3', 'utf8');
      const flags = () => /^flags:\\s+([0-7]+)$/m.exec(info())[1];
      const bits = () => (Number.parseInt(flags(), 8) & 0o2004000).toString(8);
      FuseDevice.adopt(3);
      console.log(bits());`;
    const fd = openSync(file, 'r');
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit', fd],
      encoding: 'utf8',
    });
    closeSync(fd);
    expect(stdout).toBe('2004000\n');
  });
});
