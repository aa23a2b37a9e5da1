import { messageOf } from '../../src/base/errors.ts';
import { MiB } from '../../src/base/numbers.ts';
import type { SlotRecord } from '../../src/format/control-area.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { IncoherentMemory } from '../support/incoherent-memory.ts';
import { type IncoherentProcess, ProcessEnded } from '../support/incoherent-process.ts';
import { testHost, writerOf } from '../support/log-writer.ts';
import { Random } from '../support/random.ts';
import { Oracle, type Violation, WRITER } from './oracle.ts';
import { Names, planOf } from './plans.ts';
import { type Ordering, PRODUCTION, Reader } from './reader.ts';
import { HOSTS, type Life, type Scenario } from './scenario.ts';

export const DEVICE_BYTES = 512 * MiB;
export const SYSTEM_UUID = '00000000-0000-4000-8000-00000000aaaa';

/** From a cache that evicts nothing to one that keeps nothing. */
export const EVICTION_CHANCES = [0, 0.05, 0.3, 0.8];
const POLL_CHANCE = 0.12;
const READER_STEPS = 12;

export interface Orderings {
  readonly writer: Ordering;
  readonly reader: Ordering;
}

/** Runs a scenario and gives all that did not hold; with another ordering, what it breaks. */
export async function violationsOf(
  scenario: Scenario,
  orderings: Orderings = { writer: PRODUCTION, reader: PRODUCTION },
): Promise<readonly Violation[]> {
  const world = await World.make(scenario, orderings);
  await world.run();
  return world.oracle.violations;
}

class World {
  readonly oracle: Oracle;
  readonly #scenario: Scenario;
  readonly #orderings: Orderings;
  readonly #memory: IncoherentMemory;
  readonly #names: Names;
  readonly #readers: readonly Reader[];
  readonly #idle = new Map<number, { process: IncoherentProcess; writer: LogWriter }>();
  #isPolling = false;
  /** The life that was killed and left its host as it was. */
  #killed: Life | undefined;
  /** One that another host has taken over from, and whose host may still write back its stores. */
  #unfenced: Life | undefined;

  private constructor(
    scenario: Scenario,
    orderings: Orderings,
    memory: IncoherentMemory,
    oracle: Oracle,
    names: Names,
  ) {
    this.#scenario = scenario;
    this.#orderings = orderings;
    this.#memory = memory;
    this.#names = names;
    this.oracle = oracle;
    this.#readers = scenario.readers.map((at, which) => this.#reader(`reader ${which}`, at));
    memory.evictionChance = memory.random.pick(EVICTION_CHANCES);
    memory.onWritten = (offset) => oracle.written(offset);
    memory.onStep = () => this.#letReadersPoll();
  }

  /** A pool on a device that had one before, made in peace; what caches hold of it is open. */
  static async make(scenario: Scenario, orderings: Orderings): Promise<World> {
    const memory = new IncoherentMemory(DEVICE_BYTES, HOSTS, new Random(scenario.seed));
    const names = new Names();
    const process = memory.host(0).process('writes');
    const shared = PRODUCTION(process);
    const options = { deviceName: 'fabric', systemUuid: SYSTEM_UUID, force: true };
    mkfs(shared, options);
    const writer = writerOf(new LogFollower(shared));
    for (let at = 0; at < scenario.ancestors; at++) {
      await writer.append(planOf({ kind: 'file', pick: at }, names));
    }
    const superblock = mkfs(shared, options);
    process[Symbol.dispose]();
    memory.catchUp();
    return new World(scenario, orderings, memory, new Oracle(memory, superblock), names);
  }

  async run(): Promise<void> {
    for (const life of this.#scenario.lives) {
      await this.#live(life);
      this.#letReadersPoll();
    }
    await this.#successor();
    this.#quiet();
  }

