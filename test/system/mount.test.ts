import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import { startPeer } from '../support/mapping-peer.ts';
import { TestCluster, type TestVolume } from '../support/test-cluster.ts';

const SIZE = 8 * MiB + 12345;
/** In an ordinary user's namespace there is no user 1: chown to it is an invalid argument. */
const isFirstNamespace = /^\s*0\s+0\s+4294967295/.test(readFileSync('/proc/self/uid_map', 'utf8'));
const REFUSALS = isFirstNamespace
  ? /Operation not permitted|not supported|Permission denied/
  : /Operation not permitted|not supported|Permission denied|Invalid argument/;

let cluster: TestCluster;
let volume: TestVolume;
let target: string;
let file: string;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-mount-test-'));
  cluster = await TestCluster.start(2, 256 * MiB);
  volume = await cluster.createVolume('vol', SIZE);
  target = await cluster.publish(volume, 0);
  file = join(target, 'data');
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

/** Runs a shell command line as a pod would; what it printed, and its exit code. */
function sh(script: string): { status: number | null; text: string } {
  const done = spawnSync('sh', ['-c', script], { cwd: target, encoding: 'utf8' });
  return { status: done.status, text: done.stdout + done.stderr };
}

function errnoOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

function sha256(path: string): string {
  return execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
}

