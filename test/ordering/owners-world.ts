import fc from 'fast-check';
import { isFault, messageOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import type { DeviceRange } from '../../src/format/control-area.ts';
import { fmapExtents } from '../../src/format/extents.ts';
import type { DeadFile, Replica } from '../../src/format/replica.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { IncoherentMemory } from '../support/incoherent-memory.ts';
import {
  type EndOfProcess,
  type IncoherentProcess,
  ProcessEnded,
} from '../support/incoherent-process.ts';
import { testHost, writerOf } from '../support/log-writer.ts';
import { Random } from '../support/random.ts';
import {
  FabricNode,
  factsOfEntry,
  factsOfNode,
  type Open,
  openOf,
  overlaps,
  shareMemory,
  type Watcher,
  wordOf,
} from './owners-node.ts';
import { Names, planOf } from './plans.ts';
import { type Ordering, PRODUCTION } from './reader.ts';
import { EVICTION_CHANCES, SYSTEM_UUID } from './world.ts';

/** What must hold of owners, compactions and memory that comes back. */
export const OWNER_PROPERTIES = {
  exclusive: 'no two live files of a node, open ones among them, share memory',
  agreed: 'no two nodes apply different entries at one place of one generation of the log',
  kept: 'a live file keeps inode number, size and extents through every compaction',
  durable: 'what was answered is there after quiet, on every node, and nothing that was deleted',
  successor: 'a new writer opens, appends and compacts, wherever its predecessor ended',
  room: 'a pool whose live files fit, and whose nodes have let go of the others, is not full',
  bytes: 'what is written to a live file stays there',
  whole: 'no node ever sees a log that is damaged or has problems',
} as const;

export type OwnerProperty = keyof typeof OWNER_PROPERTIES;

export interface OwnerViolation {
  readonly property: OwnerProperty;
  readonly detail: string;
}

/** One call of a writer. */
interface Act {
  readonly host: number;
  /** `open`: a process that would write, and is never asked to. */
  readonly kind: 'create' | 'delete' | 'compact' | 'open' | 'scrub';
  readonly pick: number;
  readonly end: 'stop' | EndOfProcess;
  readonly endAt: number;
}

export interface OwnersScenario {
  readonly seed: number;
  readonly acts: readonly Act[];
  /** Acts of other hosts that begin in the middle of one: their writers all believe to be owner. */
  readonly nested: readonly Act[];
}

/** What a test may do wrong. */
export interface Wrongs {
  readonly writer?: Ordering;
  readonly reader?: Ordering;
  /** Instead of what the nodes said; `positions`: how far each has said that it followed. */
  readonly isReleased?: (dead: DeadFile, positions: readonly number[]) => boolean;
}

const HOSTS = 3;
/** Superblock, log, and memory for five files of the smaller kind. */
const DEVICE_BYTES = 20 * MiB;
const FILE_BYTES = 2 * MiB;
const SCRUB_BYTES = 256;
const NEST_CHANCE = 0.01;
const POLL_CHANCE = 0.04;
const CLOSE_AT_OPEN_CHANCE = 0.7;
/** How often a writer closes the log when it is done. */
const CLOSE_CHANCE = 0.5;
/** How often a host that is fenced is not known to be. */
const UNKNOWN_CHANCE = 0.2;

const act: fc.Arbitrary<Act> = fc.record({
  host: fc.nat({ max: HOSTS - 1 }),
  kind: fc.constantFrom('create', 'create', 'delete', 'compact', 'open', 'scrub'),
  pick: fc.nat({ max: 9 }),
  end: fc.constantFrom('stop', 'stop', 'power', 'kill'),
  endAt: fc.nat({ max: 700 }),
});

export const ownersScenario: fc.Arbitrary<OwnersScenario> = fc.record({
  seed: fc.noShrink(fc.integer()),
  acts: fc.array(act, { minLength: 2, maxLength: 8 }),
  nested: fc.array(act, { maxLength: 4 }),
});

export function ownerViolationsOf(
  scenario: OwnersScenario,
  wrongs: Wrongs = {},
): readonly OwnerViolation[] {
  const world = new OwnersWorld(scenario, wrongs);
  world.run();
  return world.violations;
}

class OwnersWorld implements Watcher {
  readonly violations: OwnerViolation[] = [];
  readonly memory: IncoherentMemory;
  readonly #scenario: OwnersScenario;
  readonly #wrongs: Wrongs;
  readonly #names = new Names();
  readonly #nodes: readonly FabricNode[];
  /** Acts that are being done, outermost first. */
  readonly #stack: Act[] = [];
  #nested: Act[];
  /** Hosts on which a writer was killed and left what it had stored. */
  readonly #dirty = new Set<number>();
  /** By generation and index: what some node applied there. */
  readonly #applied = new Map<string, string>();
  /** Where some node has written a live file's own word. */
  readonly #written = new Map<string, number>();
  /** What was answered: paths that are there, and paths that are gone. */
  readonly #present = new Map<string, string>();
  readonly #gone = new Set<string>();
  /** Of calls that were not answered: they may have counted or not. */
  readonly #doubtful = new Set<string>();
  #isPolling = false;
  #isFull = false;
  #unknownChance = UNKNOWN_CHANCE;

  constructor(scenario: OwnersScenario, wrongs: Wrongs) {
    this.#scenario = scenario;
    this.#wrongs = wrongs;
    this.#nested = [...scenario.nested];
    this.memory = new IncoherentMemory(DEVICE_BYTES, HOSTS, new Random(scenario.seed));
    const process = this.memory.host(0).process('writes');
    mkfs(PRODUCTION(process), { deviceName: 'fabric', systemUuid: SYSTEM_UUID });
    process[Symbol.dispose]();
    this.memory.catchUp();
    this.#nodes = this.memory.hosts.map((_, host) => new FabricNode(this, host));
    for (const node of this.#nodes) node.poll();
  }

  run(): void {
    const { memory } = this;
    memory.evictionChance = memory.random.pick(EVICTION_CHANCES);
    memory.onStep = () => this.#meanwhile();
    for (const each of this.#scenario.acts) {
      this.#do(each);
      this.#pollAll();
    }
    this.#quiet();
  }

  report(property: OwnerProperty, detail: string): void {
    this.violations.push({ property, detail });
  }

  reading(process: IncoherentProcess) {
    return (this.#wrongs.reader ?? PRODUCTION)(process);
  }

  /** One call of a writer that starts for it, and what came of it. */
  #do(one: Act): void {
    const host = this.memory.host(one.host);
    const process = host.process('writes');
    if (one.end !== 'stop') process.endAt(process.steps + one.endAt, one.end);
    this.#stack.push(one);
    try {
      const { writer, follower } = this.#open(process, one.host);
      if (one.kind === 'compact') writer.compactHeld();
      else if (one.kind === 'scrub') {
        writer.scrubHeld((replica) => this.#toScrub(replica, follower.generation));
      } else if (one.kind !== 'open') this.#append(writer, one);
      if (this.memory.random.chance(CLOSE_CHANCE)) writer.closeHeld();
    } catch (error) {
      if (error instanceof ProcessEnded) {
        if (one.end === 'kill') this.#dirty.add(one.host);
      } else if (!isFault(error) || !['READ_ONLY', 'BUSY', 'PRECONDITION'].includes(error.code)) {
        this.report('successor', `${one.kind} on host ${one.host}: ${messageOf(error)}`);
      }
    } finally {
      this.#stack.pop();
      process[Symbol.dispose]();
      if (one.end === 'power' && process.isEnded) this.#dirty.delete(one.host);
    }
  }

  #open(process: IncoherentProcess, host: number) {
    const follower = new LogFollower((this.#wrongs.writer ?? PRODUCTION)(process));
    const { random } = this.memory;
    const known = new Map<string, boolean>();
    const writer = writerOf(follower, {
      host: testHost(host),
      rules: {
        mayTakeOver: () => {},
        isFenced: ({ hostName }) => {
          const isKnown = known.get(hostName) ?? !random.chance(this.#unknownChance);
          known.set(hostName, isKnown);
          return isKnown && this.#isFenced(hostName);
        },
      },
      isReleased: (dead) => this.#isReleased(dead, follower.generation),
    });
    // Not where another process of the host has the lock just then: the next append sees to it.
    if (random.chance(CLOSE_AT_OPEN_CHANCE)) {
      writer.closeHeld();
      this.#dirty.delete(host);
    }
    return { writer, follower };
  }

  /** Nothing that it stored can still reach memory. */
  #isFenced(hostName: string): boolean {
    const host = Number(hostName.split(' ')[1]);
    return !this.#dirty.has(host) && !this.#stack.some((one) => one.host === host);
  }

  #isReleased(dead: DeadFile, generation: number): boolean {
    const truth = this.#nodes.every(({ acknowledged: said }) => {
      if (said === undefined || said.generation !== generation) return false;
      return said.position > dead.deletedAt && !said.held.has(dead.node.ino);
    });
    const positions = this.#nodes.map(({ acknowledged: said }) =>
      said?.generation === generation ? said.position : 0,
    );
    return this.#wrongs.isReleased?.(dead, positions) ?? truth;
  }

  /** Of a deleted file that nobody refers to, where nodes write. */
  #toScrub(replica: Replica, generation: number): DeviceRange | undefined {
    const dead = replica.dead.find((one) => this.#isReleased(one, generation));
    const [extent] = dead === undefined ? [] : fmapExtents(dead.node.fmap);
    return extent && { offset: extent.offset, lengthBytes: SCRUB_BYTES };
  }

  #append(writer: LogWriter, { kind, pick }: Act): void {
    let touched: string[] = [];
    let isDelete = false;
    try {
      const facts = writer.appendHeld((replica) => {
        const plan = planOf({ kind: kind === 'delete' ? 'delete' : 'tree', pick }, this.#names);
        const { entries } = plan(replica);
        touched = entries.flatMap((entry) => ('path' in entry ? [entry.path] : []));
        isDelete = entries.some(({ type }) => type === 'delete');
        for (const path of touched) this.#doubtful.add(path);
        return { entries, result: entries.map((entry) => factsOfEntry(entry)) };
      });
      for (const [at, path] of touched.entries()) {
        this.#doubtful.delete(path);
        if (isDelete) {
          this.#present.delete(path);
          this.#gone.add(path);
        } else if (!this.#gone.has(path)) {
          // Another host may have deleted it before this one learned that it is there.
          this.#present.set(path, facts[at] ?? '');
        }
      }
    } catch (error) {
      // The memory may be full of what nobody has acknowledged yet: then nothing happened.
      if (!isFault(error) || (error.code !== 'NO_SPACE' && error.code !== 'LOG_FULL')) throw error;
      for (const path of touched) this.#doubtful.delete(path);
      this.#isFull = true;
    }
  }

  /** What happens between any two steps: nodes poll and live, other hosts act. */
  #meanwhile(): void {
    const { random } = this.memory;
    if (this.#isPolling) return;
    if (random.chance(POLL_CHANCE)) this.#poll(random.pick(this.#nodes));
    if (this.#stack.length === 0 || !random.chance(NEST_CHANCE)) return;
    const at = this.#nested.findIndex(({ host }) => this.#stack.every((one) => one.host !== host));
    const [next] = at < 0 ? [] : this.#nested.splice(at, 1);
    if (next !== undefined) this.#do(next);
  }

  #poll(node: FabricNode): void {
    this.#isPolling = true;
    node.poll();
    node.live();
    this.#isPolling = false;
  }

  #pollAll(): void {
    for (const node of this.#nodes) this.#poll(node);
  }

  /** A node has followed the log. */
  observed(node: FabricNode, { replica, generation }: LogFollower): void {
    if (replica.damage !== undefined || replica.problemCount > 0) {
      const { code, message, index } = replica.damage ?? replica.problems[0] ?? { code: '' };
      this.report('whole', `node ${node.host} at ${index}: ${code}: ${message}`);
    }
    for (const each of replica.namespace.nodes()) {
      const place = `${generation}:${each.entryIndex}`;
      const facts = factsOfNode(each);
      const other = this.#applied.get(place) ?? facts;
      this.#applied.set(place, other);
      if (other !== facts) this.report('agreed', `${place}: ${facts}, and elsewhere ${other}`);
    }
    const live = [...replica.namespace.files()].map(openOf);
    const open = [...node.open.values()].filter(
      ({ path }) => !live.some((one) => one.path === path),
    );
    for (const [one, other] of overlaps([...live, ...open])) {
      this.report('exclusive', `node ${node.host}: ${one.path} and ${other.path}`);
    }
    // Nor may one node write what another one still maps.
    for (const other of this.#nodes.flatMap((each) => [...each.open.values()])) {
      const taken = live.find((one) => one.path !== other.path && shareMemory(one, other));
      if (taken) this.report('exclusive', `${taken.path} lives where ${other.path} is open`);
    }
  }

  wrote({ path, extents }: Open): void {
    this.#written.set(path, extents[0]?.offset ?? 0);
  }

  /** Another log took the place of the one that a node had. */
  compare(before: Replica, after: Replica): void {
    for (const node of after.namespace.nodes()) {
      const was = before.namespace.lookup(node.path);
      if (was !== undefined && factsOfNode(was) !== factsOfNode(node)) {
        this.report('kept', `${factsOfNode(was)} became ${factsOfNode(node)}`);
      }
    }
  }

  /** Nothing else happens any more: a last writer, then every node, old or new. */
  #quiet(): void {
    const { memory } = this;
    memory.onStep = () => {};
    memory.evictionChance = 0;
    for (const host of memory.hosts) host.clean();
    this.#dirty.clear();
    this.#unknownChance = 0;
    memory.catchUp();
    const last = { host: 1, pick: 0, end: 'stop', endAt: 0 } as const;
    this.#do({ ...last, kind: 'create' });
    memory.catchUp();
    for (const node of this.#nodes) node.rest();
    this.#isFull = false;
    this.#do({ ...last, kind: 'create' });
    memory.catchUp();
    this.#checkRoom();
    this.#checkBytes();
    this.#do({ ...last, kind: 'compact' });
    memory.catchUp();
    const fresh = memory.hosts.map((_, host) => new FabricNode(this, host));
    for (const node of [...this.#nodes, ...fresh]) {
      node.poll();
      this.#checkAnswers(node);
    }
  }

  #checkRoom(): void {
    const [node] = this.#nodes;
    node?.poll();
    const files = [...(node?.follower?.replica.namespace.files() ?? [])].map(openOf);
    const extents = files.flatMap((file) => file.extents);
    const live = extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const free = DEVICE_BYTES - 10 * MiB - live;
    if (this.#isFull && free >= FILE_BYTES) this.report('room', `full, with ${free} bytes free`);
  }

  #checkBytes(): void {
    for (const [path, offset] of this.#written) {
      if (!this.#present.has(path) || this.#doubtful.has(path)) continue;
      const found = Buffer.from(this.memory.peek(offset, 8)).readBigUInt64LE();
      if (found !== wordOf(path)) this.report('bytes', `${path}: ${found}`);
    }
  }

  #checkAnswers(node: FabricNode): void {
    const namespace = node.follower?.replica.namespace;
    const at = (path: string) => namespace?.lookup(path);
    for (const [path, facts] of this.#present) {
      const found = at(path);
      const text = found && factsOfNode(found);
      if (text === facts || this.#doubtful.has(path)) continue;
      this.report('durable', `node ${node.host}: ${text ?? 'nothing'}, expected ${facts}`);
    }
    for (const path of this.#gone) {
      if (at(path) !== undefined) this.report('durable', `node ${node.host}: ${path} is back`);
    }
  }
}
