import { ApiFault } from '../../src/kubernetes/api-fault.ts';
import type { Clock } from '../../src/kubernetes/clock.ts';
import {
  LEASE_RULES,
  Lease,
  type LeaseRules,
  type LeaseStore,
} from '../../src/kubernetes/lease.ts';
import type { LeaseObject } from '../../src/kubernetes/objects.ts';
import { Random } from '../support/random.ts';
import { silentLog } from '../support/silent-log.ts';

/** Below this, clocks keep apart what the times keep apart: see LEASE_RULES. */
const RATE_ERROR_MAX = 0.05;
const REQUEST_TIMEOUT_MS = 10_000;
const PROBE_MS = 200;
/** At the end everything works: somebody has to lead then. */
const CALM_MS = 60_000;

interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** The API server's one object; resource versions make a change exclusive. */
class LeaseServer {
  object: LeaseObject | undefined;
  #version = 0;

  get(): LeaseObject | undefined {
    return this.object;
  }

  create(lease: LeaseObject): LeaseObject {
    if (this.object !== undefined) throw conflict();
    return this.#keep(lease);
  }

  replace(lease: LeaseObject): LeaseObject {
    if (this.object === undefined) throw new ApiFault('PUT', 404, 'NotFound', '');
    const expected = lease.metadata.resourceVersion;
    if (expected !== undefined && expected !== this.object.metadata.resourceVersion) {
      throw conflict();
    }
    return this.#keep(lease);
  }

  #keep(lease: LeaseObject): LeaseObject {
    const resourceVersion = String(++this.#version);
    this.object = { ...lease, metadata: { ...lease.metadata, resourceVersion } };
    return this.object;
  }
}

/** One controller process after the other on one machine, with a clock of its own. */
class Machine {
  readonly world: LeaseWorld;
  readonly offsetMs: number;
  readonly rate: number;
  pausedUntil = 0;
  lease: Lease | undefined;
  #life = 0;
  #ended = new AbortController();

  constructor(world: LeaseWorld, offsetMs: number, rate: number) {
    this.world = world;
    this.offsetMs = offsetMs;
    this.rate = rate;
  }

  get now(): number {
    return this.offsetMs + this.world.now * this.rate;
  }

  start(name: string): void {
    const life = ++this.#life;
    this.#ended = new AbortController();
    const lease = new Lease({
      name: 'famfs-csi-p',
      namespace: 'famfs',
      identity: `${name}-${life}`,
      store: this.#store(life),
      clock: this.#clock(life),
      log: silentLog,
      rules: this.world.rules,
    });
    this.lease = lease;
    const restart = () => this.world.after(this.world.random.below(5_000), () => this.start(name));
    void lease.run(this.#ended.signal).then(() => {
      if (life === this.#life) {
        this.lease = undefined;
        restart();
      }
    });
  }

  /** SIGKILL: it does nothing any more; another begins later. */
  kill(name: string): void {
    this.#life++;
    this.lease = undefined;
    this.#ended.abort();
    this.world.after(this.world.random.below(10_000), () => this.start(name));
  }

  /** Runs when the machine does: not while it is paused, never for a process that has ended. */
  wake(life: number, afterMs: number, run: () => void): void {
    this.world.after(afterMs, () => {
      if (life !== this.#life) return;
      const left = this.pausedUntil - this.world.now;
      if (left > 0) this.wake(life, left, run);
      else run();
    });
  }

  #clock(life: number): Clock {
    return {
      now: () => this.now,
      date: () => new Date(Math.max(0, this.now)),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const done = () => {
            signal.removeEventListener('abort', done);
            resolve();
          };
          signal.addEventListener('abort', done);
          this.wake(life, ms / this.rate, done);
        }),
    };
  }

  #store(life: number): LeaseStore {
    const { server } = this.world;
    return {
      get: () => this.#ask(life, () => server.get()),
      create: (lease) => this.#ask(life, () => server.create(lease)),
      replace: (lease) => this.#ask(life, () => server.replace(lease)),
    };
  }

  /** A request over a network that is slow and loses requests and answers. */
  #ask<T>(life: number, act: () => T): Promise<T> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      const late = () => reject(new ApiFault('request', 0, 'no answer', ''));
      this.wake(life, REQUEST_TIMEOUT_MS / this.rate, late);
      if (world.loses()) return;
      world.after(world.latencyMs(), () => {
        let settle: () => void;
        try {
          const result = act();
          settle = () => resolve(result);
        } catch (error) {
          settle = () => reject(error);
        }
        if (!world.loses()) this.wake(life, world.latencyMs(), settle);
      });
    });
  }
}