describe('a volume on a real mount', () => {
  test('has exactly the size that was asked for, and the owner and mode of its parameters', () => {
    expect(sh('stat -c "%s %a %F" data').text).toBe(`${SIZE} 666 regular file\n`);
    expect(sh('ls -a').text.split('\n')).toEqual(['.', '..', 'data', '']);
  });

  test('lets two processes that map it see each other stores with no system call', async () => {
    const writer = await startPeer(file);
    const reader = await startPeer(file);
    try {
      await Promise.all([writer.ask('map'), reader.ask('map')]);
      // The reader spins on the word in its own mapping; nothing but the writer's store ends that.
      const seen = reader.ask('await-word 4096 cafe');
      await writer.ask('store-word 4096 cafe');
      expect(await seen).toBe('saw cafe');
      const back = writer.ask('await-word 8192 beef');
      await reader.ask('store-word 8192 beef');
      expect(await back).toBe('saw beef');
    } finally {
      await Promise.all([writer.stop(), reader.stop()]);
    }
  });

  test('round-trips dd at any offset and size', () => {
    const pattern = join(folder, 'pattern');
    for (const [offset, size] of [
      [0, 1],
      [1, 4095],
      [4095, 2],
      [4096, 4096],
      [2 * MiB - 3, 7],
      [3, 3 * MiB + 1],
      [SIZE - 1, 1],
      [SIZE - 70_000, 70_000],
    ] as const) {
      writeFileSync(pattern, randomBytes(size));
      const io = `bs=1M iflag=fullblock status=none`;
      expect(
        sh(`dd if=${pattern} of=data ${io} seek=${offset} oflag=seek_bytes conv=notrunc`),
      ).toEqual({ status: 0, text: '' });
      const flags = 'iflag=skip_bytes,count_bytes,fullblock';
      const back = sh(
        `dd if=data bs=1M status=none skip=${offset} count=${size} ${flags} | sha256sum`,
      );
      expect(back.text.slice(0, 64)).toBe(sha256(pattern));
    }
  });

  test('reads short at the end and nothing past it', () => {
    const fd = openSync(file, 'r');
    try {
      const buffer = Buffer.alloc(100);
      expect(readSync(fd, buffer, 0, 100, SIZE - 10)).toBe(10);
      expect(readSync(fd, buffer, 0, 100, SIZE)).toBe(0);
      expect(readSync(fd, buffer, 0, 100, SIZE + 5 * MiB)).toBe(0);
    } finally {
      closeSync(fd);
    }
  });

  test('never grows: a write across the end is short, one past it is EFBIG', () => {
    const fd = openSync(file, 'r+');
    try {
      expect(writeSync(fd, Buffer.alloc(100, 1), 0, 100, SIZE - 10)).toBe(10);
      expect(errnoOf(() => writeSync(fd, Buffer.alloc(100, 1), 0, 100, SIZE))).toBe('EFBIG');
      expect(errnoOf(() => writeSync(fd, Buffer.alloc(8, 1), 0, 8, SIZE + 4096))).toBe('EFBIG');
    } finally {
      closeSync(fd);
    }
    expect(errnoOf(() => writeFileSync(file, 'x', { flag: 'a' }))).toBe('EFBIG');
    expect(sh('stat -c %s data').text).toBe(`${SIZE}\n`);
  });

  test('refuses truncate, rm, mv, touch new, mkdir, ln and chmod, and is as it was', () => {
    const before = sha256(file);
    const listing = sh('ls -lan').text;
    for (const command of [
      'truncate -s 0 data',
      'truncate -s +1 data',
      ': > data',
      'rm -f data',
      'mv data other',
      'touch new',
      'mkdir sub',
      'ln -s data link',
      'ln data link',
      'chmod 600 data',
      'chown 1:1 data',
      'fallocate -l 100M data',
    ]) {
      const { status, text } = sh(command);
      expect({ command, refused: status !== 0, text }).toEqual({
        command,
        refused: true,
        text: expect.stringMatching(REFUSALS),
      });
    }
    expect(sha256(file)).toBe(before);
    expect(sh('ls -lan').text).toBe(listing);
  });

  test('survives rm -rf from inside a pod, and so does every other volume', async () => {
    const other = await cluster.createVolume('other', MiB);
    const before = sha256(file);
    expect(sh(`rm -rf ./* ${target}/data`).status).not.toBe(0);
    expect(sha256(file)).toBe(before);
    await cluster.controller.controller.validateVolumeCapabilities({
      volume_id: other.id,
      volume_capabilities: [
        { mount: { fs_type: '' }, access_mode: { mode: 'SINGLE_NODE_WRITER' } },
      ],
      volume_context: other.context,
    });
  });

  test('shows a pod nothing but its own volume', () => {
    expect(sh(`ls ${target}/..`).text).not.toContain('other');
    expect(sh('ls -a').text.split('\n').filter(Boolean)).toEqual(['.', '..', 'data']);
  });

  test('counts what the kernel asks, and nothing for pages that it has', async () => {
    const requests = async () => (await cluster.poolStatus(0)).requests ?? {};
    const before = await requests();
    const fd = openSync(file, 'r');
    readSync(fd, new Uint8Array(4096), 0, 4096, 0);
    const first = await requests();
    readSync(fd, new Uint8Array(4096), 0, 4096, 0);
    const second = await requests();
    closeSync(fd);
    expect([first.OPEN, first.READ]).toEqual([(before.OPEN ?? 0) + 1, (before.READ ?? 0) + 1]);
    expect(second).toEqual(first);
  });

  test('tells where the bytes are in extended attributes', () => {
    const list = execFileSync('python3', [
      '-c',
      'import os,sys; p=sys.argv[1]; print(os.listxattr(p)); ' +
        'print(os.getxattr(p,"user.famfs.logindex").decode()); ' +
        'print(os.getxattr(p,"user.famfs.extents").decode())',
      file,
    ]).toString();
    const [names, index, extents] = list.trim().split('\n');
    expect(names).toBe("['user.famfs.extents', 'user.famfs.logindex']");
    expect(Number(index)).toBe(1);
    expect(JSON.parse(extents ?? '')).toEqual({
      type: 'simple',
      extents: [{ devindex: 0, offset: 10 * MiB, lengthBytes: 10 * MiB }],
    });
  });

  test('is seen on another node after close and open, byte for byte', async () => {
    const elsewhere = join(await cluster.publish(volume, 1, true), 'data');
    const bytes = randomBytes(SIZE);
    const fd = openSync(file, 'r+');
    writeSync(fd, bytes, 0, SIZE, 0);
    closeSync(fd);
    expect(sha256(elsewhere)).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(errnoOf(() => openSync(elsewhere, 'r+'))).toBe('EROFS');
    const again = openSync(file, 'r+');
    writeSync(again, Buffer.from('changed'), 0, 7, 5 * MiB);
    closeSync(again);
    expect(sha256(elsewhere)).toBe(sha256(file));
    await cluster.unpublish(volume, 1);
  });

  test('is there on another node at the first look after it was made', async () => {
    const fresh = await cluster.createVolume('fresh', MiB);
    const mountRoot = cluster.nodes[1]?.local.mountRoot ?? '';
    expect(sh(`stat -c %s ${join(mountRoot, 'demo', fresh.id, 'data')}`).text).toBe(`${MiB}\n`);
  });
});
