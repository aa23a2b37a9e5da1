// Whole logs of hostile entries, each replayed, reported and drawn; started by memory.test.ts. For
// each name in the arguments it prints a line of JSON: what was seen, and how memory grew.
import { readFileSync, writeFileSync } from 'node:fs';
import { drawMemory } from '../../src/cli/memory-picture.ts';
import { regionsOf } from '../../src/cli/tools/map.ts';
import { checkReport } from '../../src/format/check.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { Pool } from '../../src/pool/pool.ts';
import {
  capacityOf,
  DELETE,
  ENTRY,
  FILE,
  FollowedMemory,
  HEADER_BYTES,
  ImageMemory,
  LOG_START,
  MKDIR,
  makeHeader,
  makeSuperblock,
  SLOT_BYTES,
  sealEntry,
  setHalf,
  setWord,
  TYPE,
  UNIT_BYTES,
} from './media.ts';
import { pathField } from './paths.ts';

const SHORT_LOG = 2 ** 23;
const LONGER_LOG = 2 ** 26;
const LONGEST_LOG = 2 ** 30;
const DEVICE_BYTES = 2 ** 46;

interface Scenario {
  readonly logBytes: number;
  readonly entries: number;
  /** Fills the zeroed payload of an entry, whose number and checksum are put right afterwards. */
  readonly fill: (bytes: Uint8Array, index: number) => void;
  /** Checksums are left wrong. */
  readonly isGarbage?: boolean;
}

/** 79 bytes that JSON needs six characters each for. */
const UGLY = new Uint8Array(80).fill(1, 0, 79);

function fillFile(bytes: Uint8Array, path: Uint8Array, first: number, units: number): void {
  setHalf(bytes, ENTRY.type, TYPE.file);
  bytes.set(path, FILE.path[0]);
  setWord(bytes, FILE.size, 1);
  setHalf(bytes, FILE.count, 16);
  for (let at = 0; at < 16; at++) {
    const base = FILE.extents[0] + 24 * at;
    setWord(bytes, [base + 8, 8], first + 2 * UNIT_BYTES * at);
    setWord(bytes, [base + 16, 8], UNIT_BYTES * units);
  }
}

function fillMkdir(bytes: Uint8Array, path: Uint8Array): void {
  setHalf(bytes, ENTRY.type, TYPE.mkdir);
  bytes.set(path, MKDIR.path[0]);
}

function fillRejectedMkdir(bytes: Uint8Array, index: number): void {
  fillMkdir(bytes, index % 2 === 0 ? UGLY : pathField('again'));
}

const full = (logBytes: number) => ({ logBytes, entries: capacityOf(logBytes) });
const placeOf = (index: number) => LOG_START + SHORT_LOG + 32 * UNIT_BYTES * index;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a full log of unknown types': {
    ...full(SHORT_LOG),
    fill: (bytes) => setHalf(bytes, ENTRY.type, 99),
  },
  'a full log of rejected files with ugly paths': {
    ...full(SHORT_LOG),
    fill: (bytes, index) => fillFile(bytes, UGLY, placeOf(0), index % 2),
  },
  'a full log of files in sixteen pieces': {
    ...full(SHORT_LOG),
    fill: (bytes, index) => fillFile(bytes, pathField(`f${index}`), placeOf(index), 1),
  },
  'a full log of directories made and deleted': {
    ...full(SHORT_LOG),
    fill: (bytes, index) => {
      const path = pathField(`d${index >> 1}`);
      if (index % 2 === 0) return fillMkdir(bytes, path);
      setHalf(bytes, ENTRY.type, TYPE.delete);
      setWord(bytes, DELETE.target, index - 1);
      bytes.set(path, DELETE.path[0]);
    },
  },
  'a full log of rejected files in sixteen pieces': {
    ...full(SHORT_LOG),
    fill: (bytes, index) => fillFile(bytes, pathField('x/y'), placeOf(index), 1),
  },
  'a log of 64 MiB of duplicates and bad paths': {
    ...full(LONGER_LOG),
    fill: fillRejectedMkdir,
  },
  'a log of 1 GiB of garbage': {
    ...full(LONGEST_LOG),
    fill: (bytes, index) => bytes.fill(index),
    isGarbage: true,
  },
  'a log of 1 GiB of duplicates and bad paths': {
    ...full(LONGEST_LOG),
    fill: fillRejectedMkdir,
  },
};

/** A device whose log is made up as it is read: 1 GiB of it is nowhere in memory. */
class MadeUpMemory extends FollowedMemory {
  readonly lengthBytes = DEVICE_BYTES;
  readonly #scenario: Scenario;
  readonly #start: ImageMemory;
  readonly #slot = new Uint8Array(SLOT_BYTES);

  constructor(scenario: Scenario) {
    super();
    this.#scenario = scenario;
    const { logBytes, entries } = scenario;
    this.#start = new ImageMemory({
      superblock: makeSuperblock({ logBytes, unitBytes: UNIT_BYTES, deviceBytes: DEVICE_BYTES }),
      header: makeHeader(logBytes, entries),
      entries: [],
      memoryBytes: DEVICE_BYTES,
    });
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = this.#start.read(offset, lengthBytes);
    const first = (offset - LOG_START - HEADER_BYTES) / SLOT_BYTES;
    if (!Number.isInteger(first)) return bytes;
    for (let at = 0; at < lengthBytes; at += SLOT_BYTES) {
      this.#make(first + at / SLOT_BYTES);
      bytes.set(this.#slot, at);
    }
    return bytes;
  }

  #make(index: number): void {
    this.#slot.fill(0);
    this.#scenario.fill(this.#slot, index);
    setWord(this.#slot, ENTRY.seqnum, index);
    if (this.#scenario.isGarbage !== true) sealEntry(this.#slot);
  }
}

function memoryKiB(field: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
}

/** The kernel's high-water mark starts anew from what is resident now. */
function resetPeak(): number {
  (globalThis as { gc?: () => void }).gc?.();
  writeFileSync('/proc/self/clear_refs', '5');
  return memoryKiB('VmRSS');
}

for (const name of process.argv.slice(2)) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`${name}: no such scenario`);
  const before = resetPeak();
  const start = performance.now();
  const follower = new LogFollower(new MadeUpMemory(scenario));
  const { replica, superblock } = follower;
  const report = JSON.stringify(checkReport(superblock, follower.header(), replica));
  const regions = regionsOf({ replica, superblock } as Pool);
  const lines = drawMemory(superblock.deviceSizeBytes, regions);
  const seen = {
    name,
    entries: scenario.entries,
    position: replica.position,
    applied: replica.applied,
    problems: replica.problemCount,
    kept: replica.problems.length,
    reportBytes: report.length,
    lines: lines.length,
    seconds: (performance.now() - start) / 1000,
    growthKiB: memoryKiB('VmHWM') - before,
  };
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}
