import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../../src/format/control-area.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { type MkfsOptions, mkfs } from '../../src/pool/mkfs.ts';
import { recognise, SIGNATURE_BYTES } from '../../src/pool/signatures.ts';
import { caught } from '../support/caught.ts';
import { checkOf, HeapMemory } from '../support/heap-memory.ts';
import { writerOf } from '../support/log-writer.ts';
import { imageMemory, readFacts, readImage } from '../support/vectors.ts';

const { superblock: A } = readFacts('a_empty_4g');
const OPTIONS: MkfsOptions = {
  deviceName: A.daxdev_name,
  systemUuid: A.system_uuid,
  fsUuid: A.fs_uuid,
  deviceUuid: A.dev_uuid,
};
const LOG_OFFSET = 2 * MiB;
const FLAGS_OFFSET = 104;

function emptyMemory(lengthBytes = 4 * GiB): HeapMemory {
  return new HeapMemory(lengthBytes);
}

/** A memory that is zero but for these bytes. */
function memoryWith(offset: number, bytes: Uint8Array): HeapMemory {
  const memory = emptyMemory();
  memory.write(offset, bytes);
  memory.stores = 0;
  return memory;
}

function differences(one: Uint8Array, other: Uint8Array): number[] {
  const places: number[] = [];
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) places.push(at);
  return places;
}

describe('mkfs', () => {
  test('makes what the reference makes, to the byte, but for the flags', () => {
    const memory = emptyMemory(readFacts('a_empty_4g').device_size);
    mkfs(memory, OPTIONS);
    const image = readImage('a_empty_4g');
    const made = memory.read(0, image.length);
    // The reference's mkfs leaves the flags zero; ours says that this is the primary device.
    expect(differences(made, image)).toEqual([FLAGS_OFFSET]);
    expect([made[FLAGS_OFFSET], image[FLAGS_OFFSET]]).toEqual([1, 0]);
    expect(checkOf(memory)).toMatchObject({ usable: true, problems: [] });
  });

  test('gives each pool other uuids and an 8 MiB log where nothing else is asked for', () => {
    const { systemUuid, deviceName } = OPTIONS;
    const pools = [0, 1].map(() => mkfs(emptyMemory(), { systemUuid, deviceName }));
    expect(pools.map(({ logLengthBytes }) => logLengthBytes)).toEqual([8 * MiB, 8 * MiB]);
    const uuids = pools.flatMap(({ fsUuid, deviceUuid }) => [fsUuid, deviceUuid]);
    expect(new Set(uuids).size).toBe(4);
  });

  test.each([
    [8 * MiB, 15_420],
    [16 * MiB, 30_840],
    [256 * MiB, 493_447],
    [GiB, 1_973_790],
  ])('makes a log of %i bytes with %i slots', (logLengthBytes, capacity) => {
    const memory = emptyMemory();
    const made = mkfs(memory, { ...OPTIONS, logLengthBytes });
    const { superblock, replica } = new LogFollower(memory);
    expect(superblock).toEqual(made);
    expect(replica.capacity).toBe(capacity);
    expect(replica.space.freeBytes).toBe(4 * GiB - LOG_OFFSET - logLengthBytes);
  });

  test.each<[string, number, Partial<MkfsOptions>, RegExp]>([
    ['a log of 4 MiB', 4 * GiB, { logLengthBytes: 4 * MiB }, /^log size: found 4194304, .* 8 MiB/],
    ['a log of 12 MiB', 4 * GiB, { logLengthBytes: 12 * MiB }, /^log size: found 12582912/],
    ['a log of 2 GiB', 4 * GiB, { logLengthBytes: 2 * GiB }, /^log size: .* to 1 GiB/],
    ['a log of 0', 4 * GiB, { logLengthBytes: 0 }, /^log size: found 0/],
    ['half a byte', 4 * GiB, { logLengthBytes: 2 ** 23 + 0.5 }, /^log size/],
    ['a device under 12 MiB', 12 * MiB - 1, {}, /^device: has .* at least 12 MiB/],
    ['no device', 0, {}, /^device: has 0 B/],
    [
      'a log as large as the device',
      GiB,
      { logLengthBytes: GiB },
      /has 1 GiB \(1073741824 bytes\), .* \(1077936128 bytes\)/,
    ],
    ['a long name', 4 * GiB, { deviceName: 'n'.repeat(64) }, /^device name: found 64 bytes/],
    ['no uuid', 4 * GiB, { fsUuid: 'x' }, /^fs uuid: found "x"/],
    ['no master', 4 * GiB, { systemUuid: '' }, /^system uuid: found ""/],
  ])('refuses %s as INVALID and writes nothing', (_, lengthBytes, options, message) => {
    const memory = emptyMemory(lengthBytes);
    expect(caught(() => mkfs(memory, { ...OPTIONS, force: true, ...options }))).toEqual({
      code: 'INVALID',
      message: expect.stringMatching(message),
    });
    expect(memory.stores).toBe(0);
  });

  test('takes a device with room for a single unit', () => {
    const memory = emptyMemory(12 * MiB);
    mkfs(memory, OPTIONS);
    expect(checkOf(memory)).toMatchObject({ problems: [], freeBytes: 2 * MiB });
  });
});

