import fc from 'fast-check';
import { isFault, messageOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import type { Replica } from '../../src/format/replica.ts';
import type { Superblock } from '../../src/format/superblock.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { type MkfsOptions, mkfs } from '../../src/pool/mkfs.ts';
import { IncoherentMemory } from '../support/incoherent-memory.ts';
import { ProcessEnded } from '../support/incoherent-process.ts';
import { writerOf } from '../support/log-writer.ts';
import { Random } from '../support/random.ts';
import { factsOf, type Violation } from './oracle.ts';
import { Names, planOf } from './plans.ts';
import { PRODUCTION } from './reader.ts';
import { HOSTS } from './scenario.ts';
import { DEVICE_BYTES, EVICTION_CHANCES, type Orderings, SYSTEM_UUID } from './world.ts';

/** A pool is formatted anew under its followers, and whoever does it may end anywhere. */
export interface MkfsScenario {
  readonly seed: number;
  /** Entries of the old pool. */
  readonly entries: number;
  /** At which step a writer of the old pool is killed on the host, before mkfs runs there. */
  readonly killAt: number | null;
  /** Hosts that follow the old pool. */
  readonly followers: readonly number[];
  readonly host: number;
  readonly logMiB: 8 | 16;
  readonly end: 'stop' | 'power' | 'kill';
  readonly endAt: number;
  /** Entries of the new pool. */
  readonly later: number;
}

const MKFS_STEPS_MAX = 40;
const WRITER_STEPS_MAX = 220;
const OPEN_CHANCE = 0.3;

export const mkfsScenario: fc.Arbitrary<MkfsScenario> = fc.record({
  seed: fc.noShrink(fc.integer()),
  entries: fc.nat({ max: 4 }),
  killAt: fc.option(fc.nat({ max: WRITER_STEPS_MAX })),
  followers: fc.array(fc.nat({ max: HOSTS - 1 }), { maxLength: 2 }),
  host: fc.nat({ max: HOSTS - 1 }),
  logMiB: fc.constantFrom(8, 16),
  end: fc.constantFrom('stop', 'power', 'kill'),
  endAt: fc.nat({ max: MKFS_STEPS_MAX }),
  later: fc.nat({ max: 6 }),
});

/** What one finds on the device: the pool, by its name, or none. */
type Found = 'old' | 'new' | 'none';

const OPTIONS = {
  old: { deviceName: 'the old pool: a name that fills more than one line', fsUuid: uuidOf(1) },
  new: { deviceName: 'the new pool: a name that fills more than one line', fsUuid: uuidOf(2) },
};

function uuidOf(digit: number): string {
  return `00000000-0000-4000-8000-00000000000${digit}`;
}

export async function mkfsViolationsOf(
  scenario: MkfsScenario,
  orderings: Orderings = { writer: PRODUCTION, reader: PRODUCTION },
): Promise<readonly Violation[]> {
  const world = new MkfsWorld(scenario, orderings);
  await world.run();
  return world.violations;
}

class MkfsWorld {
  readonly violations: Violation[] = [];
  readonly #scenario: MkfsScenario;
  readonly #orderings: Orderings;
  readonly #memory: IncoherentMemory;
  readonly #names = new Names();
  /** What each pool says, by the number of its entries. */
  readonly #facts: Record<'old' | 'new', string[]> = { old: [], new: [] };
  #followers: LogFollower[] = [];
  #isActing = false;
  #isPeace = true;

  constructor(scenario: MkfsScenario, orderings: Orderings) {
    this.#scenario = scenario;
    this.#orderings = orderings;
    this.#memory = new IncoherentMemory(DEVICE_BYTES, HOSTS, new Random(scenario.seed));
  }

  async run(): Promise<void> {
    const { host, end, endAt, entries, killAt, later, followers } = this.#scenario;
    this.#formatInPeace('old', 0);
    await this.#fill('old', entries, 0);
    this.#followers = followers.map((at) => new LogFollower(this.#reading(at)));
    const stranger = this.#idleWriter(this.#memory.random.below(HOSTS));
    this.#memory.evictionChance = this.#memory.random.pick(EVICTION_CHANCES);
    if (killAt !== null) await this.#killWriter(host, killAt);
    this.#isPeace = false;
    this.#memory.onStep = () => this.#letOthersAct();
    const ended = this.#formatAnew(host, end === 'stop' ? undefined : { at: endAt, by: end });
    this.#inPeace();
    const found = this.#look(host);
    if (!ended && found !== 'new') this.#report('atomic', `mkfs is done, ${found} is there`);
    const next = this.#memory.random.below(HOSTS);
    // Whoever goes on elsewhere after a kill fences the host first: decision 0014.
    if (ended && end === 'kill' && next !== host) this.#memory.host(host).losePower();
    if (found !== 'new') this.#formatInPeace('new', next);
    await this.#fill('new', later, next);
    await this.#expectRefusal(stranger);
    this.#memory.catchUp();
    for (const at of this.#memory.hosts.keys()) {
      const now = this.#look(at);
      if (now !== 'new') this.#report('atomic', `host ${at} finds ${now} after mkfs`);
    }
    for (const follower of this.#followers) this.#follow(follower);
  }

  #formatAnew(host: number, end: { at: number; by: 'power' | 'kill' } | undefined): boolean {
    const process = this.#memory.host(host).process('writes');
    if (end !== undefined) process.endAt(end.at, end.by);
    try {
      this.#format('new', this.#orderings.writer(process));
      return false;
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
      return true;
    } finally {
      process[Symbol.dispose]();
    }
  }

  #formatInPeace(which: 'old' | 'new', host: number): void {
    using memory = this.#writing(host);
    this.#format(which, memory);
  }

  #format(which: 'old' | 'new', memory: SharedMemory): Superblock {
    const logLengthBytes = (which === 'old' ? 8 : this.#scenario.logMiB) * MiB;
    const options: MkfsOptions = { ...OPTIONS[which], systemUuid: SYSTEM_UUID, logLengthBytes };
    return mkfs(memory, { ...options, force: true });
  }

  async #fill(which: 'old' | 'new', entries: number, host: number): Promise<void> {
    using memory = this.#writing(host);
    const follower = new LogFollower(memory);
    const writer = writerOf(follower);
    writer.closeHeld();
    this.#facts[which] = [factsOf(follower.replica)];
    for (let at = 0; at < entries; at++) {
      await writer.append(planOf({ kind: 'file', pick: at }, this.#names));
      this.#facts[which].push(factsOf(follower.replica));
    }
    this.#memory.catchUp();
  }

  /** A writer of the old pool that knows nothing of mkfs; a host that loses power has none. */
  #idleWriter(host: number): LogWriter {
    const memory = this.#orderings.reader(this.#memory.host(host).process('writes'));
    return writerOf(new LogFollower(memory));
  }

  async #expectRefusal(stranger: LogWriter): Promise<void> {
    try {
      await stranger.append(planOf({ kind: 'file', pick: 0 }, this.#names));
      this.#report('strangers', 'a writer of the old pool appended to the new one');
    } catch (error) {
      if (error instanceof ProcessEnded || (isFault(error) && error.code === 'CORRUPT')) return;
      this.#report('strangers', messageOf(error));
    }
  }

  #inPeace(): void {
    this.#isPeace = true;
    this.#memory.onStep = () => {};
    this.#memory.catchUp();
  }

  /** What it appended counts as the old pool's; what it did not reveal, it may leave dirty. */
  async #killWriter(host: number, at: number): Promise<void> {
    const process = this.#memory.host(host).process('writes');
    process.endAt(at, 'kill');
    const tree = { kind: 'tree', pick: 0 } as const;
    try {
      const follower = new LogFollower(PRODUCTION(process));
      const writer = writerOf(follower);
      await Promise.all([tree, tree].map((step) => writer.append(planOf(step, this.#names))));
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
    } finally {
      process[Symbol.dispose]();
    }
    // Two plans share one publish: all of it was revealed, or nothing.
    const { replica } = new LogFollower(this.#reading(host));
    this.#facts.old[replica.position] ??= factsOf(replica);
  }

  /** Other hosts open the pool, and follow it, between the steps of mkfs. */
  #letOthersAct(): void {
    const { random } = this.#memory;
    if (this.#isActing || !random.chance(OPEN_CHANCE)) return;
    this.#isActing = true;
    const follower = random.pick([undefined, ...this.#followers]);
    if (follower === undefined) this.#look(random.below(HOSTS));
    else this.#follow(follower);
    this.#isActing = false;
  }

  /** Opens the pool; what is there is wholly one thing. */
  #look(host: number): Found {
    try {
      const { superblock, replica } = new LogFollower(this.#reading(host));
      const found = superblock.fsUuid === OPTIONS.old.fsUuid ? 'old' : 'new';
      const isNamed = superblock.deviceName === OPTIONS[found].deviceName;
      const isWhole = this.#isWhole(found, replica);
      if (!isNamed || !isWhole || replica.damage !== undefined) {
        this.#report('atomic', `${found}: ${superblock.deviceName}: ${factsOf(replica)}`);
      }
      return found;
    } catch (error) {
      if (!isFault(error)) throw error;
      // Who opens while mkfs runs may find a superblock that is going.
      if (this.#isPeace && error.code !== 'NOT_FAMFS') this.#report('atomic', error.message);
      return 'none';
    }
  }

  /** All that was appended to the pool before; of the new one nothing yet while mkfs runs. */
  #isWhole(which: 'old' | 'new', replica: Replica): boolean {
    const facts = this.#facts[which];
    if (facts.length === 0) return replica.position === 0;
    const least = which === 'old' ? this.#scenario.entries : facts.length - 1;
    return replica.position >= least && facts[replica.position] === factsOf(replica);
  }

  #follow(follower: LogFollower): void {
    try {
      follower.follow();
    } catch (error) {
      if (!isFault(error) || error.code !== 'CORRUPT') {
        if (error instanceof ProcessEnded) return;
        this.#report('strangers', messageOf(error));
      }
    }
    if (!this.#facts.old.includes(factsOf(follower.replica))) {
      this.#report('strangers', `a follower of the old pool has ${factsOf(follower.replica)}`);
    }
  }

  #writing(host: number): SharedMemory {
    return PRODUCTION(this.#memory.host(host).process('writes'));
  }

  #reading(host: number): SharedMemory {
    return this.#orderings.reader(this.#memory.host(host).process('reads'));
  }

  #report(property: Violation['property'], detail: string): void {
    this.violations.push({ property, detail });
  }
}
