import { MiB } from '../../src/base/numbers.ts';
import { INIT_FLAG, NOTIFY } from '../../src/fuse/abi-constants.ts';
import type { FamfsFacts } from './generations.ts';
import { everyExtent, shareOf, type WireMap } from './wire-map.ts';

/** What a rule is asked about: each event is one thing that a server did. */
export interface Events {
  /** It answered INIT of a kernel that offered bit 43. */
  init: { flags: number; flags2: number };
  /** It told an inode's size; `mapBytes` is what the inode's map says, if it has one. */
  size: { ino: number; via: string; sizeBytes: number; mapBytes: number | undefined };
  /** It answered GET_FMAP with an error. */
  noMap: { ino: number; error: number };
  /** It answered GET_FMAP; `roomBytes` is what the kernel asked with, where it does. */
  map: {
    ino: number;
    famfs: FamfsFacts;
    map: WireMap;
    payloadBytes: number;
    roomBytes: number | undefined;
    sizeBytes: number;
    /** What other live inodes, and this one, have: by device and place. */
    taken: readonly Taken[];
    deviceOf: (devindex: number) => unknown;
  };
  /** It answered GET_DAXDEV. */
  daxdev: {
    payloadBytes: number;
    path: string;
    /** What the path is on the host. */
    found: 'daxdev' | 'other' | undefined;
    /** Whether the process whose open() asks for it can reach the path. */
    isInSight: boolean;
    isHeldElsewhere: boolean;
  };
  /** It wrote a notification. `isBusy`: a process holds what the kernel needs, and waits for it. */
  notify: { code: number; ino: number; hasMap: boolean; isBusy: boolean };
  /** It gave the kernel a device with DAXDEV_OPEN. */
  register: { path: string; isHeldElsewhere: boolean };
  /** Somebody took a device from its driver. */
  unbind: { path: string; mappings: number };
}

export interface Taken {
  readonly ino: number;
  readonly device: unknown;
  readonly offset: number;
  readonly length: number;
}

/** What was found, in words, where the rule is broken. */
type Check<E extends keyof Events> = (event: Events[E]) => string | false;

interface Rule<E extends keyof Events> {
  readonly on: E;
  /** What the ABI document says, in own words. */
  readonly text: string;
  /** How the kernel refuses it; undefined: it does not, and comes to harm. */
  readonly errno?: string;
  readonly check: Check<E>;
}

const rule = <E extends keyof Events>(on: E, text: string, check: Check<E>): Rule<E> => ({
  on,
  text,
  check,
});
const limit = <E extends keyof Events>(
  on: E,
  errno: string,
  text: string,
  check: Check<E>,
): Rule<E> => ({ on, text, errno, check });

const PAGE_BYTES = 4096;
const HEADER_BYTES = 32;
const DAXDEV_BYTES = 280;
const PUSH_MAX_BYTES = 16 * MiB;
const ENOSYS = -38;

/**
 * Every rule and limit of fuse-famfs-abi.md, in the order in which a kernel comes to them. The
 * first two of `map` guard what the others read.
 */
