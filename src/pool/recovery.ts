import { isZero } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { decodeLogEntry } from '../format/log-entry.ts';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../format/log-header.ts';
import type { LogFollower } from './log-follower.ts';

/** Something that an earlier writer left half-made at the end of a log. */
export interface Remnant {
  /**
   * - `complete-entry`, `torn-entry`: bytes in the slot at next_index, where no reader looks.
   * - `seqnum-ahead`: the writer died between its two publishes, or counted wrongly.
   * - `seqnum-behind`: only next_index reached the memory, of a writer that orders nothing.
   * - `index-behind`: the owner's entries go on behind next_index: a host that had lost the log
   *   stored that word last, or the owner died before it did.
   */
  readonly kind:
    | 'complete-entry'
    | 'torn-entry'
    | 'seqnum-ahead'
    | 'seqnum-behind'
    | 'index-behind';
  /** next_index: where the log ends. */
  readonly index: number;
  /** What was found, and what becomes of it. */
  readonly message: string;
}

/**
 * Puts the end of a log in order, under the writer's lock and before the first append, as
 * docs/decisions/0011 argues:
 * - what next_index does not reveal was never acknowledged: it stays until the next append writes
 *   over it. Bytes that look complete are not brought to life;
 * - next_seqnum is published as next_index, now and not by the next append: the reference takes
 *   its entry's number from it, and every reader demands that this is the entry's index.
 * The caller has followed the log to its end, and may write. MEMORY_ERROR, CORRUPT.
 */
export function recover(follower: LogFollower): readonly Remnant[] {
  const { memory, replica } = follower;
  assert(replica.damage === undefined, 'a damaged log is repaired, not recovered');
  const found: Remnant[] = [];
  const { nextIndex, nextSeqnum } = follower.header();
  const index = replica.position;
  if (nextSeqnum !== index) {
    memory.publish(LOG_OFFSET + NEXT_SEQNUM_OFFSET, BigInt(index));
    found.push({
      kind: nextSeqnum > index ? 'seqnum-ahead' : 'seqnum-behind',
      index,
      message: `log header: next_seqnum was ${nextSeqnum}, published as next_index, ${index}`,
    });
  }
  if (nextIndex !== index) {
    memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, BigInt(index));
    const message = `log header: next_index was ${nextIndex}, published as ${index}`;
    found.push({ kind: 'index-behind', index, message });
  }
  const slot = index < replica.capacity ? slotKind(follower, index) : undefined;
  if (slot !== undefined) {
    const what = slot === 'torn-entry' ? 'a torn entry' : 'a complete entry';
    found.push({
      kind: slot,
      index,
      message: `log: ${what} at ${index} was never revealed; the next append writes over it`,
    });
  }
  return found;
}

function slotKind({ memory }: LogFollower, index: number): Remnant['kind'] | undefined {
  const slot = memory.read(LOG_OFFSET + entryOffset(index), ENTRY_BYTES);
  if (isZero(slot)) return undefined;
  const decoded = decodeLogEntry(slot, index);
  return !decoded.ok && decoded.damage ? 'torn-entry' : 'complete-entry';
}
