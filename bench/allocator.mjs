import { MiB, TiB } from '../dist/base/numbers.js';
import { CONTIGUOUS, FreeSpace } from '../dist/format/allocator.js';
import { fmapExtents } from '../dist/format/extents.js';
import { timed, timedEach } from './report.mjs';

const START = 32 * MiB;
const FILES = 25_000;
const FILE_BYTES = 2 * MiB;
const STRIPED = { strips: 16, buckets: 16, chunkBytes: 2 * MiB };

/** The free memory alone, of a device of 1 TiB, with what a replay of 25,000 files takes of it. */
export async function run(report) {
  for (let at = 0; at < 10; at++) {
    report.add('25,000 entries', 'ms', timed(build), { target: 5, reference: '4.8 ms' });
  }
  report.add('contiguous allocation of 2 MiB', 'µs', allocate(CONTIGUOUS, FILE_BYTES, 10_000));
  report.add(
    'interleaved allocation of 64 MiB, 16 strips of 16 buckets',
    'µs',
    allocate(STRIPED, 64 * MiB, 2_000),
    { target: 30, reference: '105–305 µs' },
  );
}

function build() {
  const space = new FreeSpace();
  space.addDevice(START, TiB);
  for (let at = 0; at < FILES; at++) {
    const extent = { devindex: 0, offset: START + at * FILE_BYTES, lengthBytes: FILE_BYTES };
    if (!space.contains(extent) || !space.isFree(extent)) throw new Error('allocator: not free');
    space.reserve(extent);
  }
  return space;
}

function allocate(layout, sizeBytes, times) {
  const space = build();
  return timedEach(times, () => {
    for (let at = 0; at < times; at++) {
      for (const extent of fmapExtents(space.find(layout, sizeBytes))) space.reserve(extent);
    }
  });
}
