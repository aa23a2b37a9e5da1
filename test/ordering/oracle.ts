import { CONTROL_BYTES, CONTROL_OFFSET, type VoidRange } from '../../src/format/control-area.ts';
import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import { decodeLogEntry } from '../../src/format/log-entry.ts';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../../src/format/log-header.ts';
import type { DirectoryNode } from '../../src/format/namespace.ts';
import { Replica } from '../../src/format/replica.ts';
import type { Superblock } from '../../src/format/superblock.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { ControlArea } from '../../src/pool/control-area.ts';
import type { IncoherentMemory } from '../support/incoherent-memory.ts';

/** What must hold; the names are those of the table of mutants. */
export const PROPERTIES = {
  complete: 'a reader applies only entries that were completely written',
  revealed: 'an entry is in memory before the next_index that reveals it',
  single: 'no two readers see different entries at one position',
  prefix: 'what a reader has is what a prefix of the log says',
  current: 'a poll finds all that was in memory when it began',
  arrives: "after quiet every reader is at the writer's position",
  durable: 'an append that resolved is in memory',
  seqnum: 'in memory next_seqnum is never behind next_index',
  successor: 'a new writer opens and appends, wherever its predecessor ended',
  atomic: 'mkfs leaves the old pool, none, or the new one',
  strangers: 'who follows a pool applies nothing of another',
} as const;

export type Property = keyof typeof PROPERTIES;

export interface Violation {
  readonly property: Property;
  readonly detail: string;
}

/** The name of any writer. */
export const WRITER = 'writer';
const FIRST_ENTRY = LOG_OFFSET + entryOffset(0);
const SEQNUM_AT = LOG_OFFSET + NEXT_SEQNUM_OFFSET;
const INDEX_AT = LOG_OFFSET + NEXT_INDEX_OFFSET;

/** Everything that a replica says, as one text. */
export function factsOf(replica: Replica): string {
  const { position, space } = replica;
  const lines = [
    `${position}: ${space.freeBytes} free, ${extentsText(replica.deadExtents())} dead`,
  ];
  const walk = (directory: DirectoryNode): void => {
    for (const node of directory.children()) {
      const { kind, ino, entryIndex, name, uid, gid, mode } = node;
      lines.push(`${entryIndex} ${kind} ${name} in ${directory.ino}: ${ino} ${uid} ${gid} ${mode}`);
      if (node.kind === 'directory') walk(node);
      else lines.push(` ${node.sizeBytes} ${node.flags} ${extentsText(fmapExtents(node.fmap))}`);
    }
  };
  walk(replica.namespace.root);
  return lines.join('\n');
}

function extentsText(extents: readonly Extent[]): string {
  return extents.map((one) => `${one.devindex}:${one.offset}+${one.lengthBytes}`).join();
}

/**
 * Knows, without any cache in between, what writers wanted to write and what the memory holds, and
 * so which entries the log of one pool has. It collects violations; it never throws, since it is
 * called from inside the code under test.
 */
export class Oracle {
  readonly violations: Violation[] = [];
  /** The entry that stands at each position of the log for ever, from when it was revealed. */
  readonly log: Uint8Array[] = [];
  /** Per position: what writers wrote there, in their order. */
  readonly #attempts = new Map<number, Uint8Array[]>();
  readonly #memory: IncoherentMemory;
  readonly #model: Replica;
  readonly #facts: string[];
  readonly #control: ControlArea;
  /** All slots that were ever void. */
  readonly #voids: VoidRange[] = [];
  /** The last moment at which the log was being taken over, by what the memory holds. */
  #unsettledAt = Number.NEGATIVE_INFINITY;

  constructor(memory: IncoherentMemory, superblock: Superblock) {
    this.#memory = memory;
    this.#model = new Replica(superblock);
    this.#facts = [factsOf(this.#model)];
    const read = (offset: number, lengthBytes: number) => memory.peek(offset, lengthBytes);
    this.#control = new ControlArea({ read } as SharedMemory, superblock.fsUuid);
  }

  report(property: Property, detail: string): void {
    this.violations.push({ property, detail });
  }

  /** The memory as a process that is called `name` has it, watched. */
  watch(memory: SharedMemory, name: string): SharedMemory {
    return watched(memory, {
      onRead: (offset, bytes) => this.#seen(name, offset, bytes),
      onWrite: (offset, bytes) => this.#attempted(offset, bytes),
    });
  }