export const RULES = {
  'init-ext': rule('init', 'flags2 counts only with FUSE_INIT_EXT, bit 30 of flags', (init) =>
    init.flags2 !== 0 && (init.flags & INIT_FLAG.INIT_EXT) === 0 ? `flags2 without it` : false,
  ),
  'no-writeback-cache': rule(
    'init',
    'WRITEBACK_CACHE is not asked for: writes would lead to SETATTR of times',
    ({ flags }) => (flags & INIT_FLAG.WRITEBACK_CACHE) !== 0 && 'it was',
  ),
  'map-for-every-file': rule(
    'noMap',
    'on a famfs mount every regular file that is opened needs a map; ENOSYS is no way out',
    ({ error }) => error === ENOSYS && 'GET_FMAP was answered ENOSYS',
  ),
  'map-16-mib': limit(
    'map',
    'EFBIG',
    'a map has at most 16 MiB',
    ({ famfs, map }) =>
      famfs.asksWithRoom && map.fmapSize > PUSH_MAX_BYTES && `fmap_size ${map.fmapSize}`,
  ),
  'two-step': limit(
    'map',
    'EINVAL',
    'a map larger than the room is answered by its header alone, and then, asked once more, whole',
    ({ roomBytes, payloadBytes }) =>
      roomBytes !== undefined &&
      (payloadBytes > roomBytes || (payloadBytes === HEADER_BYTES && roomBytes > PAGE_BYTES)) &&
      `${payloadBytes} bytes for a room of ${roomBytes}`,
  ),
  'pull-page': limit(
    'map',
    'EINVAL',
    'the reply to GET_FMAP has at most 4096 bytes on a pull kernel',
    ({ roomBytes, payloadBytes }) =>
      roomBytes === undefined && payloadBytes > PAGE_BYTES && `${payloadBytes} bytes`,
  ),
  'extent-count': limit(
    'map',
    'ERANGE',
    'a map has at least one extent, and at most 32 on a pull kernel',
    ({ map, famfs }) =>
      (map.nextents === 0 || map.nextents > famfs.extentsMax) && `${map.nextents} extents`,
  ),
  'map-header': limit(
    'map',
    'EINVAL',
    'the header says a regular file, version 1, and simple or interleaved extents',
    ({ map: { fileType, version, extType } }) =>
      (fileType !== 0 || version !== 1 || extType > 1) &&
      `type ${fileType}, version ${version}, extents ${extType}`,
  ),
  'simple-only': limit(
    'map',
    'EINVAL',
    'a push kernel takes simple extents only: an interleaved file is unrolled',
    ({ famfs, map }) => !famfs.interleaved && map.extType === 1 && 'interleaved extents',
  ),
  'whole-map': limit(
    'map',
    'EINVAL',
    'a map has as many bytes as its header and counts say',
    ({ map, payloadBytes }) =>
      map.saidBytes !== payloadBytes && `${payloadBytes} bytes, ${map.saidBytes} by its counts`,
  ),
  'fmap-size': limit(
    'map',
    'EINVAL',
    'fmap_size is the full size of the map on push kernels',
    ({ famfs, map }) =>
      famfs.asksWithRoom && map.fmapSize !== map.saidBytes && `fmap_size ${map.fmapSize}`,
  ),
  'strip-count': limit(
    'map',
    'EINVAL',
    'an interleaved extent has at most 32 strips on a pull kernel',
    ({ famfs, map }) => {
      const over = map.stripes.find(({ nstrips }) => nstrips > famfs.stripsMax);
      return over !== undefined && `${over.nstrips} strips`;
    },
  ),
  'no-zero-chunk': rule(
    'map',
    'a chunk size of 0, or no strip, is a divide error in the kernel',
    ({ map }) =>
      map.stripes.some(({ chunkBytes, nstrips }) => chunkBytes === 0 || nstrips === 0) &&
      'an interleaved extent with chunk_size or nstrips 0',
  ),
  aligned: limit(
    'map',
    'EINVAL',
    'offsets, lengths and chunks are multiples of 2 MiB (push2: of 4 KiB)',
    ({ famfs: { alignBytes }, map }) => {
      const numbers = [
        ...everyExtent(map).flatMap(({ offset, length }) => [offset, length]),
        ...map.stripes.map(({ chunkBytes }) => chunkBytes),
      ];
      const odd = numbers.find((bytes) => bytes % alignBytes !== 0);
      return odd !== undefined && `${odd}, not a multiple of ${alignBytes}`;
    },
  ),
  'device-index': limit(
    'map',
    'EINVAL',
    'pull and push kernels know device 0 only, push2 kernels 64',
    ({ famfs, map }) => {
      const over = everyExtent(map).find(({ devindex }) => devindex >= famfs.devicesMax);
      return over !== undefined && `device ${over.devindex}`;
    },
  ),
  'covers-file': limit(
    'map',
    'EINVAL',
    'the extents together are at least as long as the file',
    ({ map }) => {
      const total = sum(everyExtent(map).map(({ length }) => length));
      const dealt = sum(map.stripes.map(({ nbytes }) => nbytes));
      const least = map.extType === 1 ? Math.min(total, dealt) : total;
      return least < map.fileSize && `${least} bytes for a file of ${map.fileSize}`;
    },
  ),
  'strip-share': rule(
    'map',
    'no strip is shorter than its share: the kernel maps what lies behind it, a neighbour’s memory',
    ({ map }) => {
      for (const stripes of map.stripes) {
        const short = stripes.strips.findIndex(({ length }, at) => length < shareOf(stripes, at));
        if (short >= 0) return `strip ${short} of ${stripes.strips[short]?.length} bytes`;
      }
      return false;
    },
  ),
  'registered-first': rule(
    'map',
    'a device is given to the kernel before a file on it is opened, or the inode stays bad',
    ({ famfs, map, deviceOf }) => {
      if (famfs.devices !== 'daxdev-open') return false;
      const unknown = everyExtent(map).find(({ devindex }) => deviceOf(devindex) === undefined);
      return unknown !== undefined && `device ${unknown.devindex} was not registered`;
    },
  ),
  'extents-apart': rule(
    'map',
    'no two live inodes have a byte in common: a warning, then an endless loop at unmount',
    ({ ino, map, taken, deviceOf }) => {
      const own = everyExtent(map).map(({ devindex, offset, length }) => ({
        ino,
        device: deviceOf(devindex) ?? devindex,
        offset,
        length,
      }));
      const both = overlapOf([...taken, ...own]);
      return both !== undefined && `inode ${both[0].ino} and ${both[1].ino} at ${both[1].offset}`;
    },
  ),
  'size-in-map': rule(
    'map',
    'the map says the size that LOOKUP and GETATTR say, or the inode is poisoned',
    ({ map, sizeBytes }) => map.fileSize !== sizeBytes && `${map.fileSize}, not ${sizeBytes}`,
  ),
  'size-stays': rule(
    'size',
    'the size of a file whose map was given never changes, by ftruncate neither: ENXIO, then EIO',
    ({ ino, via, sizeBytes, mapBytes }) =>
      mapBytes !== undefined &&
      mapBytes !== sizeBytes &&
      `${via}: inode ${ino} has ${sizeBytes} bytes, its map has ${mapBytes}`,
  ),
  'daxdev-280': limit(
    'daxdev',
    'EIO',
    'the reply to GET_DAXDEV has exactly 280 bytes',
    ({ payloadBytes }) => payloadBytes !== DAXDEV_BYTES && `${payloadBytes} bytes`,
  ),
  'is-dax': rule(
    'daxdev',
    'a device that is given is a dax device: the kernel warns',
    ({ found, path }) => found === 'other' && path,
  ),
  'mounter-opens-first': rule(
    'daxdev',
    'the mounter opens a file of each device first: the path is resolved in the opener’s root',
    ({ isInSight, path, found }) => found === 'daxdev' && !isInSight && `${path} in a pod`,
  ),
  'one-mount': limit(
    'daxdev',
    'EIO',
    'a device is held by one connection: one mount per pool per node',
    ({ isHeldElsewhere, path }) => isHeldElsewhere && `${path} is held by another mount`,
  ),
  'one-mount-push': limit(
    'register',
    'EBUSY',
    'a device is held by one connection: one mount per pool per node',
    ({ isHeldElsewhere, path }) => isHeldElsewhere && `${path} is held by another mount`,
  ),
  'no-inval-inode': rule(
    'notify',
    'NOTIFY_INVAL_INODE does not drop a map',
    ({ code, hasMap, ino }) => code === NOTIFY.INVAL_INODE && hasMap && `sent for inode ${ino}`,
  ),
  'notify-elsewhere': rule(
    'notify',
    'an invalidation is not sent by the thread that answers: it would wait for itself',
    ({ isBusy, ino }) => isBusy && `inode ${ino} is locked by a process that waits for an answer`,
  ),
  'unbind-unmapped': rule(
    'unbind',
    'no device is taken from its driver while anything of it is mapped: kernel oops',
    ({ path, mappings }) => mappings > 0 && `${path} has ${mappings} mappings`,
  ),
} as const;

