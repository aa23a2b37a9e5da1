import type { LogHeader } from './log-header.ts';
import type { Problem, Replica } from './replica.ts';
import type { Superblock } from './superblock.ts';

/** Stands last among the problems where there are more of them than are kept. */
export const MORE_PROBLEMS = 'MORE_PROBLEMS';

/** What `famfs-csi check --json` prints; sizes in bytes. */
export interface CheckReport {
  readonly usable: boolean;
  /** The fault's code when the pool cannot be used at all; its text is then the one problem. */
  readonly error: string | null;
  readonly superblock: Superblock | null;
  readonly log: {
    readonly entries: number;
    readonly applied: number;
    readonly skipped: number;
    readonly capacity: number;
  };
  readonly files: number;
  readonly directories: number;
  readonly problems: readonly Problem[];
  readonly allocatedBytes: number;
  readonly freeBytes: number;
  readonly largestFreeBytes: number;
}

/** The report on a pool that could be opened; `header` as it was read after the replay. */
export function checkReport(
  superblock: Superblock,
  header: LogHeader,
  replica: Replica,
): CheckReport {
  const { namespace, space, capacity, applied, skipped, position, damage } = replica;
  const { nextIndex, nextSeqnum } = header;
  const problems = [...replica.problems];
  if (nextSeqnum !== nextIndex) {
    problems.push({
      index: nextIndex,
      code: 'NEXT_SEQNUM',
      message:
        `next_seqnum is ${nextSeqnum}, expected next_index, ${nextIndex}; ` +
        'the next append mends it',
    });
  }
  // Damage ends the replay earlier, and is listed itself.
  if (damage === undefined && nextIndex < position) {
    const message =
      `next_index is ${nextIndex}, but the entries of the log's owner end at ${position}; ` +
      'the next append mends it';
    problems.push({ index: nextIndex, code: 'NEXT_INDEX', message });
  }
  const more = replica.problemCount - replica.problems.length;
  if (more > 0) {
    const message = `${more} more problems are not listed`;
    problems.push({ index: -1, code: MORE_PROBLEMS, message });
  }
  return {
    usable: true,
    error: null,
    superblock,
    log: { entries: Math.max(nextIndex, position), applied, skipped, capacity },
    files: namespace.fileCount,
    directories: namespace.directoryCount,
    problems,
    allocatedBytes: space.allocatedBytes,
    freeBytes: space.freeBytes,
    largestFreeBytes: space.largestFreeBytes,
  };
}

/** The report on a pool that cannot be used: nothing of it is known but why. */
export function unusableReport(code: string, message: string): CheckReport {
  return {
    usable: false,
    error: code,
    superblock: null,
    log: { entries: 0, applied: 0, skipped: 0, capacity: 0 },
    files: 0,
    directories: 0,
    problems: [{ index: -1, code, message }],
    allocatedBytes: 0,
    freeBytes: 0,
    largestFreeBytes: 0,
  };
}
