import { messageOf } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { parseParameters } from '../../src/controller/parameters.ts';
import { type NewVolume, planCreate, planDelete } from '../../src/controller/volume-plans.ts';
import { CONTIGUOUS } from '../../src/format/allocator.ts';
import { type CheckReport, checkReport } from '../../src/format/check.ts';
import { fmapExtents } from '../../src/format/extents.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { Pool } from '../../src/pool/pool.ts';
import { Random } from '../support/random.ts';
import { ChurnNode, Exclusive } from './churn-node.ts';

const MASTER = '00000000-0000-4000-8000-00000000aaaa';
const NODES = 3;
/**
 * Of the memory for files, at most, while volumes come and go. An interleaved volume needs a piece
 * in either half of the device, and contiguous ones fill the first half first.
 */
const LIVE_SHARE = 1 / 3;
const INTERLEAVED_MAX_BYTES = 256 * MiB;
const VOLUMES_MAX = 1500;
/** Where the log's memory and time are looked at, in parts of the run. */
const MARKS = [0.1, 0.5, 1];

export interface ChurnOptions {
  readonly device: string;
  readonly seed: number;
  readonly cycles: number;
  readonly deviceBytes: number;
  /**
   * After so many cycles the log is compacted, as the controller does it that has time; without, an
   * append does it that finds the log or the memory full.
   */
  readonly reclaimEvery?: number;
  /** Of a volume. */
  readonly sizeMaxBytes?: number;
  readonly onMark?: (mark: ChurnMark) => void;
}

/** How things stood when so many cycles were done. */
export interface ChurnMark {
  readonly cycles: number;
  readonly rssMiB: number;
  readonly entries: number;
  readonly liveBytes: number;
  readonly compactions: number;
  readonly seconds: number;
}

export interface ChurnResult {
  readonly marks: readonly ChurnMark[];
  /** Appends that found no room until the nodes had acknowledged more. */
  readonly waits: number;
  readonly compactions: number;
  readonly compactionSeconds: number;
  readonly entriesMax: number;
  readonly capacity: number;
  readonly opened: number;
  readonly heldWhileDeleted: number;
  readonly check: CheckReport;
  /** At the end, when nobody holds anything. */
  readonly freeBytes: number;
  readonly largestFreeBytes: number;
  readonly gaps: number;
  readonly isHalfFound: boolean;
  readonly seconds: number;
}

/** Volumes of mixed sizes and layouts come and go; nodes open some, and say what they have. */
export async function churn(options: ChurnOptions): Promise<ChurnResult> {
  createEmulatedDevice(options.device, options.deviceBytes);
  {
    using memory = Mapping.open(options.device, { writable: true });
    mkfs(memory, { deviceName: 'churn', systemUuid: MASTER, logLengthBytes: 8 * MiB });
  }
  using run = new Churn(options);
  return await run.run();
}

class Churn implements Disposable {
  readonly #options: ChurnOptions;
  readonly #random: Random;
  readonly #exclusive = new Exclusive();
  readonly #nodes: readonly ChurnNode[];
  readonly #pool: Pool;
  readonly #live: { readonly id: string; readonly sizeBytes: number }[] = [];
  #liveBytes = 0;
  #waits = 0;
  #compactions = 0;
  #compactionSeconds = 0;
  #entriesMax = 0;
  #generation = 0;

