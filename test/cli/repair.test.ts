import { execFile, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../../src/format/control-area.ts';
import { FileLock } from '../../src/native/file-lock.ts';
import { expectReferenceRules, LogMemory, VECTOR_MASTER } from '../pool/log-memory.ts';

const MAIN = join(__dirname, '..', '..', 'dist', 'main.js');
const AS_MASTER = ['--system-uuid', VECTOR_MASTER];

let folder: string;
let device: string;
let copy: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-repair-'));
  device = join(folder, 'device');
  copy = join(folder, 'copy');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function famfs(...args: string[]): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args]);
  return { code: status ?? -1, out: String(stdout), err: String(stderr) };
}

/** An image of ../shared/vectors/omf as a sparse file of its device's size. */
function make(name: string): void {
  writeFileSync(device, LogMemory.image(name).bytes);
  const fd = openSync(device, 'r+');
  ftruncateSync(fd, 8 * GiB);
  closeSync(fd);
}

/** Superblock and log as they are on the device now. */
function onDevice(path = device): LogMemory {
  const bytes = new Uint8Array(10 * MiB);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, bytes.length, 0);
  closeSync(fd);
  return new LogMemory(bytes);
}

function expectUntouched(name: string): void {
  expect(Buffer.compare(onDevice().bytes, LogMemory.image(name).bytes)).toBe(0);
  expect(existsSync(copy)).toBe(false);
}

describe('famfs-csi repair', () => {
  test('without a way says what is wrong and what each way loses, and writes nothing', () => {
    make('e5_bad_entry_crc_mid');
    const { code, out, err } = famfs('repair', device);
    expect([code, err]).toEqual([1, '']);
    expect(out).toMatch(/device: 1 problem in 8 entries\n {2}entry 4: ENTRY_CRC: /);
    const [, cut = '', skip = ''] = out.split(/ {2}--(?:cut|skip): /);
    for (const lost of ['d1/page", 4096 bytes', 'd1/d2/hundred_mib", 104857600 bytes']) {
      expect(cut).toContain(`lost: file "${lost}`);
    }
    expect(skip).toContain('entry 4: becomes "lost+found-4", 2 MiB reserved');
    expect(skip).toContain('lost: file "d1/page", 4096 bytes');
    expect(skip).not.toContain('hundred_mib');
    expect(out).toContain('nothing was written');
    expectUntouched('e5_bad_entry_crc_mid');
  });

  test('says the same to programs', () => {
    make('e7_wrong_seqnum_mid');
    const { code, out } = famfs('repair', '--json', device);
    expect(code).toBe(1);
    const { ways, ...rest } = JSON.parse(out);
    expect(rest).toEqual({
      device,
      fsUuid: '20212223-2425-4627-a829-2a2b2c2d2e2f',
      problems: [
        { index: 4, code: 'ENTRY_SEQNUM', message: 'seqnum is 400, expected its index, 4' },
      ],
      entries: 8,
      unrevealed: 0,
    });
    expect(ways.map(({ way, refusal }: { way: string; refusal: null }) => [way, refusal])).toEqual([
      ['cut', null],
      ['skip', null],
      ['renumber', null],
    ]);
    expect(ways[1].lost).toEqual([
      {
        index: 4,
        type: 'file',
        path: 'd1/page',
        sizeBytes: 4096,
        note: 'as far as it can be read',
      },
    ]);
    expectUntouched('e7_wrong_seqnum_mid');
  });

  test.each([
    ['--skip', 'e5_bad_entry_crc_mid', 8],
    ['--cut', 'e5_bad_entry_crc_mid', 4],
    ['--renumber', 'e7_wrong_seqnum_mid', 8],
    ['--header', 'e3_bad_log_magic', 8],
    ['--header', 'e4_bad_log_crc', 8],
    ['--header', 'e12_seq_ne_index', 8],
  ])('%s repairs %s, after it saved what was there', (way, name, entries) => {
    make(name);
    const { code, out, err } = famfs('repair', device, way, '--backup', copy, ...AS_MASTER);
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(`what was there until now: ${copy}`);
    expect(Buffer.compare(readFileSync(copy), LogMemory.image(name).bytes)).toBe(0);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expectReferenceRules(onDevice());
    expect(onDevice().words()).toEqual([entries, entries]);
    expect(famfs('check', device)).toMatchObject({ code: 0, err: '' });
  });

  test('leaves a pool that can be used as any other, and finds nothing in it', () => {
    make('e5_bad_entry_crc_mid');
    famfs('repair', device, '--skip', '--backup', copy, ...AS_MASTER);
    const created = famfs('create', device, 'made', '--size', '5M', ...AS_MASTER);
    expect(created).toMatchObject({ code: 0, err: '' });
    expect(famfs('repair', device)).toMatchObject({ code: 0, err: '' });
    expectReferenceRules(onDevice());
  });

  test('puts back what was there before a repair', () => {
    make('e5_bad_entry_crc_mid');
    famfs('repair', device, '--cut', '--backup', copy, ...AS_MASTER);
    famfs('create', device, 'since', '--size', '1', ...AS_MASTER);
    const second = join(folder, 'second');
    const { code, out } = famfs(
      ...['repair', device, '--restore', copy, '--backup', second, ...AS_MASTER],
    );
    expect(code).toBe(0);
    expect(out).toContain('lost: file "since", 1 bytes, entry 4');
    const before = LogMemory.image('e5_bad_entry_crc_mid').bytes;
    const { bytes } = onDevice();
    bytes.fill(0, CONTROL_OFFSET, CONTROL_OFFSET + CONTROL_BYTES); // whose log it is
    expect(Buffer.compare(bytes, before)).toBe(0);
    expect(onDevice(second).words()).toEqual([5, 5]);
  });

  test('tells of whole entries behind the end, which nothing reveals', () => {
    make('e9_next_index_short');
    const { code, out } = famfs('repair', device);
    expect(code).toBe(0);
    expect(out).toContain('nothing to repair in its 5 entries');
    expect(out).toContain('note: 3 whole entries stand behind the end of the log');
    const refused = famfs('repair', device, '--header', '--backup', copy, ...AS_MASTER);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('repair: nothing is damaged; nothing was written');
    expectUntouched('e9_next_index_short');
  });

  test('drives no terminal by a path of the log', () => {
    const memory = LogMemory.image('e5_bad_entry_crc_mid');
    memory.slot(4).set(new TextEncoder().encode('\u001b[2Jgone'), 40);
    make('e5_bad_entry_crc_mid');
    writeFileSync(device, memory.bytes, { flag: 'r+' });
    const { out } = famfs('repair', device);
    expect(out).toContain('\\u001b[2Jgone');
    expect(out).not.toContain('\u001b');
  });
});

