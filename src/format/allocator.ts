import { Fault } from '../base/errors.ts';
import { formatSize, GiB, isPowerOfTwo, MiB, roundUp } from '../base/numbers.ts';
import { EXTENTS_MAX, type Extent, type Fmap } from './extents.ts';
import { GapList } from './gap-list.ts';

/**
 * How a file is to be laid out. `strips: 0` is one contiguous extent; else the open devices are cut
 * into `buckets` parts, and each strip comes from another one (format.md, "Allocation").
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
  readonly devindex: number;
  readonly gaps: GapList;
  readonly sizeBytes: number;
  /** Where its allocatable memory starts. */
  readonly start: number;
}

/** A part of a device that one strip of a file may come from. */
interface Bucket {
  readonly device: Device;
  readonly from: number;
  readonly to: number;
}

type Striped = Exclude<Layout, { strips: 0 }>;

/**
 * The free memory of a pool, rebuilt by every replay. `find` only looks; what it finds is taken
 * when the entry that names it is applied, as any host does that replays the log. New files go to
 * the devices that this host opens, the primary first.
 */
export class FreeSpace {
  readonly #devices: Device[] = [];
  readonly #openDevices: number;
  #reservations = 0;

  /** `openDevices`: how many of the pool's devices, by devindex, new files may be on. */
  constructor(openDevices = 1) {
    this.#openDevices = openDevices;
  }

  /** The next device, in the order of devindex. [start, sizeBytes) is free. */
  addDevice(start: number, sizeBytes: number): void {
    const gaps = new GapList(start, sizeBytes, ALLOCATION_BYTES);
    this.#devices.push({ devindex: this.#devices.length, gaps, sizeBytes, start });
  }

  get deviceCount(): number {
    return this.#devices.length;
  }

  /** All memory of the pool, superblocks and log too. */
  get sizeBytes(): number {
    return this.#devices.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
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

  /** What is free of one device, in ascending order. */
  *gaps(devindex: number): Iterable<Extent> {
    for (const gap of this.#devices[devindex]?.gaps.gaps() ?? []) yield { devindex, ...gap };
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
    const freeBytes = this.#open.reduce((sum, { gaps }) => sum + gaps.freeBytes, 0);
    throw new Fault(
      'NO_SPACE',
      `pool: no room for ${sizeBytes} bytes (${formatSize(sizeBytes)}); ${freeBytes} bytes are ` +
        `free, the largest size that would fit is ${largest} bytes (${formatSize(largest)})`,
    );
  }

  /** The largest size for which `find` finds an fmap, in bytes; 0 when there is none. */
  largestAllocatable(layout: Layout): number {
    const pieces = this.#open.map(({ gaps, sizeBytes }) => gaps.longest(0, sizeBytes));
    const contiguous = Math.max(0, ...pieces);
    if (!isStriped(layout)) return contiguous;
    this.#checkStriped(layout);
    const longest = this.#buckets(layout)
      .map(({ device, from, to }) => device.gaps.longest(from, to))
      .sort((a, b) => b - a);
    // Every strip is as long as the shortest of them, in whole chunks.
    const shortest = longest[layout.strips - 1] ?? 0;
    const striped = (shortest - (shortest % layout.chunkBytes)) * layout.strips;
    return Math.max(striped, Math.min(contiguous, layout.chunkBytes - 1));
  }

  get #open(): readonly Device[] {
    return this.#devices.slice(0, this.#openDevices);
  }

  #findContiguous(sizeBytes: number): Fmap | undefined {
    const lengthBytes = roundUp(sizeBytes, ALLOCATION_BYTES);
    for (const { devindex, gaps, sizeBytes: end } of this.#open) {
      const offset = gaps.firstFit(lengthBytes, 0, end);
      if (offset === undefined) continue;
      return { type: 'simple', extents: [{ devindex, offset, lengthBytes }] };
    }
    return undefined;
  }

  /**
   * One strip from each of `strips` buckets, taken round from a start that moves on with every
   * reservation, so that files spread over the devices.
   */
  #findStriped(layout: Striped, sizeBytes: number): Fmap | undefined {
    const { strips: count, chunkBytes } = layout;
    const lengthBytes = Math.ceil(sizeBytes / (count * chunkBytes)) * chunkBytes;
    const buckets = this.#buckets(layout);
    const strips: Extent[] = [];
    for (let at = 0; at < buckets.length && strips.length < count; at++) {
      const bucket = buckets[(this.#reservations + at) % buckets.length];
      if (bucket === undefined) break;
      const { device, from, to } = bucket;
      const offset = device.gaps.firstFit(lengthBytes, from, to);
      if (offset !== undefined) strips.push({ devindex: device.devindex, offset, lengthBytes });
    }
    return strips.length === count ? { type: 'interleaved', chunkBytes, strips } : undefined;
  }

  #buckets({ buckets: count }: Striped): Bucket[] {
    return this.#parts(count).flatMap(({ device, parts }) => {
      const bytes = partBytes(device.sizeBytes, parts);
      return Array.from({ length: parts }, (_, at) => {
        return { device, from: at * bytes, to: (at + 1) * bytes };
      });
    });
  }

  /**
   * Into how many parts each open device is cut, so that all are as many as asked for and the
   * smallest is as large as can be: each goes to the device that has the largest parts with it.
   */
  #parts(count: number): { readonly device: Device; parts: number }[] {
    const cuts = this.#open.map((device) => ({ device, parts: 0 }));
    for (let made = 0; made < count; made++) {
      const share = (cut: (typeof cuts)[number]) => cut.device.sizeBytes / (cut.parts + 1);
      const next = cuts.reduce((best, cut) => (share(cut) > share(best) ? cut : best));
      next.parts++;
    }
    return cuts.filter(({ parts }) => parts > 0);
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
    const sizes = this.#parts(buckets).map(({ device, parts }) => {
      return partBytes(device.sizeBytes, parts);
    });
    const smallest = Math.min(...sizes);
    if (smallest < BUCKET_BYTES_MIN) {
      const whole = this.#open.map(({ sizeBytes }) => Math.floor(sizeBytes / BUCKET_BYTES_MIN));
      const most = whole.reduce((sum, count) => sum + count, 0);
      fail(
        `of ${buckets} buckets the smallest has ${formatSize(smallest)}, expected at ` +
          `least ${formatSize(BUCKET_BYTES_MIN)}: at most ${most} here; use fewer strips`,
      );
    }
  }
}

function partBytes(sizeBytes: number, parts: number): number {
  const bytes = Math.floor(sizeBytes / parts);
  return bytes - (bytes % ALLOCATION_BYTES);
}

function isStriped(layout: Layout): layout is Striped {
  return layout.strips !== 0;
}
