import type { DeadFile, Replica } from '../format/replica.ts';
import type { Compaction } from '../pool/log-owner.ts';
import type { Plan } from '../pool/log-writer.ts';

/** What the domain needs of a pool; `Pool` of src/pool has it. */
export interface VolumePool {
  readonly name: string;
  readonly fsUuid: string;
  /** The log as applied so far. */
  readonly replica: Replica;
  /** Of the log that `replica` is of; positions of two generations cannot be compared. */
  readonly generation: number;
  /** False while a host takes the log over or rewrites it, or has died doing so. */
  readonly isSettled: boolean;
  /** Applies what was appended since, by anybody; returns the log position. */
  follow(): number;
  /** All the plan's entries or none, revealed together: see `LogWriter.append`. */
  append<T>(plan: (replica: Replica) => Plan<T>): Promise<T>;
  /** Zeroes memory of a deleted file, piece by piece: see `Pool.scrub`. */
  scrub(dead: DeadFile, generation: number, done: number): Promise<number>;
  /** Writes the log anew without what is dead: see `LogWriter.compact`. */
  compact(): Promise<Compaction>;
}
