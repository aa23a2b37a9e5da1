import { drawMemory, type Region } from '../../src/cli/memory-picture.ts';
import { regionsOf } from '../../src/cli/tools/map.ts';
import { checkReport } from '../../src/format/check.ts';
import { CONTROL_BYTES, CONTROL_OFFSET } from '../../src/format/control-area.ts';
import type { Node } from '../../src/format/namespace.ts';
import { Replica } from '../../src/format/replica.ts';
import { ControlArea } from '../../src/pool/control-area.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { Ownership } from '../../src/pool/ownership.ts';
import type { Pool } from '../../src/pool/pool.ts';
import { HeapMemory } from '../support/heap-memory.ts';
import { type AnyKind, anyKind, hexRuns } from './kind.ts';
import {
  authoredImage,
  continuedVector,
  flippedVector,
  isPassedOver,
  randomImage,
  simplerImages,
} from './log-images.ts';
import {
  HEADER,
  HEADER_BYTES,
  ImageMemory,
  LOG_START,
  type LogImage,
  SLOT_BYTES,
  setWord,
  UNIT_BYTES,
} from './media.ts';
import { Model } from './model.ts';
import { checkReplica, snapshot } from './oracle.ts';
import type { Random } from './random.ts';
import { RangeSet } from './range-set.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';

/** Reads of a follower, besides those for entries, and entries a read: more is no progress. */
const READS_MAX = 16;
const BATCH_ENTRIES_MIN = 16;

/** Opens a log in every way there is, and holds what comes of it to the model. */
export function replay(image: LogImage, random: Random, tally: Tally): void {
  const model = Model.of(image);
  const memory = new ImageMemory(image);
  const removed: Node[] = [];
  let follower: LogFollower;
  try {
    follower = new LogFollower(memory, (node) => removed.push(node));
  } catch (error) {
    const fault = foreseen(error);
    must(model === undefined, () => `cannot be opened: ${fault.message}`);
    tally.count('open', fault.code);
    return;
  }
  if (model === undefined) throw new Error('opened what must be refused');
  tally.count('open', model.damaged ? 'damaged' : 'whole');
  must(memory.reads <= READS_MAX + model.nextIndex / BATCH_ENTRIES_MIN, `${memory.reads} reads`);
  const { replica } = follower;
  checkReplica(replica, model, random, tally);
  mustEqual(removed.map((node) => node.name).join(), lastNames(model.removed), 'nodes removed');
  checkBatches(follower, model, random);
  if (random.oneIn(3)) checkSteps(image, follower, model, random);
  checkOutput(follower, tally);
  const isOwnable = !model.damaged && model.nextIndex > 0;
  if (isOwnable && random.oneIn(10)) checkCommitted(image, follower, random, tally);
  countDepth(model, tally);
}

/** How far the cases get: a generator whose every entry is rejected would prove little. */
function countDepth(model: Model, tally: Tally): void {
  const nodes = [...model.nodes.values()];
  const files = nodes.filter(({ kind }) => kind === 'file');
  tally.count('reached', 'entries', model.position);
  tally.count('reached', 'entries applied', model.applied);
  tally.count('reached', 'files', files.length);
  tally.count('reached', 'interleaved files', files.filter((f) => f.chunkBytes > 0).length);
  tally.count('reached', 'directories', nodes.length - files.length);
  tally.count('reached', 'removed', model.removed.length);
  tally.count('reached', 'devices', model.devices.length - 1);
}

function lastNames(paths: readonly string[]): string {
  return paths.map((path) => path.slice(path.lastIndexOf('/') + 1)).join();
}

/** Batches of any size give the same. */
function checkBatches({ memory, superblock, replica }: LogFollower, model: Model, random: Random) {
  const again = new Replica(superblock);
  const most = random.pick([1, 2, 7, 100]);
  while (again.position < model.nextIndex && again.damage === undefined) {
    const count = Math.min(random.between(1, most), model.nextIndex - again.position);
    const offset = LOG_START + HEADER_BYTES + again.position * SLOT_BYTES;
    again.applyBatch(memory.read(offset, count * SLOT_BYTES), count);
  }
  if (again.damage !== undefined) again.noteLost(model.nextIndex);
  mustEqual(snapshot(again), snapshot(replica), 'replay in other batches');
}

