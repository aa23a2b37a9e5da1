import { fmapExtents } from './extents.ts';
import type { DeadFile, Replica } from './replica.ts';

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

export function accountOf(replica: Replica): Accounting {
  const { space, dead, position, capacity } = replica;
  const quarantinedBytes = bytesOf(dead);
  const logLive = liveEntries(replica);
  return {
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
}

/** Entries that a compaction of now would leave out, while `kept` deleted files stay. */
export function deadEntries(replica: Replica, kept: number): number {
  // One filler is at the beginning, and two entries stand for a file in quarantine.
  return Math.max(0, replica.position - liveEntries(replica) - 1 - 2 * kept);
}

/** Memory of deleted files. */
export function bytesOf(files: readonly DeadFile[]): number {
  const extents = files.flatMap(({ node }) => fmapExtents(node.fmap));
  return extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
}

/** The primary device is the superblock's. */
function liveEntries({ namespace, devices }: Replica): number {
  return namespace.fileCount + namespace.directoryCount + devices.length - 1;
}
