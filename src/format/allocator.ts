import { Fault } from '../base/errors.ts';
import { formatSize, GiB, isPowerOfTwo, MiB, roundUp } from '../base/numbers.ts';
import { EXTENTS_MAX, type Extent, type Fmap } from './extents.ts';
import { GapList } from './gap-list.ts';

/**
 * How a file is to be laid out. `strips: 0` is one contiguous extent; else the device is cut into
 * `buckets` parts, and each strip comes from another one (format.md, "Allocation").
 */
export type Layout =
  | { readonly strips: 0 }
  | { readonly strips: number; readonly buckets: number; readonly chunkBytes: number };

export const CONTIGUOUS: Layout = { strips: 0 };
/** We allocate in units of 2 MiB, whatever unit the superblock lets readers accept. */
export const ALLOCATION_BYTES = 2 * MiB;

const BUCKETS_MAX = 64;
const BUCKET_BYTES_MIN = GiB;

interface Device {
  readonly gaps: GapList;
  readonly sizeBytes: number;
  /** Where its allocatable memory starts. */
  readonly start: number;
}

type Striped = Exclude<Layout, { strips: 0 }>;

/**
 * The free memory of a pool, rebuilt by every replay. `find` only looks; what it finds is taken
 * when the entry that names it is applied, as any host does that replays the log. New files go to
 * the primary device only: no host opens the others yet, so none could serve a file there.
 */
export class FreeSpace {
  readonly #devices: Device[] = [];
  #reservations = 0;

  /** The next device, in the order of devindex. [start, sizeBytes) is free. */
  addDevice(start: number, sizeBytes: number): void {
    const gaps = new GapList(start, sizeBytes, ALLOCATION_BYTES);
    this.#devices.push({ gaps, sizeBytes, start });
  }

  get deviceCount(): number {
    return this.#devices.length;
  }

  get freeBytes(): number {
    return this.#devices.reduce((sum, { gaps }) => sum + gaps.freeBytes, 0);
  }

  /** What is not free of the memory that can be allocated. */
  get allocatedBytes(): number {
    const total = this.#devices.reduce((sum, { start, sizeBytes }) => sum + sizeBytes - start, 0);
    return total - this.freeBytes;
  }

  /** The largest contiguous file that fits. */
  get largestFreeBytes(): number {
    return this.largestAllocatable(CONTIGUOUS);
  }

  /** Whether the extent is on a device of the pool, in the part that files may have. */
  contains({ devindex, offset, lengthBytes }: Extent): boolean {
    const device = this.#devices[devindex];
    if (device === undefined) return false;
    return offset >= device.start && offset + lengthBytes <= device.sizeBytes;
  }

  isFree({ devindex, offset, lengthBytes }: Extent): boolean {
    return this.#devices[devindex]?.gaps.isFree(offset, lengthBytes) ?? false;
  }

  /** Takes an extent that `isFree`. */
  reserve({ devindex, offset, lengthBytes }: Extent): void {
    this.#devices[devindex]?.gaps.reserve(offset, lengthBytes);
    this.#reservations++;
  }

  /** Takes what is free memory of an extent that may be anything. */
  reserveFreeParts({ devindex, offset, lengthBytes }: Extent): void {
    this.#devices[devindex]?.gaps.reserveFreeParts(offset, offset + lengthBytes);
  }

  /**
   * An fmap for a new file of this size; nothing is taken yet. NO_SPACE names the largest size that
   * would fit; INVALID a layout that breaks a limit of the format or that the device is too small
   * for.
   */
  find(layout: Layout, sizeBytes: number): Fmap {
    if (isStriped(layout)) this.#checkStriped(layout);
    const fmap =
      isStriped(layout) && sizeBytes >= layout.chunkBytes
        ? this.#findStriped(layout, sizeBytes)
        : this.#findContiguous(sizeBytes);
    if (fmap !== undefined) return fmap;
    const largest = this.largestAllocatable(layout);
    const { freeBytes } = this.#first.gaps;
    throw new Fault(
      'NO_SPACE',
      `pool: no room for ${sizeBytes} bytes (${formatSize(sizeBytes)}); ${freeBytes} bytes are ` +
        `free, the largest size that would fit is ${largest} bytes (${formatSize(largest)})`,
    );
  }