  /** To be told of each line that reached memory. */
  written(offset: number): void {
    const isControl = offset >= CONTROL_OFFSET && offset < CONTROL_OFFSET + CONTROL_BYTES;
    if (!isControl && offset !== LOG_OFFSET) return;
    const view = this.#control.view();
    if (!view.isSettled) this.#unsettledAt = this.#memory.now;
    this.#voids.push(
      ...view.voids.filter((one) => !this.#voids.some((known) => isSame(known, one))),
    );
    const seqnum = this.#memory.peekWord(SEQNUM_AT);
    const nextIndex = this.#nextIndexAt(this.#memory.now);
    if (offset === LOG_OFFSET && seqnum < nextIndex) {
      this.report('seqnum', `next_seqnum ${seqnum}, next_index ${nextIndex}`);
    }
    // Either of the two words reveals: the owner's own, or the one that all hosts store to.
    const end = Math.max(nextIndex, this.#control.committed(view));
    if (end < this.log.length && view.isSettled) {
      this.report('single', `the log went back from ${this.log.length} to ${end}`);
    }
    while (this.log.length < end) if (!this.#reveal(this.log.length)) break;
  }

  /** To be told, with its log position, of each append that resolved. */
  acknowledged(position: number): void {
    const index = this.#nextIndexAt(this.#memory.now);
    if (index < position) this.report('durable', `append to ${position}, next_index ${index}`);
  }

  /**
   * To be told of each poll: where it came to, and at which moment it began. A reader may wait for
   * a host that takes the log over, but for no other reason.
   */
  polled(
    name: string,
    { position, isSettled, began }: { position: number; isSettled: boolean; began: number },
  ): void {
    if (!this.#control.view().isSettled) this.#unsettledAt = this.#memory.now;
    if (!isSettled && this.#unsettledAt >= began) return;
    if (!isSettled) this.report('current', `${name}: waits though nobody takes the log over`);
    const nextIndex = this.#nextIndexAt(began);
    if (position < nextIndex) this.report('current', `${name}: ${position} of ${nextIndex}`);
  }

  /** To be told of each replica that has applied something. */
  applied(name: string, replica: Replica): void {
    const { position, damage, problems } = replica;
    const problem = damage ?? problems[0];
    if (problem !== undefined) {
      const { index, code, message } = problem;
      this.report('complete', `${name} at entry ${index}: ${code}: ${message}`);
    }
    const facts = this.#facts[position];
    if (facts !== factsOf(replica)) {
      this.report('prefix', `${name} at ${position}: ${factsOf(replica)}, expected ${facts}`);
    }
  }

  #wasVoid(index: number): boolean {
    return this.#voids.some(({ from, to }) => from <= index && index < to);
  }

  #nextIndexAt(when: number): number {
    return this.#memory.peekWord(INDEX_AT, when);
  }

  #reveal(index: number): boolean {
    const image = this.#attempts.get(index)?.at(-1);
    if (image === undefined) {
      this.report('revealed', `entry ${index}: nobody wrote it`);
      return false;
    }
    const inMemory = this.#memory.peek(LOG_OFFSET + entryOffset(index), ENTRY_BYTES);
    if (!isEqual(inMemory, image) && !this.#wasVoid(index)) {
      this.report('revealed', `entry ${index}: not in memory: ${nameOf(inMemory, index)}`);
    }
    this.log.push(image);
    this.#model.apply(image);
    this.#facts.push(factsOf(this.#model));
    return true;
  }

  #attempted(offset: number, bytes: Uint8Array): void {
    if (offset < FIRST_ENTRY) return;
    for (const [index, image] of imagesIn(offset, bytes)) {
      if (index < this.log.length && !this.#wasVoid(index)) {
        this.report('single', `entry ${index} is written again`);
      }
      this.#attempts.set(index, [...(this.#attempts.get(index) ?? []), image]);
    }
  }

  #seen(name: string, offset: number, bytes: Uint8Array): void {
    if (offset < FIRST_ENTRY) return;
    for (const [index, image] of imagesIn(offset, bytes)) {
      const expected = this.log[index];
      // Recovery looks at the slot behind the log, to say what a predecessor left there.
      if (name === WRITER && index === this.log.length) continue;
      // Read by who did not know yet that the log is another one's, and thrown away.
      if (this.#wasVoid(index)) continue;
      if (expected !== undefined && isEqual(image, expected)) continue;
      const isOther = this.#attempts.get(index)?.some((other) => isEqual(other, image));
      const property = isOther && expected !== undefined ? 'single' : 'complete';
      this.report(property, `${name} read at ${index}: ${nameOf(image, index)}`);
    }
  }
}

function isSame(one: VoidRange, other: VoidRange): boolean {
  return one.from === other.from && one.to === other.to;
}

function* imagesIn(offset: number, bytes: Uint8Array): Iterable<[number, Uint8Array]> {
  const first = (offset - FIRST_ENTRY) / ENTRY_BYTES;
  for (let at = 0; at * ENTRY_BYTES < bytes.length; at++) {
    yield [first + at, bytes.slice(at * ENTRY_BYTES, (at + 1) * ENTRY_BYTES)];
  }
}

function nameOf(image: Uint8Array, index: number): string {
  const decoded = decodeLogEntry(image, index);
  return decoded.ok ? JSON.stringify(decoded.entry) : `${decoded.code}: ${decoded.message}`;
}

export function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

interface Watch {
  readonly onRead: (offset: number, bytes: Uint8Array) => void;
  readonly onWrite: (offset: number, bytes: Uint8Array) => void;
}

/** The memory, with somebody who looks on; the code above it cannot tell. */
function watched(memory: SharedMemory, { onRead, onWrite }: Watch): SharedMemory {
  return {
    lengthBytes: memory.lengthBytes,
    read(offset, lengthBytes) {
      const bytes = memory.read(offset, lengthBytes);
      onRead(offset, bytes);
      return bytes;
    },
    write(offset, bytes) {
      onWrite(offset, bytes);
      memory.write(offset, bytes);
    },
    publish: (offset, value) => memory.publish(offset, value),
    flush: (offset, lengthBytes) => memory.flush(offset, lengthBytes),
    [Symbol.dispose]: () => memory[Symbol.dispose](),
  };
}
