import { fmapExtents } from './extents.ts';
import type { Replica } from './replica.ts';

/** Where a pool's memory and the slots of its log are; the parts add up to the whole. */
export interface Accounting {
  readonly capacityBytes: number;
  /** Of files. */
  readonly liveBytes: number;
  /** Of deleted files: not used again before a compaction that every node has agreed to. */
  readonly quarantinedBytes: number;
  readonly freeBytes: number;
  /** The largest file of one piece. */
  readonly largestFreeBytes: number;
  readonly logCapacity: number;
  /** What says which files, directories and devices there are. */
  readonly logLive: number;
  /** What a compaction leaves out, once nothing is in quarantine. */
  readonly logDead: number;
  readonly logFree: number;
}

export function accountOf({ space, dead, namespace, position, capacity, devices }: Replica) {
  const extents = dead.flatMap(({ node }) => fmapExtents(node.fmap));
  const quarantinedBytes = extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  // The primary device is the superblock's.
  const logLive = namespace.fileCount + namespace.directoryCount + devices.length - 1;
  const accounting: Accounting = {
    capacityBytes: space.allocatedBytes + space.freeBytes,
    liveBytes: space.allocatedBytes - quarantinedBytes,
    quarantinedBytes,
    freeBytes: space.freeBytes,
    largestFreeBytes: space.largestAllocatable({ strips: 0 }),
    logCapacity: capacity,
    logLive,
    logDead: position - logLive,
    logFree: capacity - position,
  };
  return accounting;
}

/** Entries that a compaction of now would leave out, while `kept` deleted files stay. */
export function deadEntries(replica: Replica, kept: number): number {
  // One filler is at the beginning, and two entries stand for a file in quarantine.
  return Math.max(0, accountOf(replica).logDead - 1 - 2 * kept);
}