/**
 * Several controllers that want one lease, in time that runs as fast as the test: machines pause,
 * are killed and have wrong clocks; the network is slow and loses messages; the API server is gone
 * for a while; somebody deletes the lease. `run` says when two might have acted at once.
 */
export class LeaseWorld {
  readonly random: Random;
  readonly rules: LeaseRules;
  readonly server = new LeaseServer();
  readonly machines: Machine[];
  readonly #tasks: Task[] = [];
  #now = 0;
  #order = 0;
  #goneUntil = 0;
  readonly #calmFrom: number;

  constructor(seed: number, rules: Partial<LeaseRules> = {}) {
    this.random = new Random(seed);
    this.rules = { ...LEASE_RULES, ...rules };
    const lengthMs = 120_000 + this.random.below(120_000);
    this.#calmFrom = lengthMs;
    this.machines = Array.from({ length: 2 + this.random.below(2) }, (_, at) => {
      const rate = 1 + RATE_ERROR_MAX * (2 * this.random.fraction() - 1);
      const machine = new Machine(this, this.random.below(600_000), rate);
      this.after(this.random.below(10_000), () => machine.start(`m${at}`));
      return machine;
    });
    this.#planTrouble(lengthMs);
  }

  get now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): void {
    this.#tasks.push({ at: this.#now + Math.max(0, ms), order: this.#order++, run });
  }

  loses(): boolean {
    if (this.#now < this.#goneUntil) return true;
    return this.#now < this.#calmFrom && this.random.chance(0.05);
  }

  latencyMs(): number {
    if (this.#now >= this.#calmFrom) return 10;
    return this.random.chance(0.2) ? this.random.below(12_000) : this.random.below(200);
  }

  /** The moments at which more than one process might have acted, and who led at the end. */
  async run(): Promise<{ together: number[]; leadsAtEnd: number; tenures: number }> {
    const together: number[] = [];
    const holders = new Set<string>();
    const endMs = this.#calmFrom + CALM_MS;
    this.#probe();
    for (let task = this.#next(endMs); task !== undefined; task = this.#next(endMs)) {
      this.#now = task.at;
      // Time alone changes who may act: look before anything is done at this moment, and after.
      this.#look(together);
      task.run();
      await new Promise(setImmediate);
      this.#look(together);
      const holder = this.server.object?.spec?.holderIdentity;
      if (holder) holders.add(holder);
      if (together.length > 0) break;
    }
    const leadsAtEnd = this.machines.filter(({ lease }) => lease?.isHeld).length;
    return { together, leadsAtEnd, tenures: holders.size };
  }

  /** So that no stretch of time goes by without a look. */
  #probe(): void {
    this.after(PROBE_MS, () => this.#probe());
  }

  #look(together: number[]): void {
    const active = this.machines.filter(({ lease }) => lease?.isHeld);
    if (active.length > 1) together.push(this.#now);
  }

  #next(endMs: number): Task | undefined {
    let first = -1;
    for (const [at, task] of this.#tasks.entries()) {
      const best = this.#tasks[first];
      if (
        best === undefined ||
        task.at < best.at ||
        (task.at === best.at && task.order < best.order)
      ) {
        first = at;
      }
    }
    const [task] = first < 0 ? [] : this.#tasks.splice(first, 1);
    return task !== undefined && task.at <= endMs ? task : undefined;
  }

  #planTrouble(lengthMs: number): void {
    const times = (count: number) =>
      Array.from({ length: count }, () => 10_000 + this.random.below(lengthMs - 10_000));
    for (const at of times(4)) this.after(at, () => this.#pauseOne());
    for (const at of times(2)) this.after(at, () => this.#killOne());
    for (const at of times(1)) {
      this.after(at, () => {
        this.#goneUntil = this.#now + this.random.below(30_000);
      });
    }
    if (this.random.chance(0.3)) {
      for (const at of times(1)) {
        this.after(at, () => {
          this.server.object = undefined;
        });
      }
    }
  }

  #pauseOne(): void {
    const machine = this.machines[this.random.below(this.machines.length)];
    if (machine) machine.pausedUntil = this.#now + this.random.below(40_000);
  }

  #killOne(): void {
    const at = this.random.below(this.machines.length);
    this.machines[at]?.kill(`m${at}`);
  }
}

function conflict(): ApiFault {
  return new ApiFault('PUT', 409, 'Conflict', '');
}
