import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { addon } from '../../src/native/addon.ts';
import {
  DESCRIPTORS_MAX,
  DescriptorReceiver,
  sendDescriptors,
} from '../../src/native/descriptor-socket.ts';
import { FileLock } from '../../src/native/file-lock.ts';
import { caught } from '../support/caught.ts';

let folder: string;
let path: string;
let open: number[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-fds-'));
  path = join(folder, 'here.sock');
  open = [];
});

afterEach(() => {
  for (const fd of open) closeSync(fd);
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): number {
  writeFileSync(join(folder, name), text);
  open.push(openSync(join(folder, name), 'r'));
  return open.at(-1) as number;
}

const isClosedOnExec = (fd: number) =>
  (Number.parseInt(
    /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
    8,
  ) &
    0o2000000) !==
  0;

describe('descriptors over a socket', () => {
  test('arrive as copies, in their order, closed on exec, with the text', () => {
    using receiver = DescriptorReceiver.listen(path);
    sendDescriptors(path, {
      text: 'zwei Dateien ü',
      fds: [file('a', 'first'), file('b', 'second')],
    });
    const message = receiver.receive(1_000);
    open.push(...(message?.fds ?? []));
    expect(message?.text).toBe('zwei Dateien ü');
    expect(message?.fds.map((fd) => readFileSync(fd, 'utf8'))).toEqual(['first', 'second']);
    expect(message?.fds.every(isClosedOnExec)).toBe(true);
  });

  test('are received at a socket that is its user’s only, and leaves no file', () => {
    {
      using _ = DescriptorReceiver.listen(path);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(caught(() => statSync(path)).code).toBe('ENOENT');
  });

  test('arrive up to 253, and are refused beyond', () => {
    using receiver = DescriptorReceiver.listen(path);
    const fd = file('a', 'one');
    sendDescriptors(path, { text: '.', fds: Array(DESCRIPTORS_MAX).fill(fd) });
    const message = receiver.receive(1_000);
    open.push(...(message?.fds ?? []));
    expect(message?.fds).toHaveLength(253);
    expect(caught(() => sendDescriptors(path, { text: '.', fds: Array(254).fill(fd) }))).toEqual({
      code: 'INVALID',
      message: expect.stringContaining('at most 253 descriptors'),
    });
  });

  test('are alive on their way, after the sender has closed its own', () => {
    using receiver = DescriptorReceiver.listen(path);
    file('a', 'still here');
    sendDescriptors(path, { text: '.', fds: [open[0] as number] });
    closeSync(open.pop() as number);
    const [fd] = receiver.receive(0)?.fds ?? [];
    open.push(fd as number);
    expect(readFileSync(fd as number, 'utf8')).toBe('still here');
  });

  test('keep a lock until the last copy is closed', () => {
    const locked = join(folder, 'locked');
    file('locked', '');
    using receiver = DescriptorReceiver.listen(path);
    const mine = FileLock.tryLock(locked) as FileLock;
    sendDescriptors(path, { text: '.', fds: [mine.fd] });
    mine[Symbol.dispose]();
    expect(FileLock.tryLock(locked)).toBeUndefined();
    const copy = FileLock.adopt(receiver.receive(0)?.fds[0] as number);
    expect(FileLock.tryLock(locked)).toBeUndefined();
    copy[Symbol.dispose]();
    using free = FileLock.tryLock(locked);
    expect(free).toBeDefined();
  });

  test('do not come when nobody sends, and cannot be sent where nobody listens', () => {
    {
      using receiver = DescriptorReceiver.listen(path);
      expect(receiver.receive(0)).toBeUndefined();
    }
    expect(caught(() => sendDescriptors(path, { text: '.', fds: [] })).code).toBe('NOT_FOUND');
  });

  test('do not come from a sender that dies before it sends', () => {
    using receiver = DescriptorReceiver.listen(path);
    const program = 'import socket, sys; socket.socket(1, 5).connect(sys.argv[1])';
    execFileSync('python3', ['-c', program, path]);
    expect(receiver.receive(20_000)).toBeUndefined();
  });

  test('are closed when the message is longer than the buffer', () => {
    const listening = addon().listenDescriptors(path);
    open.push(listening);
    const fd = file('a', 'x');
    const before = openCount();
    addon().sendDescriptors(path, new Uint8Array(100), [fd]);
    const take = () => addon().receiveDescriptors(listening, new Uint8Array(99), 1_000);
    expect(caught(take).code).toBe('EMSGSIZE');
    expect(openCount()).toBe(before);
  });

  test('are refused before anything is done where an argument is none', () => {
    const raw = addon() as unknown as Record<string, (...args: unknown[]) => unknown>;
    const call = (name: string, ...args: unknown[]) => caught(() => raw[name]?.(...args)).code;
    using _ = DescriptorReceiver.listen(path);
    expect(call('listenDescriptors', join(folder, 'x'.repeat(108)))).toBe('ARGUMENT');
    expect(call('listenDescriptors', path)).toBe('EADDRINUSE');
    expect(call('receiveDescriptors', 'no', new Uint8Array(1), 0)).toBe('ARGUMENT');
    expect(call('receiveDescriptors', 1, 'no', 0)).toBe('ARGUMENT');
    expect(call('receiveDescriptors', 1, new Uint8Array(1), -1)).toBe('RANGE');
    expect(call('sendDescriptors', path, new Uint8Array(0), [])).toBe('RANGE');
    expect(call('sendDescriptors', path, new Uint8Array(1), 'no')).toBe('RANGE');
    expect(call('sendDescriptors', path, new Uint8Array(1), ['no'])).toBe('ARGUMENT');
    expect(call('sendDescriptors', path, new Uint8Array(1), [1_000_000])).toBe('EBADF');
    expect(call('sendDescriptors', path, new Uint8Array(1))).toBe('ARGUMENT');
  });
});

const openCount = () => readdirSync('/proc/self/fd').length;
