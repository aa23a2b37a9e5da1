import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { FileLock } from '../../src/native/file-lock.ts';
import { famfs, famfsJson, startFamfs } from '../support/command-line.ts';
import { Scratch } from '../support/scratch.ts';
import { eventually } from '../support/test-cluster.ts';
import { ImageFile } from '../support/vectors.ts';

const UUID = '01234567-89ab-4def-8123-456789abcdef';
const DATA_START = 10 * MiB;

let scratch: Scratch;

beforeAll(() => {
  scratch = new Scratch('/dev/shm');
});

afterAll(() => scratch[Symbol.dispose]());

/** What a command prints when all is well. */
function printed(...args: string[]): string {
  const { status, stdout, stderr } = famfs(args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** What a command that is refused says, with its exit code. */
function refusal(...args: string[]): string {
  const { status, stdout, stderr } = famfs(args);
  expect(stdout).toBe('');
  return `${status} ${stderr.trimEnd()}`;
}

function newPool(name: string, size = '64M', ...options: string[]): string {
  const device = scratch.join(name);
  printed('mkfs', '--size', size, ...options, device);
  return device;
}

describe('a pool, from mkfs to rm', () => {
  let device: string;

  beforeAll(() => {
    device = scratch.join('pool');
  });

  test('mkfs makes the file and the pool on it, and says what and how large', () => {
    const text = printed('mkfs', '--size', '64M', '--fs-uuid', UUID, device);
    expect(text.split('\n')).toEqual([
      `${device}: a famfs pool of 64 MiB, uuid ${UUID}`,
      'log: 8 MiB, 15420 entries',
      'note: the reference tools do not take devices under 4 GiB',
      '',
    ]);
    expect(statSync(device).size).toBe(64 * MiB);
  });

  test('info shows superblock, log and space', () => {
    const lines = printed('info', device).split('\n');
    expect(lines[0]).toBe(`pool ${UUID} on ${device} (${device})`);
    expect(lines.slice(1).map((line) => line.trim())).toEqual([
      'format      famfs OMF 2.2, allocation unit 2 MiB',
      expect.stringMatching(/^master {6}[0-9a-f-]{36}$/),
      'memory      64 MiB: 0 B allocated, 54 MiB free, the largest piece 54 MiB',
      'log         0 of 15420 entries used, 0 of them live',
      'files       0 in 0 directories',
      '',
    ]);
    expect(famfsJson(['info', device])).toEqual({
      device,
      superblock: expect.objectContaining({ fsUuid: UUID, deviceSizeBytes: 64 * MiB }),
      log: { entries: 0, capacity: 15420, live: 0, dead: 0, free: 15420, generation: 0 },
      devices: [{ deviceUuid: expect.any(String), sizeBytes: 64 * MiB, path: device }],
      files: 0,
      directories: 0,
      allocatedBytes: 0,
      liveBytes: 0,
      quarantinedBytes: 0,
      freeBytes: 54 * MiB,
      largestFreeBytes: 54 * MiB,
      problems: 0,
      damage: null,
    });
  });

  test('mkdir and create say where they put what', () => {
    expect(printed('ls', device)).toBe('(empty)\n');
    expect(printed('mkdir', device, 'models')).toBe('models: made, log entry 0\n');
    expect(famfsJson(['mkdir', device, 'models/old', '--mode', '0700'])).toEqual({
      path: 'models/old',
      logIndex: 1,
    });
    expect(printed('create', '--size', '3M', device, 'models/weights')).toBe(
      'models/weights: made, 3145728 bytes, simple, log entry 2\n' +
        `  device 0: 4 MiB at ${DATA_START}\n`,
    );
    const owner = ['--mode', '0640', '--uid', '1000', '--gid', '100'];
    expect(famfsJson(['create', '--size', '1', ...owner, device, 'models/old/tiny'])).toEqual({
      path: 'models/old/tiny',
      sizeBytes: 1,
      logIndex: 3,
      fmap: {
        type: 'simple',
        extents: [{ devindex: 0, offset: DATA_START + 4 * MiB, lengthBytes: 2 * MiB }],
      },
    });
  });

  test('ls lists a directory, all below it, or a file', () => {
    const models = ' 0755  0:0                       0  models/\n';
    expect(printed('ls', device)).toBe(models);
    const old = ' 0700  0:0                       0  models/old/\n';
    const weights = ' 0644  0:0                 3145728  models/weights\n';
    const tiny = ' 0640  1000:100                  1  models/old/tiny\n';
    expect(printed('ls', device, 'models')).toBe(old + weights);
    expect(printed('ls', device, '/models/')).toBe(old + weights);
    expect(printed('ls', '-r', device)).toBe(models + old + tiny + weights);
    expect(printed('ls', device, 'models/weights')).toBe(weights);
    expect(famfsJson(['ls', device, 'models/old'])).toEqual({
      entries: [
        {
          path: 'models/old/tiny',
          type: 'file',
          mode: '0640',
          uid: 1000,
          gid: 100,
          sizeBytes: 1,
          logIndex: 3,
        },
      ],
    });
  });

  test('map draws the memory, or tells the extents of a file', () => {
    expect(printed('map', device).split('\n')).toEqual([
      '64 MiB of memory, 2 MiB a cell:',
      `  ABBBBCCD${'·'.repeat(24)}`,
      '  A superblock: 2 MiB at [0 B, 2 MiB)',
      '  B log, 4 of 15420 entries: 8 MiB at [2 MiB, 10 MiB)',
      '  C models/weights: 4 MiB at [10 MiB, 14 MiB)',
      '  D models/old/tiny: 2 MiB at [14 MiB, 16 MiB)',
      '  · free   + shared by several',
      '',
    ]);
    expect(printed('map', device, 'models/weights')).toBe(
      `models/weights: 3145728 bytes, simple\n  device 0: [${DATA_START}, ${14 * MiB})\n`,
    );
    expect(famfsJson(['map', device])).toMatchObject({
      device,
      sizeBytes: 64 * MiB,
      regions: [
        { label: 'superblock', offset: 0, lengthBytes: 2 * MiB },
        { offset: 2 * MiB, lengthBytes: 8 * MiB },
        { label: 'models/weights', offset: DATA_START, lengthBytes: 4 * MiB },
        { label: 'models/old/tiny' },
      ],
    });
    expect(famfsJson(['map', device, 'models/weights'])).toMatchObject({ sizeBytes: 3 * MiB });
  });

  test('rm takes a file, and a directory only with all that is in it', () => {
    expect(refusal('rm', device, 'models')).toBe(
      '2 famfs-csi: models: is a directory with 2 entries; give -r',
    );
    expect(printed('rm', device, 'models/weights')).toBe('models/weights: deleted\n');
    expect(famfsJson(['rm', '-r', device, 'models/'])).toEqual({
      deleted: ['models/old/tiny', 'models/old', 'models'],
    });
    expect(printed('ls', '-r', device)).toBe('(empty)\n');
    expect(refusal('rm', device, '/')).toMatch(/^2 famfs-csi: path "\/": is the pool itself/);
  });

  test('the memory of what was deleted is shown, and not handed out again', () => {
    expect(printed('map', device)).toContain(
      'C deleted, not handed out again: 6 MiB at [10 MiB, 14 MiB) [14 MiB, 16 MiB)',
    );
    expect(printed('create', '--size', '2M', device, 'new')).toContain(`2 MiB at ${16 * MiB}`);
  });

  test('check calls it clean, and nothing has changed by that', () => {
    const before = readFileSync(device);
    expect(printed('check', device).split('\n')).toEqual([
      `${device}: clean`,
      '  log: 9 of 15420 entries, 9 applied, 0 skipped',
      '  1 files in 0 directories, 8 MiB allocated, 46 MiB free',
      '',
    ]);
    expect(readFileSync(device).equals(before)).toBe(true);
  });
});

describe('mkfs', () => {
  test('refuses a device that holds a pool, or anything, without --force', () => {
    const device = newPool('occupied');
    const before = readFileSync(device);
    expect(refusal('mkfs', device)).toMatch(
      /^1 famfs-csi: device: holds a famfs superblock \(pool [0-9a-f-]{36}\); nothing was written;/,
    );
    expect(readFileSync(device).equals(before)).toBe(true);
    expect(famfsJson(['mkfs', '--force', '--fs-uuid', UUID, device])).toMatchObject({
      device,
      fsUuid: UUID,
    });
    expect(refusal('mkfs', '--size', '64M', device)).toMatch(/^2 famfs-csi: --size: .*exists/);
  });

  test.each<[string[], RegExp]>([
    [['--size', '1M'], /^2 famfs-csi: device: has 1 MiB .* needs at least 12 MiB/],
    [['--size', '64M', '--log-size', '9M'], /^2 famfs-csi: log size: found 9437184, expected a po/],
    [['--size', '64M', '--device-name', 'n'.repeat(64)], /^2 famfs-csi: device name: found 64/],
  ])('with %j leaves no file behind', (options, message) => {
    const device = scratch.join('failed');
    expect(refusal('mkfs', ...options, device)).toMatch(message);
    expect(existsSync(device)).toBe(false);
  });

  test('takes a device with a long path: its name in the superblock is what fits', () => {
    const [device, nameless] = ['d'.repeat(60), 'n'.repeat(80)].map((name) => scratch.join(name));
    const inside = (options: string[]) => famfsJson(['mkfs', '--size', '16M', ...options]);
    expect(device?.length).toBeGreaterThan(63);
    expect(inside([device ?? ''])).toMatchObject({ deviceName: 'd'.repeat(60) });
    expect(inside([nameless ?? ''])).toMatchObject({ deviceName: 'unnamed' });
  });
});

describe('create', () => {
  let device: string;

  beforeAll(() => {
    device = newPool('refusing');
    printed('create', '--size', '2M', device, 'f');
  });

  test('interleaves over strips of a large device', () => {
    const large = newPool('large', '4G');
    const args = ['create', '--size', '10M', '--strips', '2', '--chunk-size', '4M', large, 'f'];
    expect(famfsJson(args)).toMatchObject({
      fmap: {
        type: 'interleaved',
        chunkBytes: 4 * MiB,
        strips: [
          { devindex: 0, offset: DATA_START, lengthBytes: 8 * MiB },
          { devindex: 0, offset: 2 * GiB, lengthBytes: 8 * MiB },
        ],
      },
    });
    expect(printed('map', large, 'f')).toBe(
      'f: 10485760 bytes, interleaved, chunks of 4194304\n' +
        `  device 0: [${DATA_START}, ${DATA_START + 8 * MiB})\n` +
        `  device 0: [${2 * GiB}, ${2 * GiB + 8 * MiB})\n`,
    );
  });

  test.each<[string[], RegExp]>([
    [['f'], /^1 famfs-csi: path "f": exists already, a file from log entry 0$/],
    [['dir/f'], /^1 famfs-csi: path "dir\/f": its parent directory is missing$/],
    [['f/g'], /^1 famfs-csi: path "f\/g": its parent directory is a file$/],
    [['../g'], /^2 famfs-csi: path "..\/g": has the component ".."$/],
    [['/g'], /^2 famfs-csi: path "\/g": is absolute, expected one relative to the pool$/],
    [[''], /^2 famfs-csi: path "": has 0 bytes, expected 1 to 79$/],
    [['n'.repeat(80)], /^2 famfs-csi: path "n{80}": has 80 bytes, expected 1 to 79$/],
    [['.meta'], /^2 famfs-csi: path ".meta": .meta is reserved/],
    [
      ['g', '--size', '1G'],
      /^1 famfs-csi: pool: no room for 1073741824 bytes .* is 54525952 bytes/,
    ],
    [['g', '--strips', '2'], /^2 famfs-csi: interleaving: of 2 buckets the smallest has 32 MiB/],
    [['g', '--system-uuid', UUID], /^1 famfs-csi: pool .*: its master is [0-9a-f-]{36}, this writ/],
  ])('%j is refused', (args, message) => {
    const size = args.includes('--size') ? [] : ['--size', '2M'];
    expect(refusal('create', ...size, device, ...args)).toMatch(message);
  });

  test('that was refused has appended nothing', () => {
    expect(famfsJson(['check', device])).toMatchObject({ log: { entries: 1 }, problems: [] });
  });

  test('is refused when the log is full, or damaged, or the device not to be written', () => {
    using full = new ImageFile('d_full_log_64g');
    const { superblock } = famfsJson(['info', full.path]) as { superblock: { systemUuid: string } };
    const writer = ['--system-uuid', superblock.systemUuid];
    expect(refusal('create', ...writer, '--size', '2M', full.path, 'g')).toMatch(
      /^1 famfs-csi: log: 1 more entries do not fit, 0 of 15420 are free; .*mkfs --log-size/,
    );
    using damaged = new ImageFile('e5_bad_entry_crc_mid');
    expect(refusal('create', ...writer, '--size', '2M', damaged.path, 'g')).toMatch(
      /^1 famfs-csi: pool .*: its log is damaged at entry 4 \(crc is/,
    );
    truncateSync(damaged.path, 16 * MiB);
    expect(refusal('create', ...writer, '--size', '2M', damaged.path, 'g')).toMatch(
      /^2 famfs-csi: .*device: has 16777216 bytes, its superblock says 8589934592/,
    );
  });
});

describe('a path that the pool has not', () => {
  let device: string;

  beforeAll(() => {
    device = newPool('bare');
  });

  test.each([
    ['ls', 'no such file or directory in the pool on'],
    ['rm', 'no such file or directory in the pool on'],
    ['map', 'no such file in the pool on'],
  ])('is refused by %s with exit code 1', (name, message) => {
    expect(refusal(name, device, 'gone')).toBe(`1 famfs-csi: gone: ${message} ${device}`);
  });
});

describe('what is no pool', () => {
  test('is refused with exit code 2', () => {
    const file = scratch.join('text');
    writeFileSync(file, 'no superblock'.repeat(100));
    expect(refusal('info', file)).toMatch(/^2 famfs-csi: .*superblock: magic is 0x[0-9a-f]+, expe/);
    expect(refusal('map', scratch.path)).toBe(
      `2 famfs-csi: ${scratch.path}: is a directory, expected a dax device such as ` +
        '/dev/dax0.0, or a file',
    );
    expect(readFileSync(file, 'utf8')).toBe('no superblock'.repeat(100));
  });
});

describe('commands at the same time', () => {
  test('append one after the other: every file is there, no memory is shared', async () => {
    const device = newPool('busy');
    const names = ['a', 'b', 'same', 'same'];
    const running = [];
    {
      // Nobody may append before all of them are there and want to.
      using lock = FileLock.tryLock(device);
      expect(lock).toBeDefined();
      for (const name of names) running.push(startFamfs(['create', '--size', '3M', device, name]));
      for (const { pid } of running) {
        await eventually(`process ${pid} has the device mapped`, () =>
          readFileSync(`/proc/${pid}/maps`, 'utf8').includes(device) ? true : undefined,
        );
      }
    }
    const ended = await Promise.all(running.map(({ done }) => done));
    const failed = ended.filter(({ status }) => status !== 0);
    expect(failed).toEqual([
      { status: 1, stdout: '', stderr: expect.stringMatching(/path "same": exists already/) },
    ]);
    expect(famfsJson(['check', device])).toMatchObject({
      log: { entries: 3, applied: 3, skipped: 0 },
      files: 3,
      problems: [],
      allocatedBytes: 12 * MiB,
    });
  });
});