  constructor(options: ChurnOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#nodes = Array.from({ length: NODES }, () => {
      return new ChurnNode(options.device, this.#random, this.#exclusive);
    });
    this.#pool = Pool.open({
      name: 'churn',
      device: options.device,
      writable: true,
      systemUuid: MASTER,
      isReleased: (dead) => {
        const { generation } = this.#pool.writers();
        return this.#nodes.every((node) => node.hasReleased(dead, generation));
      },
    });
  }

  async run(): Promise<ChurnResult> {
    const { cycles, onMark, reclaimEvery = Number.POSITIVE_INFINITY } = this.#options;
    const { space } = this.#pool.replica;
    const budgetBytes = space.freeBytes * LIVE_SHARE;
    const begin = performance.now();
    const marks: ChurnMark[] = [];
    for (let cycle = 1; cycle <= cycles; cycle++) {
      await this.#create(`v${cycle}`);
      while (this.#liveBytes > budgetBytes || this.#live.length > VOLUMES_MAX) await this.#delete();
      if (cycle > VOLUMES_MAX / 2 && this.#random.chance(0.5)) await this.#delete();
      this.#random.pick(this.#nodes).live();
      if (cycle % reclaimEvery === 0) await this.#append(() => this.#pool.compact());
      if (!MARKS.some((part) => cycle === Math.round(part * cycles))) continue;
      const mark = this.#mark(cycle, begin);
      marks.push(mark);
      onMark?.(mark);
    }
    const seconds = (performance.now() - begin) / 1000;
    return { marks, seconds, ...(await this.#end()) };
  }

  /** All that was made and is not live by now was deleted. */
  async #create(id: string): Promise<void> {
    const wanted = this.#wanted(id);
    const volume = await this.#append(() => {
      return this.#pool.append((replica) => planCreate(this.#pool, replica, id, wanted));
    });
    const file = this.#pool.replica.namespace.lookup(`${id}/data`);
    if (file?.kind !== 'file') throw new Error(`volume ${id} is not there`);
    this.#exclusive.check({ path: file.path, extents: fmapExtents(file.fmap) });
    this.#live.push({ id, sizeBytes: volume.sizeBytes });
    this.#liveBytes += volume.sizeBytes;
  }

  async #delete(): Promise<void> {
    const at = this.#random.below(this.#live.length);
    const volume = this.#live[at];
    const last = this.#live.pop();
    if (volume === undefined || last === undefined) return;
    if (at < this.#live.length) this.#live[at] = last;
    this.#liveBytes -= volume.sizeBytes;
    await this.#append(() => this.#pool.append((replica) => planDelete(replica, volume.id)));
  }

  /** Where there is no room, all nodes say what they have; then there must be. */
  async #append<T>(append: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const result = await append().catch(async () => {
      this.#waits++;
      for (const node of this.#nodes) node.acknowledge();
      return await append();
    });
    const { position } = this.#pool.replica;
    this.#entriesMax = Math.max(this.#entriesMax, position);
    const { generation } = this.#pool.writers();
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#compactions++;
      this.#compactionSeconds += (performance.now() - begin) / 1000;
    }
    return result;
  }

  /** Mostly small, a few large; some interleaved. */
  #wanted(name: string): NewVolume {
    const random = this.#random;
    const kind = random.fraction();
    const most = kind < 0.7 ? 16 * MiB : kind < 0.95 ? 256 * MiB : GiB;
    const isInterleaved = random.chance(0.15);
    const strips = isInterleaved ? '2' : '0';
    const { dataPath: _, ...parameters } = parseParameters({ strips });
    const { sizeMaxBytes = most } = this.#options;
    const limits = [most, sizeMaxBytes, ...(isInterleaved ? [INTERLEAVED_MAX_BYTES] : [])];
    const requiredBytes = 1 + random.below(Math.min(...limits));
    return { name, requiredBytes, limitBytes: 0, ...parameters };
  }

  #mark(cycles: number, begin: number): ChurnMark {
    return {
      cycles,
      rssMiB: Math.round(process.memoryUsage.rss() / MiB),
      entries: this.#pool.replica.position,
      liveBytes: this.#liveBytes,
      compactions: this.#compactions,
      seconds: (performance.now() - begin) / 1000,
    };
  }

  /** Everybody closes what is open; what is dead goes; then the pool is looked at from outside. */
  async #end() {
    for (const node of this.#nodes) node.closeAll();
    for (const node of this.#nodes) node.acknowledge();
    await this.#pool.compact();
    using memory = Mapping.open(this.#options.device, { writable: false });
    const follower = new LogFollower(memory);
    const { space, dead, namespace } = follower.replica;
    if (dead.length > 0) throw new Error(`${dead.length} files are in quarantine still`);
    for (const { id } of this.#live) {
      if (namespace.lookup(`${id}/data`) === undefined) throw new Error(`volume ${id} is gone`);
    }
    if (namespace.fileCount !== this.#live.length) {
      throw new Error(`${namespace.fileCount} files, expected ${this.#live.length}`);
    }
    const { freeBytes, largestFreeBytes } = space;
    return {
      waits: this.#waits,
      compactions: this.#compactions,
      compactionSeconds: this.#compactionSeconds,
      entriesMax: this.#entriesMax,
      capacity: follower.replica.capacity,
      opened: this.#nodes.reduce((sum, { opened }) => sum + opened, 0),
      heldWhileDeleted: this.#nodes.reduce((sum, { heldDeleted }) => sum + heldDeleted, 0),
      check: checkReport(follower.superblock, follower.header(), follower.replica),
      freeBytes,
      largestFreeBytes,
      gaps: [...space.gaps(0)].length,
      isHalfFound: fits(() => space.find(CONTIGUOUS, Math.floor(freeBytes / 2))),
    };
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
    for (const node of this.#nodes) node[Symbol.dispose]();
  }
}

function fits(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch (error) {
    if (!messageOf(error).includes('no room')) throw error;
    return false;
  }
}
