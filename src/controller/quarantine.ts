import { formatSize } from '../base/numbers.ts';
import { bytesOf } from '../format/accounting.ts';
import { volumeOfPath } from '../format/compacted-log.ts';
import type { DeadFile, Replica } from '../format/replica.ts';
import { type NodeAck, type Saying, type WaitReason, waitReason } from './acks.ts';
import type { VolumePool } from './volume-pool.ts';

/** A node that deleted files of a volume wait for, and what for. */
export interface WaitingFor {
  readonly node: string;
  readonly reason: string;
  readonly bytes: number;
}

/** Deleted files of one volume whose memory is not free yet. */
export interface QuarantinedVolume {
  readonly volume: string;
  readonly bytes: number;
  readonly files: number;
  /** When they were seen to be deleted first. */
  readonly since: string;
  /** Empty: nothing, the next compaction frees them. */
  readonly waitsFor: readonly WaitingFor[];
}

type Since = Pick<QuarantinedVolume, 'volume' | 'since'>;

const VOLUMES_IN_TEXT = 3;

/** What is in quarantine, whom it waits for, and since when; of all pools of a controller. */
export class Quarantine {
  readonly #now: () => Date;
  readonly #acks = new Map<string, readonly NodeAck[]>();
  readonly #since = new Map<string, Map<string, string>>();

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  /** What a controller before this one wrote down; what is known here already stays. */
  remember(pool: string, volumes: readonly Since[]): void {
    const known = this.#sinceOf(pool);
    for (const { volume, since } of volumes) {
      const there = known.get(volume);
      if (there === undefined || since < there) known.set(volume, since);
    }
  }

  /** What the nodes have said last; undefined: nothing is known of any. Notes what is new, too. */
  heard(pool: VolumePool, acks: readonly NodeAck[] | undefined): void {
    if (acks === undefined) this.#acks.delete(pool.name);
    else this.#acks.set(pool.name, acks);
    this.#note(pool);
  }

  /** The largest first. Of the log as it was last followed. */
  of(pool: VolumePool): QuarantinedVolume[] {
    const since = this.#note(pool);
    const volumes = [...deadByVolume(pool.replica)].map(([volume, files]) => ({
      volume,
      bytes: bytesOf(files),
      files: files.length,
      since: since.get(volume) ?? '',
      waitsFor: this.#waitsFor(pool, files),
    }));
    return volumes.sort((one, other) => other.bytes - one.bytes);
  }

  /** For who was told that the pool is full; empty where nothing is in quarantine. */
  describe(pool: VolumePool): string {
    const volumes = this.of(pool);
    if (volumes.length === 0) return '';
    const sum = volumes.reduce((bytes, one) => bytes + one.bytes, 0);
    const parts = volumes.slice(0, VOLUMES_IN_TEXT).map((one) => {
      const { volume, bytes, since, waitsFor } = one;
      const [first, ...others] = waitsFor;
      const subject = `${formatSize(bytes)} of ${volume}, deleted ${since},`;
      if (first === undefined) return `${subject} wait for the next compaction`;
      const more = others.length === 0 ? '' : ` and ${others.length} more`;
      return `${subject} wait for node ${first.node} (${first.reason})${more}`;
    });
    if (volumes.length > parts.length) parts.push(`${volumes.length - parts.length} volumes more`);
    return `${formatSize(sum)} more are in quarantine: ${parts.join('; ')}`;
  }

  #note({ name, replica }: VolumePool): ReadonlyMap<string, string> {
    const since = this.#sinceOf(name);
    const volumes = new Set(replica.dead.map(({ node }) => volumeOfPath(node.path)));
    for (const volume of since.keys()) if (!volumes.has(volume)) since.delete(volume);
    const now = this.#now().toISOString();
    for (const volume of volumes) if (!since.has(volume)) since.set(volume, now);
    return since;
  }

  #sinceOf(pool: string): Map<string, string> {
    const known = this.#since.get(pool) ?? new Map<string, string>();
    this.#since.set(pool, known);
    return known;
  }

  #waitsFor(pool: VolumePool, files: readonly DeadFile[]): WaitingFor[] {
    const acks = this.#acks.get(pool.name);
    if (acks === undefined) {
      const reason = 'nobody says what the nodes refer to; see docs/operations/quarantine.md';
      return [{ node: '?', reason, bytes: bytesOf(files) }];
    }
    return acks.flatMap((ack) => {
      const reasons = files.map((dead) => ({ dead, reason: waitReason(ack, pool, dead) }));
      const waiting = reasons.filter(({ reason }) => reason !== undefined);
      const held = waiting.filter(({ reason }) => reason === 'holds').length;
      const worst = waiting.find(({ reason }) => reason !== 'holds') ?? waiting[0];
      if (worst?.reason === undefined) return [];
      const reason = describeWait(worst.reason, held, ack.said);
      return [{ node: ack.node, reason, bytes: bytesOf(waiting.map(({ dead }) => dead)) }];
    });
  }
}

function describeWait(reason: WaitReason, held: number, said: Saying | undefined): string {
  const lately = said?.saidAt === undefined ? '' : `, last heard of ${said.saidAt}`;
  switch (reason) {
    case 'holds':
      return `holds ${held} deleted ${held === 1 ? 'file' : 'files'}`;
    case 'silent':
      return 'has never said what it holds';
    case 'behind':
      return `has not said yet that it has seen the deletion${lately}`;
    case 'other pool':
      return `has another pool (${said?.fsUuid}) under this name`;
    case 'too many':
      return `holds more deleted files than it can list${lately}`;
  }
}

/** Deleted files by the volume that they were of, in the order in which they went. */
export function deadByVolume({ dead }: Replica): Map<string, DeadFile[]> {
  const byVolume = new Map<string, DeadFile[]>();
  for (const one of dead) {
    const volume = volumeOfPath(one.node.path);
    const files = byVolume.get(volume);
    if (files === undefined) byVolume.set(volume, [one]);
    else files.push(one);
  }
  return byVolume;
}