/** A follower that sees the log grow gets where one gets that sees all of it at once. */
function checkSteps(image: LogImage, whole: LogFollower, model: Model, random: Random): void {
  const header = image.header.slice();
  setWord(header, HEADER.nextIndex, 0);
  const follower = new LogFollower(new ImageMemory({ ...image, header }));
  for (let next = 0; next < model.nextIndex; ) {
    next = Math.min(model.nextIndex, next + random.between(1, 30));
    if (next > model.position) next = model.nextIndex;
    setWord(header, HEADER.nextIndex, next);
    const position = follower.follow();
    mustEqual(position, Math.min(next, model.position), 'position after a step');
  }
  mustEqual(snapshot(follower.replica), snapshot(whole.replica), 'replay in steps');
}

/** An owner's own word for where its entries end reveals what next_index does not, or not yet. */
function checkCommitted(image: LogImage, whole: LogFollower, random: Random, tally: Tally): void {
  const { nextIndex } = whole.header();
  const header = image.header.slice();
  setWord(header, HEADER.nextIndex, random.below(nextIndex));
  const superblock = ownedSuperblock(image, whole.superblock.fsUuid, nextIndex);
  const follower = new LogFollower(new ImageMemory({ ...image, header, superblock }));
  mustEqual(snapshot(follower.replica), snapshot(whole.replica), 'replay of what is committed');
  checkOutput(follower, tally);
}

/** The superblock and a control area behind it, whose owner has committed so many entries. */
function ownedSuperblock(image: LogImage, fsUuid: string, committed: number): Uint8Array {
  const memory = new HeapMemory(CONTROL_OFFSET + CONTROL_BYTES);
  memory.write(0, image.superblock);
  const control = new ControlArea(memory, fsUuid);
  const rules = { mayTakeOver: () => {}, isFenced: () => true };
  const ownership = new Ownership(control, { id: fsUuid, name: 'fuzz' }, rules);
  ownership.complete(ownership.claim(), committed);
  return memory.read(0, memory.lengthBytes);
}

/** What `check` and `map` make of it: numbers that agree, and output of a bounded length. */
function checkOutput(follower: LogFollower, tally: Tally): void {
  const { superblock, replica } = follower;
  const report = checkReport(superblock, follower.header(), replica);
  for (const { code } of report.problems) tally.count('problem', code);
  must(report.largestFreeBytes <= report.freeBytes, 'the largest free piece is too large');
  must(report.problems.length <= 1002, `${report.problems.length} problems reported`);
  must(JSON.stringify(report).length < 2 ** 20, 'the report is too long');
  const regions = regionsOf({ replica, superblock } as Pool);
  const lines = drawMemory(superblock.deviceSizeBytes, regions);
  must(lines.length <= 1 + 8 + 62 + 1, `${lines.length} lines to draw the memory`);
  checkPicture(lines, superblock.deviceSizeBytes, regions);
}

/** A cell shows something where there is something, and only there. */
function checkPicture(lines: readonly string[], deviceBytes: number, regions: readonly Region[]) {
  const picture = lines.slice(1).filter((line) => /^ {2}[^ ]*$/.test(line));
  must(Math.max(...picture.map((line) => line.length)) <= 2 + 64, 'the picture is too wide');
  const cells = picture.map((line) => line.slice(2)).join('');
  const cellBytes = Math.ceil(deviceBytes / 512 / UNIT_BYTES) * UNIT_BYTES;
  mustEqual(cells.length, Math.ceil(deviceBytes / cellBytes), 'cells of the picture');
  const used = new RangeSet();
  for (const { offset, lengthBytes } of regions) used.add(offset, offset + lengthBytes);
  for (const [cell, glyph] of [...cells].entries()) {
    const isUsed = used.overlaps(cell * cellBytes, (cell + 1) * cellBytes);
    mustEqual(glyph !== '·', isUsed, `cell ${cell} of the picture shows something`);
  }
}

function logKind(name: string, weight: number, generate: (random: Random) => LogImage): AnyKind {
  return anyKind<LogImage>({
    name,
    weight,
    generate,
    run: replay,
    shrink: simplerImages,
    show: showImage,
  });
}

/** Entries that reducing it has made say nothing are left out. */
export function showImage(image: LogImage): string[] {
  const entries = image.entries.map((entry, index) =>
    isPassedOver(entry) ? [] : [`log entry ${index}: ${hexRuns(entry)}`],
  );
  return [
    `memory of ${image.memoryBytes} bytes`,
    `superblock at 0: ${hexRuns(image.superblock)}`,
    `log header at ${LOG_START}: ${hexRuns(image.header)}`,
    ...entries.flat(),
  ];
}

export const LOG_KINDS: readonly AnyKind[] = [
  logKind('log', 20, authoredImage),
  logKind('random device', 4, randomImage),
  logKind('flipped vector', 7, flippedVector),
  logKind('continued vector', 7, continuedVector),
];
