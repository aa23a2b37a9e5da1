import { truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { encodeLogEntry } from '../../src/format/log-entry.ts';
import {
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../../src/format/log-header.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { famfs, famfsJson } from '../support/command-line.ts';
import { Scratch } from '../support/scratch.ts';
import { ImageFile, readFacts } from '../support/vectors.ts';

const count = z.number().int().nonnegative();
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

/** The object that users build on: no field more, no field less. */
const REPORT = z.strictObject({
  usable: z.boolean(),
  error: z.enum(['CORRUPT', 'NOT_FAMFS', 'UNSUPPORTED', 'NOT_FOUND', 'INVALID']).nullable(),
  superblock: z
    .strictObject({
      logOffset: count,
      logLengthBytes: count,
      allocUnitBytes: count,
      omfMajor: count,
      omfMinor: count,
      fsUuid: uuid,
      deviceUuid: uuid,
      systemUuid: uuid,
      flags: count,
      deviceSizeBytes: count,
      deviceName: z.string(),
    })
    .nullable(),
  log: z.strictObject({ entries: count, applied: count, skipped: count, capacity: count }),
  files: count,
  directories: count,
  problems: z.array(
    z.strictObject({
      index: z.number().int().min(-1),
      code: z.string().regex(/^[A-Z_]+$/),
      message: z.string().min(10),
    }),
  ),
  allocatedBytes: count,
  freeBytes: count,
  largestFreeBytes: count,
});
const FIELDS = [
  ...['usable', 'error', 'superblock', 'log', 'files', 'directories', 'problems'],
  ...['allocatedBytes', 'freeBytes', 'largestFreeBytes'],
];

let scratch: Scratch;

beforeAll(() => {
  scratch = new Scratch('/dev/shm');
});

afterAll(() => scratch[Symbol.dispose]());

/** What `check --json` prints of a device, held to its shape; `status` is its exit code. */
function check(device: string, status: 0 | 1 | 2) {
  const value = famfsJson(['check', device], status);
  expect(Object.keys(value as object)).toEqual(FIELDS);
  const report = REPORT.parse(value);
  expect(report.log.applied + report.log.skipped).toBeLessThanOrEqual(report.log.entries);
  expect(report.largestFreeBytes).toBeLessThanOrEqual(report.freeBytes);
  return report;
}

const summary = (report: ReturnType<typeof check>) => ({
  log: [report.log.entries, report.log.applied, report.log.skipped],
  nodes: [report.files, report.directories],
  problems: report.problems.map(({ index, code }) => `${index} ${code}`),
});

describe('check of a pool without fault', () => {
  test.each([
    ['a_empty_4g', [0, 0, 0], [0, 0]],
    ['e9_next_index_short', [5, 5, 0], [2, 3]],
    ['e15_alloc_unit_4k', [8, 8, 0], [5, 3]],
    ['e17_other_system_uuid', [8, 8, 0], [5, 3]],
    ['h13_path_79', [9, 9, 0], [6, 3]],
    ['h21_two_extents', [9, 9, 0], [6, 3]],
  ])('%s is clean, with exit code 0', (name, log, nodes) => {
    using image = new ImageFile(name);
    const report = check(image.path, 0);
    expect({ usable: report.usable, error: report.error }).toEqual({ usable: true, error: null });
    expect(summary(report)).toEqual({ log, nodes, problems: [] });
    const { superblock, device_size } = readFacts(name);
    expect(report.superblock?.fsUuid).toBe(superblock.fs_uuid);
    expect(report.superblock?.systemUuid).toBe(superblock.system_uuid);
    const logEnd = superblock.log_offset + superblock.log_len;
    expect(report.allocatedBytes + report.freeBytes).toBe(device_size - logEnd);
  });
});

describe('check of a pool with faults', () => {
  test.each([
    ['e5_bad_entry_crc_mid', [8, 4, 0], [1, 3], ['4 ENTRY_CRC', '4 ENTRIES_LOST']],
    ['e7_wrong_seqnum_mid', [8, 4, 0], [1, 3], ['4 ENTRY_SEQNUM', '4 ENTRIES_LOST']],
    ['e12_seq_ne_index', [8, 8, 0], [5, 3], ['8 NEXT_SEQNUM']],
    ['h1_dotdot_file', [9, 8, 1], [5, 3], ['8 PATH']],
    ['h3_abs_path_mkdir', [10, 9, 1], [6, 3], ['8 PATH']],
    ['h5_dup_mkdir', [9, 8, 1], [5, 3], ['8 DUPLICATE']],
    ['h7_dir_over_file', [9, 8, 1], [5, 3], ['8 DUPLICATE']],
    ['h9_missing_parent_mkdir', [9, 8, 1], [5, 3], ['8 PARENT']],
    ['h11_type_99', [10, 9, 1], [6, 3], ['8 ENTRY_TYPE']],
    ['h15_ext_offset_0', [9, 8, 1], [5, 3], ['8 EXTENT_RANGE']],
    ['h17_overlap_log', [9, 8, 1], [5, 3], ['8 EXTENT_RANGE']],
    ['h19_beyond_device', [9, 8, 1], [5, 3], ['8 EXTENT_RANGE']],
    ['h23_nextents_17', [9, 8, 1], [5, 3], ['8 FMAP']],
    ['h25_nstrips_17', [9, 8, 1], [5, 3], ['8 FMAP']],
    ['h27_niext_2', [9, 8, 1], [5, 3], ['8 FMAP']],
    ['h29_size_0', [9, 8, 1], [5, 3], ['8 FILE_SIZE']],
    ['h31_inner_dotdot', [9, 8, 1], [5, 3], ['8 PATH']],
    ['h33_weird_chars', [11, 10, 1], [7, 3], ['10 PATH']],
    ['h35_delete_path', [9, 8, 1], [5, 3], ['8 DELETE_TARGET']],
  ])('%s is served and its faults are told, with exit code 1', (name, log, nodes, problems) => {
    using image = new ImageFile(name);
    const report = check(image.path, 1);
    expect({ usable: report.usable, error: report.error }).toEqual({ usable: true, error: null });
    expect(summary(report)).toEqual({ log, nodes, problems });
  });

  test('says so to people too, fault by fault', () => {
    using image = new ImageFile('e5_bad_entry_crc_mid');
    const { status, stdout, stderr } = famfs(['check', image.path]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      `${image.path}: 2 problems`,
      expect.stringMatching(/^ {2}entry 4: ENTRY_CRC: crc is \d+, the entry's bytes give \d+$/),
      '  entry 4: ENTRIES_LOST: 4 entries from here on are not served; repair the log',
      '  log: 8 of 15420 entries, 4 applied, 0 skipped',
      expect.stringMatching(/^ {2}1 files in 3 directories, /),
      '',
    ]);
  });

  test('of a log with very many lists the first, and says how many more there are', () => {
    const device = scratch.join('many');
    famfsJson(['mkfs', '--size', '16M', device]);
    {
      using memory = Mapping.open(device, { writable: true });
      const entry = { type: 'mkdir', path: 'gone/d', mode: 0o755, uid: 0, gid: 0 } as const;
      for (let index = 0; index < 1500; index++) {
        memory.copyIn(LOG_OFFSET + entryOffset(index), encodeLogEntry(index, entry));
      }
      memory.publish(LOG_OFFSET + NEXT_SEQNUM_OFFSET, 1500n);
      memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, 1500n);
    }
    const { log, problems } = check(device, 1);
    expect(log).toEqual({ entries: 1500, applied: 0, skipped: 1500, capacity: 15420 });
    expect(problems.length).toBe(1001);
    expect(problems.at(-1)).toEqual({
      index: -1,
      code: 'MORE_PROBLEMS',
      message: '500 more problems are not listed',
    });
    const { stdout } = famfs(['check', device]);
    expect(stdout.slice(0, stdout.indexOf('\n'))).toBe(`${device}: more than 1000 problems`);
  });
});

describe('check of what cannot be used', () => {
  /** All that is known then is why, and it is the one problem. */
  function unusable(device: string, code: string, message: RegExp): void {
    const { problems, ...rest } = check(device, 2);
    expect(rest).toEqual({
      usable: false,
      error: code,
      superblock: null,
      log: { entries: 0, applied: 0, skipped: 0, capacity: 0 },
      files: 0,
      directories: 0,
      allocatedBytes: 0,
      freeBytes: 0,
      largestFreeBytes: 0,
    });
    expect(problems).toEqual([{ index: -1, code, message: expect.stringMatching(message) }]);
  }

  test.each([
    ['e1_bad_sb_crc', 'CORRUPT', /^superblock: crc is 0x/],
    ['e2_bad_sb_magic', 'NOT_FAMFS', /^superblock: magic is 0x87b282fe, expected 0x87b282ff/],
    ['e3_bad_log_magic', 'CORRUPT', /^log header: magic is 0x/],
    ['e4_bad_log_crc', 'CORRUPT', /^log header: crc is 0x/],
    ['e11_next_index_huge', 'CORRUPT', /^log header: next_index is 1099511627776, the log holds/],
    ['g1_omf_major_3', 'UNSUPPORTED', /OMF major 3/],
    ['g4_version_49', 'UNSUPPORTED', /^superblock: version 49/],
  ])('%s says %s, with exit code 2', (name, code, message) => {
    using image = new ImageFile(name);
    unusable(image.path, code, message);
  });

  test('a device shorter than its log, no device, and no memory at all', () => {
    using image = new ImageFile('b_tree_8g');
    truncateSync(image.path, 4096);
    unusable(image.path, 'CORRUPT', /^device: has 4096 bytes, its superblock says 8589934592/);
    writeFileSync(image.path, Buffer.alloc(0));
    unusable(image.path, 'INVALID', /has 0 bytes/);
    writeFileSync(image.path, Buffer.alloc(100, 0xff));
    unusable(image.path, 'NOT_FAMFS', /^superblock: magic is 0xffffffffffffffff/);
    unusable(scratch.join('gone'), 'NOT_FOUND', /no such device or file/);
    unusable(scratch.path, 'INVALID', /is a directory/);
  });

  test('is told to people as well', () => {
    using image = new ImageFile('e1_bad_sb_crc');
    const { status, stdout } = famfs(['check', image.path]);
    expect(status).toBe(2);
    expect(stdout).toMatch(/: cannot be used\n {2}CORRUPT: superblock: crc is 0x\w+, its bytes/);
  });
});
