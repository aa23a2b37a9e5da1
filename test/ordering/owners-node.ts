import { messageOf } from '../../src/base/errors.ts';
import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import type { FileNode, Node } from '../../src/format/namespace.ts';
import type { Replica } from '../../src/format/replica.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { IncoherentMemory } from '../support/incoherent-memory.ts';
import { type IncoherentProcess, ProcessEnded } from '../support/incoherent-process.ts';
import type { planOf } from './plans.ts';

/** Who looks at what a node sees. */
export interface Watcher {
  readonly memory: IncoherentMemory;
  reading(process: IncoherentProcess): SharedMemory;
  /** The node has followed the log. */
  observed(node: FabricNode, follower: LogFollower): void;
  /** The node has written a file that it has open. */
  wrote(file: Open): void;
  /** Another log took the place of the one that the node had. */
  compare(before: Replica, after: Replica): void;
  report(property: 'whole', detail: string): void;
}

/** A file that a node's kernel holds: its path is of this one file alone. */
export interface Open {
  readonly path: string;
  readonly ino: number;
  readonly extents: readonly Extent[];
}

/** A node: follows the log, opens files, and says what it refers to. */
export class FabricNode {
  readonly host: number;
  readonly open = new Map<string, Open>();
  /** What it said last. */
  acknowledged: { generation: number; position: number; held: ReadonlySet<number> } | undefined;
  follower: LogFollower | undefined;
  readonly #world: Watcher;
  #process: IncoherentProcess;

  constructor(world: Watcher, host: number) {
    this.#world = world;
    this.host = host;
    this.#process = world.memory.host(host).process('reads');
  }

  poll(): void {
    try {
      if (this.#process.isEnded) {
        // The host lost power: its kernel forgot everything, and what it last said is void.
        this.#process = this.#world.memory.host(this.host).process('reads');
        this.follower = undefined;
        this.open.clear();
      }
      if (this.follower === undefined) {
        const memory = this.#world.reading(this.#process);
        const follower = new LogFollower(memory);
        if (!follower.isSettled) return;
        this.follower = follower;
      } else {
        const before = this.follower.replica;
        this.follower.follow();
        if (this.follower.replica !== before) this.#world.compare(before, this.follower.replica);
      }
      this.#world.observed(this, this.follower);
    } catch (error) {
      if (error instanceof ProcessEnded) return;
      this.#world.report('whole', `node ${this.host}: ${messageOf(error)}`);
      this.follower = undefined;
    }
  }

  /** Follows, closes all files, and says so. */
  rest(): void {
    this.poll();
    this.open.clear();
    this.#acknowledge();
  }

  /** Opens a file, or closes one; then says what it has. */
  live(): void {
    const { random } = this.#world.memory;
    if (this.follower === undefined || this.#process.isEnded) return;
    const files = [...this.follower.replica.namespace.files()];
    if (files.length > 0 && random.chance(0.5)) {
      const file = random.pick(files);
      this.open.set(file.path, openOf(file));
      this.#write(openOf(file));
    } else if (this.open.size > 0 && random.chance(0.5)) {
      this.open.delete(random.pick([...this.open.keys()]));
    }
    if (random.chance(0.7)) this.#acknowledge();
  }

  #write(file: Open): void {
    try {
      const memory = this.#world.reading(this.#process);
      memory.publish(file.extents[0]?.offset ?? 0, wordOf(file.path));
      this.#world.wrote(file);
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
    }
  }

  #acknowledge(): void {
    if (this.follower === undefined) return;
    const { generation, replica, isSettled } = this.follower;
    if (!isSettled) return;
    const held = new Set([...this.open.values()].map(({ ino }) => ino));
    this.acknowledged = { generation, position: replica.position, held };
  }
}

export function openOf(file: FileNode): Open {
  return { path: file.path, ino: file.ino, extents: fmapExtents(file.fmap) };
}

/** What nodes write to a file: no other one has the same. */
export function wordOf(path: string): bigint {
  return Buffer.from(path.padEnd(8)).readBigUInt64LE();
}

export function factsOfNode(node: Node): string {
  if (node.kind === 'directory') return `${node.path}/`;
  const { path, sizeBytes, fmap } = node;
  return `${path} ${sizeBytes} ${extentsText(fmapExtents(fmap))}`;
}

export function factsOfEntry(
  entry: ReturnType<ReturnType<typeof planOf>>['entries'][number],
): string {
  if (entry.type === 'file') {
    return `${entry.path} ${entry.sizeBytes} ${extentsText(fmapExtents(entry.fmap))}`;
  }
  return 'path' in entry ? `${entry.path}/` : '';
}

function extentsText(extents: readonly Extent[]): string {
  return extents.map(({ offset, lengthBytes }) => `${offset}+${lengthBytes}`).join();
}

export function* overlaps(files: readonly Open[]): Iterable<[Open, Open]> {
  for (const [at, one] of files.entries()) {
    for (const other of files.slice(at + 1)) if (shareMemory(one, other)) yield [one, other];
  }
}

export function shareMemory(one: Open, other: Open): boolean {
  return one.extents.some((a) =>
    other.extents.some(
      (b) => a.offset < b.offset + b.lengthBytes && b.offset < a.offset + a.lengthBytes,
    ),
  );
}