  /** A writer that was killed is fenced before another host writes: decision 0014. */
  #fence(host: number): void {
    const killed = this.#killed;
    if (killed === undefined || killed.host === host) return;
    this.#killed = undefined;
    if (killed.fence === 'none') this.#unfenced = killed;
    if (killed.fence === 'power') this.#memory.host(killed.host).losePower();
    if (killed.fence === 'clean') this.#memory.host(killed.host).clean();
  }

  /** One life of a writer; gives the position of its last append that resolved. */
  async #live(life: Life): Promise<number> {
    this.#fence(life.host);
    let position = 0;
    const idle = this.#idle.get(life.host);
    const isIdle = idle?.process.isEnded === false;
    const process = isIdle ? idle.process : this.#memory.host(life.host).process('writes');
    if (life.end !== 'stop') process.endAt(process.steps + life.endAt, life.end);
    try {
      const writer = isIdle ? idle.writer : this.#open(process, life.host);
      for (const batch of life.batches) {
        const appends = batch.map((step) => writer.append(planOf(step, this.#names)));
        for (const result of await Promise.allSettled(appends)) {
          if (result.status === 'rejected') throw result.reason;
          position = result.value;
          this.oracle.acknowledged(position);
        }
      }
      process.endAt(Number.POSITIVE_INFINITY, 'kill');
      if (life.stays) this.#idle.set(life.host, { process, writer });
      else process[Symbol.dispose]();
    } catch (error) {
      process[Symbol.dispose]();
      if (!(error instanceof ProcessEnded)) this.oracle.report('successor', messageOf(error));
      else if (life.end === 'kill') this.#killed = life;
    }
    return position;
  }

  #open(process: IncoherentProcess, host: number): LogWriter {
    const memory = this.oracle.watch(this.#orderings.writer(process), WRITER);
    const follower = new LogFollower(memory);
    this.oracle.applied(WRITER, follower.replica);
    const isFenced = ({ hostName }: SlotRecord) =>
      this.#unfenced === undefined || hostName !== testHost(this.#unfenced.host).name;
    const rules = { mayTakeOver: () => {}, isFenced };
    const writer = writerOf(follower, { host: testHost(host), rules });
    writer.closeHeld();
    // The host is clean now, whoever was killed on it.
    this.#killed = undefined;
    return writer;
  }

  /** After everything: one more writer, which lives. */
  async #successor(): Promise<void> {
    const host = this.#memory.random.below(HOSTS);
    const life = { host, end: 'stop', endAt: 0, stays: false, fence: 'none' } as const;
    const position = await this.#live({ ...life, batches: [[{ kind: 'tree', pick: 0 }]] });
    const expected = this.oracle.log.length;
    if (position !== expected) {
      this.oracle.report('successor', `it appended up to ${position}, the log has ${expected}`);
    }
  }

  /** Nothing happens any more; every reader, old or new, polls once. */
  #quiet(): void {
    const memory = this.#memory;
    memory.evictionChance = 0;
    memory.onStep = () => {};
    memory.catchUp();
    const fresh = memory.hosts.map((_, at) => this.#reader(`new reader on host ${at}`, at));
    for (const reader of [...this.#readers, ...fresh]) {
      reader.poll();
      const expected = this.oracle.log.length;
      if (reader.position !== expected) {
        this.oracle.report('arrives', `${reader.name}: ${reader.position} of ${expected}`);
      }
    }
  }

  #reader(name: string, host: number): Reader {
    return new Reader(name, this.#memory.host(host), this.oracle, this.#orderings.reader);
  }

  /** Not while one polls: a reader changes nothing that another host could see. */
  #letReadersPoll(): void {
    const { random } = this.#memory;
    if (this.#isPolling || !random.chance(POLL_CHANCE)) return;
    this.#isPolling = true;
    const reader = random.pick(this.#readers);
    if (random.chance(this.#scenario.readerEndsChance)) reader.poll(random.below(READER_STEPS));
    else reader.poll();
    this.#isPolling = false;
  }
}
