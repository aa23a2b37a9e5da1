import { MiB, TiB } from '../dist/base/numbers.js';
import { CONTIGUOUS, FreeSpace } from '../dist/format/allocator.js';
import { pseudoRandom, Report, timedEach } from './report.mjs';

const UNIT = 2 * MiB;
const START = 32 * MiB;
const SIZE = 64 * TiB;

/** A 64 TiB device in which every other unit is taken, so that no gap is longer than one unit. */
export async function run(report) {
  fragmented(new Report(), 1_000); // warms up, so that the ratios compare like with like
  for (const gaps of [1_000, 1_000_000]) fragmented(report, gaps);
  for (const operation of ['first fit behind all', 'no room', 'largest', 'take and look']) {
    report.addRatio(
      `${operation}: 1,000,000 to 1,000 gaps`,
      `${operation}, 1,000,000 gaps`,
      `${operation}, 1,000 gaps`,
    );
  }
}

function fragmented(report, gaps) {
  const note = `${gaps.toLocaleString('en')} gaps`;
  const space = new FreeSpace();
  space.addDevice(START, SIZE);
  globalThis.gc();
  const before = process.memoryUsage();
  const fill = timedEach(gaps, () => {
    for (const at of shuffled(gaps)) reserve(space, START + (2 * at + 1) * UNIT, UNIT);
  });
  globalThis.gc();
  const after = process.memoryUsage();
  const bytes = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  report.add(`reserve in random order, ${note}`, 'µs', fill);
  if (gaps >= 1_000_000) report.add(`memory a gap, ${note}`, 'B', bytes / gaps);

  // What is behind the last gap: the one place for two units.
  const behind = START + 2 * gaps * UNIT;
  const times = 200;
  const fit = timedEach(times, () => {
    for (let at = 0; at < times; at++) {
      if (space.find(CONTIGUOUS, 2 * UNIT).extents[0].offset !== behind) throw new Error('fit');
    }
  });
  report.add(`first fit behind all, ${note}`, 'µs', fit);
  reserve(space, behind, SIZE - behind);
  const none = timedEach(times, () => {
    for (let at = 0; at < times; at++) if (finds(space, 2 * UNIT)) throw new Error('no room');
  });
  report.add(`no room, ${note}`, 'µs', none);
  const largest = timedEach(times, () => {
    for (let at = 0; at < times; at++) space.largestAllocatable(CONTIGUOUS);
  });
  report.add(`largest, ${note}`, 'µs', largest);
  // As an allocation does: each unit taken may have been the last of its length nearby.
  const taken = Math.min(times, gaps / 2);
  const take = timedEach(taken, () => {
    for (let at = 0; at < taken; at++) {
      reserve(space, space.find(CONTIGUOUS, UNIT).extents[0].offset, UNIT);
      space.largestAllocatable(CONTIGUOUS);
    }
  });
  report.add(`take and look, ${note}`, 'µs', take);
}

function reserve(space, offset, lengthBytes) {
  const extent = { devindex: 0, offset, lengthBytes };
  if (!space.isFree(extent)) throw new Error(`fragmentation: ${offset} is not free`);
  space.reserve(extent);
}

function finds(space, sizeBytes) {
  try {
    space.find(CONTIGUOUS, sizeBytes);
    return true;
  } catch {
    return false;
  }
}

function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  const random = pseudoRandom(1);
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}