export type RuleId = keyof typeof RULES;

/** A server broke a rule. The message is the rule's text, and what was found. */
export class Breach extends Error {
  override readonly name = 'Breach';
  readonly rule: RuleId;

  constructor(id: RuleId, found: string) {
    super(`${id}: ${RULES[id].text} (found: ${found})`);
    this.rule = id;
  }
}

/** Holds one kernel's server to the rules. */
export class RuleBook {
  readonly breaches: Breach[] = [];
  /** What was broken and tolerated. */
  readonly overlooked: RuleId[] = [];
  readonly #tolerated: ReadonlySet<RuleId>;

  /** `tolerated`: rules of which a test wants to see what the kernel does about a breach. */
  constructor(tolerated: readonly RuleId[] = []) {
    this.#tolerated = new Set(tolerated);
  }

  /**
   * Throws the first breach, unless it is tolerated: then it is returned, with the errno that the
   * kernel refuses with, if it refuses.
   */
  apply<E extends keyof Events>(
    event: E,
    facts: Events[E],
  ): { id: RuleId; errno: string | undefined } | undefined {
    for (const id of Object.keys(RULES) as RuleId[]) {
      const found = RULES[id].on === event && (RULES[id] as unknown as Rule<E>).check(facts);
      if (found === false) continue;
      if (this.#tolerated.has(id)) {
        this.overlooked.push(id);
        return { id, errno: (RULES[id] as { errno?: string }).errno };
      }
      const breach = new Breach(id, found);
      this.breaches.push(breach);
      throw breach;
    }
    return undefined;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** The first two that have a byte of a device in common. */
function overlapOf(all: readonly Taken[]): readonly [Taken, Taken] | undefined {
  const byDevice = new Map<unknown, Taken[]>();
  for (const one of all) {
    const list = byDevice.get(one.device);
    if (list === undefined) byDevice.set(one.device, [one]);
    else list.push(one);
  }
  for (const list of byDevice.values()) {
    list.sort((a, b) => a.offset - b.offset);
    for (const [at, one] of list.entries()) {
      const next = list[at + 1];
      if (next !== undefined && next.offset < one.offset + one.length) return [one, next];
    }
  }
  return undefined;
}