const text = (value: string) => new TextEncoder().encode(value);

/** Where other formats have their magic, from the definitions of those formats. */
const SIGNATURES: readonly (readonly [name: string, offset: number, magic: Uint8Array])[] = [
  ['a GPT partition table', 512, text('EFI PART')],
  ['an XFS file system', 0, text('XFSB')],
  ['a LUKS volume', 0, text('LUKS')],
  ['an LVM physical volume', 512, text('LABELONE')],
  ['swap space', 4096 - 10, text('SWAPSPACE2')],
  ['a Btrfs file system', 64 * 1024 + 64, text('_BHRfS_M')],
  ['a squashfs image', 0, text('hsqs')],
  ['a zip archive', 0, text('PK\x03\x04')],
  ['an ELF file', 0, text('\x7fELF')],
  ['an NVDIMM label', 0, text('NAMESPACE_INDEX')],
  ['an NVDIMM pfn superblock', 4096, text('NVDIMM_PFN_INFO')],
  ['an NVDIMM dax superblock', 4096, text('NVDIMM_DAX_INFO')],
  ['an ext2, ext3 or ext4 file system', 1024 + 56, Uint8Array.of(0x53, 0xef)],
  ['a gzip file', 0, Uint8Array.of(0x1f, 0x8b)],
  ['a boot sector or DOS partition table', 510, Uint8Array.of(0x55, 0xaa)],
  ['data of an unknown kind', 0, Uint8Array.of(1)],
  ['data of an unknown kind', 4000, Uint8Array.of(0x80)],
  ['data of an unknown kind', SIGNATURE_BYTES - 1, Uint8Array.of(1)],
  ['data where a log goes', LOG_OFFSET + 47, Uint8Array.of(1)],
];

