import type { LogPlace } from '../base/log-place.ts';
import type { DeadFile } from '../format/replica.ts';

/** What a node that may refer to a pool's files has said last. */
export interface NodeAck {
  readonly node: string;
  /** Undefined: nothing that is known here. */
  readonly said?: Saying | undefined;
  /** Why nothing of the node can have a file any more; undefined: it may. */
  readonly gone?: string | undefined;
}

export interface Saying {
  readonly fsUuid: string;
  /** It has applied the log up to here. */
  readonly place: LogPlace;
  /** Deleted files that its kernel refers to there. */
  readonly held: ReadonlySet<number> | 'unknown';
  /** For people to read. */
  readonly saidAt?: string | undefined;
}

export interface PoolName {
  readonly name: string;
  readonly fsUuid: string;
}

/** Where nodes say which deleted files they refer to: docs/decisions/0026. */
export interface Acks {
  /** Learns what can be learned by asking, where nobody tells of changes. Never throws. */
  refresh?(pool: PoolName): Promise<void>;
  /** As far as is known here, maybe a little late; undefined: nothing is known yet. */
  known(pool: PoolName): readonly NodeAck[] | undefined;
  /** As it is now: a node that was given a file of the pool before the call is in the answer. */
  ask(pool: PoolName): Promise<readonly NodeAck[]>;
}

/** Why a node keeps a deleted file in quarantine. */
export type WaitReason = 'silent' | 'behind' | 'other pool' | 'too many' | 'holds';

/** The log that a deleted file is of. */
export interface LogOf {
  readonly fsUuid: string;
  readonly generation: number;
}

/**
 * Whether a node keeps a file in quarantine, and why; undefined: it refers to it no more. Once said
 * in a generation of the log, that stays true: who has applied the DELETE finds no way to the file
 * again.
 */
export function waitReason(
  { said, gone }: NodeAck,
  { fsUuid, generation }: LogOf,
  { node, deletedAt }: DeadFile,
): WaitReason | undefined {
  if (gone !== undefined) return undefined;
  if (said === undefined) return 'silent';
  if (said.fsUuid !== fsUuid) return 'other pool';
  // Of another generation it says nothing, also a later one: this process is the one behind.
  if (said.place.generation !== generation || said.place.position <= deletedAt) return 'behind';
  if (said.held === 'unknown') return 'too many';
  return said.held.has(node.ino) ? 'holds' : undefined;
}

/** What was asked of the nodes, and which deletions all of them can have been asked about. */
export interface Clearance extends LogOf {
  /** Only files whose DELETE was in the log before the nodes were asked. */
  readonly before: number;
  readonly acks: readonly NodeAck[];
}

/**
 * Which deleted files give their memory back with the next compaction, as was last asked; by pool.
 * A compaction ends what was said: it is of the log before.
 */
export class Releases {
  readonly #clearances = new Map<string, Clearance>();

  permit(pool: string, clearance: Clearance): void {
    this.#clearances.set(pool, clearance);
  }

  revoke(pool: string): void {
    this.#clearances.delete(pool);
  }

  isReleased(pool: string, generation: number, dead: DeadFile): boolean {
    const clearance = this.#clearances.get(pool);
    return clearance?.generation === generation && isCleared(clearance, dead);
  }
}

export function isCleared(clearance: Clearance, dead: DeadFile): boolean {
  const { before, acks } = clearance;
  if (dead.deletedAt >= before) return false;
  return acks.every((ack) => waitReason(ack, clearance, dead) === undefined);
}
