import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { checkOf } from '../support/heap-memory.ts';
import { imageMemory, imageNames, readFacts } from '../support/vectors.ts';

const UNIT = 2 * MiB;
/** b_tree_8g, from which all of these were made: 5 files in 3 directories with 55 units. */
const TREE = ['d1/d2/d3/two_mib_plus1', 'd1/d2/hundred_mib', 'd1/d2/two_mib', 'd1/page', 'one'];
const TREE_ENTRIES = 8;
const TREE_UNITS = 55;

/** Images that cannot be used at all: the fault's code and text. */
const UNUSABLE: Record<string, readonly [code: string, message: RegExp]> = {
  e1_bad_sb_crc: ['CORRUPT', /^superblock: crc is/],
  e2_bad_sb_magic: ['NOT_FAMFS', /^superblock: magic is 0x87b282fe/],
  e3_bad_log_magic: ['CORRUPT', /^log header: magic/],
  e4_bad_log_crc: ['CORRUPT', /^log header: crc/],
  e11_next_index_huge: ['CORRUPT', /^log header: next_index is 1099511627776/],
  g1_omf_major_3: ['UNSUPPORTED', /^superblock: version 48, OMF major 3/],
  g4_version_49: ['UNSUPPORTED', /^superblock: version 49/],
};

interface Outcome {
  /** `INDEX CODE` of each problem. */
  readonly problems: readonly string[];
  /** Files besides those of b_tree_8g; or all files, where some of those are not served. */
  readonly more?: readonly string[];
  readonly files?: readonly string[];
  /** Units that are not free besides those of b_tree_8g; all, where there are fewer. */
  readonly moreUnits?: number;
  readonly units?: number;
  readonly directories?: number;
}

/** Images that are served, without what is damaged or rejected. */
const SERVED: Record<string, Outcome> = {
  e5_bad_entry_crc_mid: { problems: ['4 ENTRY_CRC', '4 ENTRIES_LOST'], files: ['one'], units: 1 },
  e7_wrong_seqnum_mid: { problems: ['4 ENTRY_SEQNUM', '4 ENTRIES_LOST'], files: ['one'], units: 1 },
  e9_next_index_short: { problems: [], files: ['d1/page', 'one'], units: 2 },
  e12_seq_ne_index: { problems: ['8 NEXT_SEQNUM'] },
  e15_alloc_unit_4k: { problems: [] },
  e17_other_system_uuid: { problems: [] },
  g3_omf_minor_99: { problems: [] },
  h1_dotdot_file: { problems: ['8 PATH'], moreUnits: 1 },
  h3_abs_path_mkdir: { problems: ['8 PATH'], more: ['good'], moreUnits: 1 },
  h5_dup_mkdir: { problems: ['8 DUPLICATE'] },
  h7_dir_over_file: { problems: ['8 DUPLICATE'] },
  h9_missing_parent_mkdir: { problems: ['8 PARENT'] },
  h11_type_99: { problems: ['8 ENTRY_TYPE'], more: ['good'], moreUnits: 1 },
  h13_path_79: { problems: [], more: ['p'.repeat(79)], moreUnits: 1 },
  h15_ext_offset_0: { problems: ['8 EXTENT_RANGE'] },
  h17_overlap_log: { problems: ['8 EXTENT_RANGE'] },
  h19_beyond_device: { problems: ['8 EXTENT_RANGE'] },
  h21_two_extents: { problems: [], more: ['two_ext'], moreUnits: 2 },
  h23_nextents_17: { problems: ['8 FMAP'], moreUnits: 16 },
  h25_nstrips_17: { problems: ['8 FMAP'], moreUnits: 16 },
  h27_niext_2: { problems: ['8 FMAP'], moreUnits: 2 },
  h29_size_0: { problems: ['8 FILE_SIZE'], moreUnits: 1 },
  h31_inner_dotdot: { problems: ['8 PATH'], moreUnits: 1 },
  h33_weird_chars: { problems: ['10 PATH'], more: ['a\nb: "c"', 'hé'], moreUnits: 3 },
  h35_delete_path: { problems: ['8 DELETE_TARGET'] },
};

describe('damaged and hostile images', () => {
  test('are all in one of the tables', () => {
    const names = imageNames().filter((name) => /^[egh]/.test(name));
    expect([...Object.keys(UNUSABLE), ...Object.keys(SERVED)].sort()).toEqual(names.sort());
    expect(imageNames().filter((name) => /^[abcdf]_/.test(name)).length).toBe(5);
  });

  test.each(Object.entries(UNUSABLE))('%s cannot be used', (name, [code, message]) => {
    const report = checkOf(imageMemory(name));
    expect(report).toMatchObject({ usable: false, error: code, superblock: null, files: 0 });
    const problem = { index: -1, code, message: expect.stringMatching(message) };
    expect(report.problems).toEqual([problem]);
  });

  test.each(Object.entries(SERVED))('%s is served as far as it is sound', (name, outcome) => {
    const { problems, more = [], files = [...TREE, ...more].sort(), moreUnits = 0 } = outcome;
    const { units = TREE_UNITS + moreUnits } = outcome;
    const memory = imageMemory(name);
    const report = checkOf(memory);
    expect(report.problems.map(({ index, code }) => `${index} ${code}`)).toEqual(problems);
    expect(report).toMatchObject({ usable: true, error: null, directories: 3 });
    expect(report.allocatedBytes).toBe(units * UNIT);
    const { namespace } = new LogFollower(memory).replica;
    expect([...namespace.files()].map(({ path }) => path).sort()).toEqual(files);
  });

  test.each(Object.keys(SERVED).filter((name) => name.startsWith('h')))(
    '%s has each entry counted, and no memory free that any of them names',
    (name) => {
      const { entries, device_size: deviceBytes } = readFacts(name);
      const memory = imageMemory(name);
      const { log } = checkOf(memory);
      const rejected = SERVED[name]?.problems.length ?? 0;
      expect(log).toMatchObject({ entries: entries.length, skipped: rejected });
      expect(log.applied).toBe(entries.length - rejected);
      expect(entries.length).toBeGreaterThan(TREE_ENTRIES);
      const { space } = new LogFollower(memory).replica;
      const named = entries.flatMap(({ extents = [], strips = [] }) => [...extents, ...strips]);
      for (const { devindex, offset, len } of named) {
        if (offset + len > deviceBytes) continue;
        expect(space.isFree({ devindex, offset, lengthBytes: len })).toBe(false);
      }
    },
  );

  test.each(['e5_bad_entry_crc_mid', 'e7_wrong_seqnum_mid'])(
    '%s reports how many entries are lost',
    (name) => {
      const report = checkOf(imageMemory(name));
      expect(report.log).toEqual({ entries: 8, applied: 4, skipped: 0, capacity: 15420 });
      expect(report.problems[1]?.message).toMatch(/^4 entries from here on are not served/);
    },
  );
});
