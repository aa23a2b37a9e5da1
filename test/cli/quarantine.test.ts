import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { famfs, famfsJson } from '../support/command-line.ts';
import { Scratch } from '../support/scratch.ts';

/** Behind superblock and log. */
const FILES_OFFSET = 10 * MiB;

let scratch: Scratch;
let device: string;

/** What a command prints when all is well. */
function printed(...args: string[]): string[] {
  const { status, stdout, stderr } = famfs(args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

/** A pool from which volumes were deleted: each with one file of 4 MiB. */
function deletedVolumes(...volumes: readonly string[]): void {
  for (const volume of volumes) {
    printed('mkdir', device, volume);
    printed('create', device, `${volume}/data`, '--size', '4M');
    printed('rm', '-r', device, volume);
  }
}

beforeEach(() => {
  scratch = new Scratch('/dev/shm');
  device = scratch.join('pool');
  printed('mkfs', '--size', '64M', device);
});

afterEach(() => scratch[Symbol.dispose]());

describe('famfs-csi quarantine', () => {
  test('says by volume what is in quarantine, also after the log was rewritten', () => {
    deletedVolumes('pvc-1', 'pvc-2');
    const expected = [
      '8 MiB of 2 volumes in quarantine',
      'pvc-1: 4 MiB in 1 deleted file',
      'pvc-2: 4 MiB in 1 deleted file',
    ];
    expect(printed('quarantine', device)).toEqual(expected);
    printed('compact', device);
    expect(printed('quarantine', device)).toEqual(expected);
    expect(printed('info', device).map((line) => line.trim())).toContain(
      'quarantine  8 MiB of these are of 2 deleted files; see famfs-csi quarantine',
    );
  });

  test('prints the same as one JSON object', () => {
    deletedVolumes('pvc-1');
    expect(famfsJson(['quarantine', device])).toEqual({
      device,
      fsUuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      bytes: 4 * MiB,
      volumes: [{ volume: 'pvc-1', bytes: 4 * MiB, files: 1 }],
    });
    expect(famfsJson(['info', device])).toMatchObject({
      ...{ liveBytes: 0, quarantinedBytes: 4 * MiB, freeBytes: 50 * MiB },
      log: { entries: 4, live: 0, dead: 4, free: 15_416, generation: 0 },
    });
  });

  test('waits for a mounter that does not answer', () => {
    deletedVolumes('pvc-1');
    const socket = scratch.join('mounter.sock');
    expect(printed('quarantine', device, '--mounter', socket)).toEqual([
      '4 MiB of 1 volume in quarantine',
      'pvc-1: 4 MiB in 1 deleted file',
      `  waits for ${socket}: has never said what it holds`,
    ]);
  });

  test('gives back on an operator’s word what he names, and no more, and says the danger', () => {
    deletedVolumes('pvc-1', 'pvc-2', 'pvc-10');
    const [done, danger, kept] = printed('quarantine', device, '--release', 'pvc-1');
    expect([done, kept]).toEqual([
      '1 deleted file released: 4 MiB can be used again',
      '2 deleted files still in quarantine',
    ]);
    expect(danger).toMatch(/^danger: .*two files share memory.*a kernel that maps them may hang$/);
    expect(printed('quarantine', device)).toEqual([
      '8 MiB of 2 volumes in quarantine',
      'pvc-2: 4 MiB in 1 deleted file',
      'pvc-10: 4 MiB in 1 deleted file',
    ]);
    printed('quarantine', device, '--release-all');
    expect(famfsJson(['info', device])).toMatchObject({ freeBytes: 54 * MiB, quarantinedBytes: 0 });
    expect(famfsJson(['check', device])).toMatchObject({ problems: [] });
  });

  test('gives back memory that shows nothing of what was in it', () => {
    deletedVolumes('pvc-1');
    const deviceFile = openSync(device, 'r+');
    try {
      const text = Buffer.from('of another tenant');
      writeSync(deviceFile, text, 0, text.length, FILES_OFFSET);
      writeSync(deviceFile, text, 0, text.length, FILES_OFFSET + 4 * MiB - text.length);
      printed('quarantine', device, '--release', 'pvc-1');
      const bytes = Buffer.alloc(4 * MiB);
      readSync(deviceFile, bytes, 0, bytes.length, FILES_OFFSET);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    } finally {
      closeSync(deviceFile);
    }
  });

  test('does nothing for a volume that has nothing in quarantine', () => {
    deletedVolumes('pvc-1');
    const { status, stderr } = famfs(['quarantine', device, '--release', 'pvc-2']);
    expect([status, stderr]).toEqual([
      1,
      'famfs-csi: --release pvc-2: no deleted file of it is in quarantine; nothing was done\n',
    ]);
    expect(famfsJson(['info', device])).toMatchObject({ quarantinedBytes: 4 * MiB });
  });
});

describe('famfs-csi compact', () => {
  test('gives back no memory: that is another decision', () => {
    deletedVolumes('pvc-1');
    expect(printed('compact', device)).toEqual([
      'log: 4 entries, now 3',
      '1 deleted files keep their memory; see famfs-csi quarantine',
    ]);
    expect(famfs(['compact', '--free-deleted', device]).status).toBe(2);
  });
});
