import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import type { FileNode, Node } from '../../src/format/namespace.ts';
import type { DeadFile, Replica } from '../../src/format/replica.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { Random } from '../support/random.ts';

const OPEN_MAX = 12;

interface PlacedFile {
  readonly path: string;
  readonly extents: readonly Extent[];
}

interface OpenFile extends PlacedFile {
  readonly ino: number;
  isDeleted: boolean;
}

/** What the kernels of all nodes have open: no other file may have memory of it. */
export class Exclusive {
  readonly #open: OpenFile[] = [];

  add(file: OpenFile): void {
    this.check(file);
    this.#open.push(file);
  }

  /** A name is of one file only, so the same name elsewhere is the same file. */
  check(file: PlacedFile): void {
    const other = this.#open.find((one) => one.path !== file.path && shareMemory(one, file));
    if (other === undefined) return;
    const state = other.isDeleted ? 'deleted and open' : 'open';
    throw new Error(`${file.path} has memory of ${other.path}, which is ${state}`);
  }

  remove(file: OpenFile): void {
    this.#open.splice(this.#open.indexOf(file), 1);
  }
}

/** A node over real memory: follows the log, opens files, and says what its kernel refers to. */
export class ChurnNode implements Disposable {
  readonly #memory: Mapping;
  readonly #follower: LogFollower;
  readonly #random: Random;
  readonly #exclusive: Exclusive;
  readonly #open: OpenFile[] = [];
  #said = { generation: -1, position: 0, held: new Set<number>() };
  opened = 0;
  /** How often a file was deleted that it had open. */
  heldDeleted = 0;

  constructor(device: string, random: Random, exclusive: Exclusive) {
    this.#memory = Mapping.open(device, { writable: false });
    this.#follower = new LogFollower(this.#memory, (node) => this.#removed(node));
    this.#random = random;
    this.#exclusive = exclusive;
  }

  /** Follows, then opens or closes something, and mostly says what it has. */
  live(): void {
    this.#follow();
    const random = this.#random;
    if (random.chance(0.5) && this.#open.length < OPEN_MAX) this.#openOne();
    else if (this.#open.length > 0) this.#close(random.below(this.#open.length));
    if (random.chance(0.5)) this.acknowledge();
  }

  acknowledge(): void {
    this.#follow();
    const { generation, replica } = this.#follower;
    const held = new Set(this.#open.map(({ ino }) => ino));
    this.#said = { generation, position: replica.position, held };
  }

  hasReleased({ node, deletedAt }: DeadFile, generation: number): boolean {
    const said = this.#said;
    return said.generation === generation && said.position > deletedAt && !said.held.has(node.ino);
  }

  closeAll(): void {
    while (this.#open.length > 0) this.#close(0);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  /** What lives in both keeps all its facts when the log is another one. */
  #follow(): void {
    const before = this.#follower.replica;
    this.#follower.follow();
    const after = this.#follower.replica;
    if (after.problemCount > 0) throw new Error(after.problems[0]?.message);
    if (after !== before) assertKept(before, after);
  }

  #openOne(): void {
    const names = [...this.#follower.replica.namespace.root.children()];
    if (names.length === 0) return;
    const directory = this.#random.pick(names);
    const file = directory.kind === 'directory' ? directory.child('data') : undefined;
    if (file?.kind !== 'file' || this.#open.some(({ path }) => path === file.path)) return;
    const extents = fmapExtents(file.fmap);
    const open = { path: file.path, ino: file.ino, extents, isDeleted: false };
    this.#exclusive.add(open);
    this.#open.push(open);
    this.opened++;
  }

  #close(at: number): void {
    for (const file of this.#open.splice(at, 1)) this.#exclusive.remove(file);
  }

  #removed({ ino }: Node): void {
    const file = this.#open.find((one) => one.ino === ino);
    if (file === undefined || file.isDeleted) return;
    file.isDeleted = true;
    this.heldDeleted++;
  }
}

function assertKept(before: Replica, after: Replica): void {
  for (const node of after.namespace.files()) {
    const old = before.namespace.lookup(node.path);
    if (old !== undefined && factsOf(old as FileNode) !== factsOf(node)) {
      throw new Error(`${node.path} is another file since the log was rewritten`);
    }
  }
}

function factsOf({ ino, sizeBytes, fmap }: FileNode): string {
  return `${ino} ${sizeBytes} ${JSON.stringify(fmap)}`;
}

function shareMemory(one: PlacedFile, other: PlacedFile): boolean {
  return one.extents.some((a) =>
    other.extents.some(
      (b) => a.offset < b.offset + b.lengthBytes && b.offset < a.offset + a.lengthBytes,
    ),
  );
}