describe('mkfs of a device that is in use', () => {
  test.each(SIGNATURES)('refuses %s (at %i)', (name, offset, magic) => {
    const memory = memoryWith(offset, magic);
    const { code, message } = caught(() => mkfs(memory, OPTIONS));
    expect(code).toBe('EXISTS');
    expect(message).toBe(
      `device: holds ${name}; nothing was written; give another device, or --force to lose it`,
    );
    expect(memory.stores).toBe(0);
    mkfs(memory, { ...OPTIONS, force: true });
    expect(checkOf(memory)).toMatchObject({ usable: true, problems: [] });
  });

  test.each<[string, RegExp]>([
    ['b_tree_8g', /holds a famfs superblock \(pool 20212223-2425-4627-a829-2a2b2c2d2e2f\)/],
    ['e1_bad_sb_crc', /holds a famfs superblock \(superblock: crc is/],
    ['g1_omf_major_3', /holds a famfs superblock \(superblock: .* OMF major 3/],
    ['g4_version_49', /holds a famfs superblock \(superblock: version 49/],
    ['e2_bad_sb_magic', /holds data of an unknown kind/],
    ['e3_bad_log_magic', /holds a famfs superblock \(pool/],
    ['e11_next_index_huge', /holds a famfs superblock \(pool/],
  ])('refuses %s, and names what it found', (name, message) => {
    const memory = imageMemory(name);
    expect(caught(() => mkfs(memory, OPTIONS))).toEqual({
      code: 'EXISTS',
      message: expect.stringMatching(message),
    });
    expect(memory.stores).toBe(0);
    mkfs(memory, { ...OPTIONS, force: true });
    expect(checkOf(memory)).toMatchObject({ usable: true, problems: [], files: 0 });
  });

  test('names the file system rather than the partition table that guards it', () => {
    const start = new Uint8Array(SIGNATURE_BYTES);
    start.set([0x55, 0xaa], 510);
    start.set(text('EFI PART'), 512);
    expect(recognise(start)).toBe('a GPT partition table');
    expect(recognise(new Uint8Array(SIGNATURE_BYTES))).toBeUndefined();
  });

  test('by force changes superblock, control area and log header, and no other byte', () => {
    const old = new Uint8Array(10 * MiB).fill(0xa5);
    const memory = new HeapMemory(4 * GiB, old.slice());
    mkfs(memory, { ...OPTIONS, force: true });
    const made = memory.read(0, old.length);
    const image = readImage('a_empty_4g');
    image[FLAGS_OFFSET] = 1;
    expect(Buffer.compare(made.subarray(0, 200), image.subarray(0, 200))).toBe(0);
    const header = [LOG_OFFSET, LOG_OFFSET + 48] as const;
    expect(Buffer.compare(made.subarray(...header), image.subarray(...header))).toBe(0);
    old.set(made.subarray(0, 200));
    old.fill(0, CONTROL_OFFSET, CONTROL_OFFSET + CONTROL_BYTES); // nobody owns the new log
    old.set(made.subarray(...header), LOG_OFFSET);
    expect(Buffer.compare(made, old)).toBe(0);
  });

  test('by force brings no old entry back to life, also when new ones come before it', async () => {
    const memory = imageMemory('d_full_log_64g'); // 15,420 valid entries, now beyond next_index
    mkfs(memory, { ...OPTIONS, force: true });
    const follower = new LogFollower(memory);
    expect(follower.replica).toMatchObject({ position: 0, capacity: 15_420 });
    await writerOf(follower).append(() => ({
      entries: [{ type: 'mkdir', path: 'new', uid: 0, gid: 0, mode: 0o755 }],
      result: undefined,
    }));
    const report = checkOf(memory);
    expect(report).toMatchObject({ problems: [], files: 0, directories: 1, allocatedBytes: 0 });
    expect(report.log.entries).toBe(1);
  });

  const whole = checkOf(imageMemory('b_tree_8g'));
  test.each<[string, number, number, string]>([
    ['before it begins', 0, 0, 'old'],
    ['after the old magic', 1, 0, 'NOT_FAMFS'],
    ['in the log header', 1, 20, 'NOT_FAMFS'],
    ['after the log header', 2, 0, 'NOT_FAMFS'],
    ['in the new uuids', 2, 62, 'NOT_FAMFS'],
    ['in the new device name', 2, 132, 'NOT_FAMFS'],
    ['before the new magic', 3, 0, 'NOT_FAMFS'],
    ['at the end', 4, 0, 'new'],
  ])('by force leaves %s the old pool, none, or the new one', (_, stores, tornBytes, expected) => {
    const memory = imageMemory('b_tree_8g');
    memory.dieAfter(stores, tornBytes);
    const run = () => mkfs(memory, { ...OPTIONS, force: true });
    if (stores < 4) expect(caught(run).code).toBe('MEMORY_ERROR');
    else run();
    const report = checkOf(memory);
    if (expected === 'old') expect(report).toEqual(whole);
    else if (expected === 'new') expect(report).toMatchObject({ files: 0, problems: [] });
    else expect(report).toMatchObject({ usable: false, error: expected });
    // Whatever is left, nobody formats over it by mistake.
    expect(caught(() => mkfs(memory.reopened(), OPTIONS)).code).toBe('EXISTS');
    mkfs(memory.reopened(), { ...OPTIONS, force: true });
    expect(checkOf(memory)).toMatchObject({ usable: true, files: 0, problems: [] });
  });
});
