import type { ChurnResult } from './churn.ts';

/** After the first half of a run nothing grows any more but what V8 has not collected yet. */
const GROWTH_MAX_MIB = 64;

/** What a churn was to show and did not. */
export function failuresOf(result: ChurnResult): string[] {
  const { marks, check, entriesMax, capacity, freeBytes, largestFreeBytes } = result;
  const [, half, whole] = marks;
  const failures = check.problems.map(({ code, message }) => `check: ${code}: ${message}`);
  if (half === undefined || whole === undefined) return [...failures, 'it did not run to its end'];
  const growth = whole.rssMiB - half.rssMiB;
  if (growth > GROWTH_MAX_MIB) failures.push(`${growth} MiB more resident in the second half`);
  if (entriesMax > capacity) failures.push(`${entriesMax} entries in a log of ${capacity}`);
  if (result.compactions === 0) failures.push('the log was never compacted');
  if (result.heldWhileDeleted === 0) failures.push('no file was deleted while it was open');
  if (!result.isHalfFound) {
    failures.push(`of ${freeBytes} free bytes no more than ${largestFreeBytes} are in one piece`);
  }
  return failures;
}