  /** The largest size for which `find` finds an fmap, in bytes; 0 when there is none. */
  largestAllocatable(layout: Layout): number {
    const contiguous = this.#first.gaps.longest(0, this.#first.sizeBytes);
    if (!isStriped(layout)) return contiguous;
    this.#checkStriped(layout);
    const longest = this.#buckets(layout)
      .map(({ from, to }) => this.#first.gaps.longest(from, to))
      .sort((a, b) => b - a);
    // Every strip is as long as the shortest of them, in whole chunks.
    const shortest = longest[layout.strips - 1] ?? 0;
    const striped = (shortest - (shortest % layout.chunkBytes)) * layout.strips;
    return Math.max(striped, Math.min(contiguous, layout.chunkBytes - 1));
  }

  get #first(): Device {
    const device = this.#devices[0];
    if (device === undefined) throw new Fault('INTERNAL', 'a pool has no device');
    return device;
  }

  #findContiguous(sizeBytes: number): Fmap | undefined {
    const lengthBytes = roundUp(sizeBytes, ALLOCATION_BYTES);
    const { gaps, sizeBytes: end } = this.#first;
    const offset = gaps.firstFit(lengthBytes, 0, end);
    if (offset === undefined) return undefined;
    return { type: 'simple', extents: [{ devindex: 0, offset, lengthBytes }] };
  }

  /**
   * One strip from each of `strips` buckets, taken round from a start that moves on with every
   * reservation, so that files spread over the device; any host that replayed the log agrees.
   */
  #findStriped(layout: Striped, sizeBytes: number): Fmap | undefined {
    const { strips: count, chunkBytes } = layout;
    const lengthBytes = Math.ceil(sizeBytes / (count * chunkBytes)) * chunkBytes;
    const buckets = this.#buckets(layout);
    const strips: Extent[] = [];
    for (let at = 0; at < buckets.length && strips.length < count; at++) {
      const bucket = buckets[(this.#reservations + at) % buckets.length];
      if (bucket === undefined) break;
      const { from, to } = bucket;
      const offset = this.#first.gaps.firstFit(lengthBytes, from, to);
      if (offset !== undefined) strips.push({ devindex: 0, offset, lengthBytes });
    }
    return strips.length === count ? { type: 'interleaved', chunkBytes, strips } : undefined;
  }

  #buckets({ buckets }: Striped): { from: number; to: number }[] {
    const bytes = this.#bucketBytes(buckets);
    return Array.from({ length: buckets }, (_, at) => ({ from: at * bytes, to: (at + 1) * bytes }));
  }

  #bucketBytes(buckets: number): number {
    const bytes = Math.floor(this.#first.sizeBytes / buckets);
    return bytes - (bytes % ALLOCATION_BYTES);
  }

  #checkStriped({ strips, buckets, chunkBytes }: Striped): void {
    const fail = (what: string): never => {
      throw new Fault('INVALID', `interleaving: ${what}`);
    };
    if (!isPowerOfTwo(chunkBytes) || chunkBytes % ALLOCATION_BYTES !== 0) {
      fail(`chunk size is ${chunkBytes}, expected a power of two of ${ALLOCATION_BYTES} or more`);
    }
    if (!(strips >= 1 && strips <= EXTENTS_MAX)) {
      fail(`found ${strips} strips, expected 1 to ${EXTENTS_MAX}`);
    }
    if (!(buckets >= strips && buckets <= BUCKETS_MAX)) {
      fail(`found ${buckets} buckets, expected ${strips} (the strips) to ${BUCKETS_MAX}`);
    }
    const bucketBytes = this.#bucketBytes(buckets);
    if (bucketBytes < BUCKET_BYTES_MIN) {
      const most = Math.floor(this.#first.sizeBytes / BUCKET_BYTES_MIN);
      fail(
        `${buckets} buckets of this device would have ${formatSize(bucketBytes)} each, expected ` +
          `at least ${formatSize(BUCKET_BYTES_MIN)}: at most ${most} here; use fewer strips`,
      );
    }
  }
}

function isStriped(layout: Layout): layout is Striped {
  return layout.strips !== 0;
}