describe('famfs-csi repair refuses', () => {
  const E5 = 'e5_bad_entry_crc_mid';

  test.each<[string, string[], number, RegExp]>([
    ['no copy', ['--cut', ...AS_MASTER], 2, /--backup: missing/],
    ['two ways', ['--cut', '--skip', '--backup', 'copy', ...AS_MASTER], 2, /--cut: goes with/],
    ['another master', ['--cut', '--backup', 'copy'], 1, /master is 5f5e5d5c-.*--system-uuid/],
    ['a number of entries that is none', ['--header', '--entries', 'x'], 2, /--entries/],
    [
      'a restore and a repair',
      ['--cut', '--restore', 'x', '--backup', 'copy', ...AS_MASTER],
      2,
      /--restore: goes with no other/,
    ],
    [
      'a copy in no folder',
      ['--cut', '--backup', 'no/copy', ...AS_MASTER],
      2,
      /no\/copy: the copy/,
    ],
    [
      'a restore of nothing',
      ['--restore', 'x', '--backup', 'copy', ...AS_MASTER],
      1,
      /x: cannot be/,
    ],
  ])('%s', (_, args, code, text) => {
    make(E5);
    const inFolder = args.map((arg) => arg.replace(/^(copy|no\/copy|x)$/, `${folder}/$1`));
    const ran = famfs('repair', device, ...inFolder);
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err).toMatch(text);
    expectUntouched(E5);
  });

  test('to write over a file that is there', () => {
    make(E5);
    writeFileSync(copy, 'precious');
    const ran = famfs('repair', device, '--cut', '--backup', copy, ...AS_MASTER);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toMatch(/copy: exists already; a copy never replaces a file/);
    expect(readFileSync(copy, 'utf8')).toBe('precious');
    expect(onDevice().words()).toEqual([8, 8]);
  });

  test('to restore a file that is no copy, or is cut short', () => {
    make(E5);
    const other = join(folder, 'other');
    for (const [bytes, text] of [
      [LogMemory.image('a_empty_4g').bytes, /another pool/],
      [LogMemory.image(E5).bytes.subarray(0, 3 * MiB), /has 3145728 bytes, a copy .* is longer/],
    ] as const) {
      writeFileSync(other, bytes);
      const ran = famfs(...['repair', device, '--restore', other, '--backup', copy, ...AS_MASTER]);
      expect(ran).toMatchObject({ code: 2, out: '' });
      expect(ran.err).toMatch(text);
      expectUntouched(E5);
    }
  });

  test('a device without a famfs superblock', () => {
    writeFileSync(device, new Uint8Array(16 * MiB));
    const ran = famfs('repair', device);
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toMatch(/^famfs-csi: superblock: magic is 0x0/);
  });

  test('to go on before another writer is done', async () => {
    make(E5);
    const lock = FileLock.tryLock(device);
    if (lock === undefined) throw new Error('the test cannot lock its own file');
    const args = [MAIN, 'repair', device, '--cut', '--backup', copy, ...AS_MASTER];
    const ran = promisify(execFile)(process.execPath, args);
    const failed = await ran.then(
      () => undefined,
      (error: { code: number; stderr: string }) => error,
    );
    lock[Symbol.dispose]();
    expect(failed?.code).toBe(1);
    expect(failed?.stderr).toMatch(/another process has held the writer's lock for 10000 ms/);
    expectUntouched(E5);
  });
});
