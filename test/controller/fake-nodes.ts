import { pino } from 'pino';
import { KeyedLock } from '../../src/base/keyed-lock.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { type Acks, type NodeAck, Releases } from '../../src/controller/acks.ts';
import type { Leadership } from '../../src/controller/leadership.ts';
import { Quarantine } from '../../src/controller/quarantine.ts';
import { Reclaimer } from '../../src/controller/reclaimer.ts';
import { Volumes } from '../../src/controller/volumes.ts';
import { MemoryAttachments } from './harness.ts';
import { MemoryPool } from './memory-pool.ts';

/** Nodes that say what a test wants. */
export class FakeNodes implements Acks {
  readonly #nodes = new Map<string, NodeAck>();
  /** Known late: only who is asked anew hears of them. */
  readonly late = new Map<string, NodeAck>();
  asked = 0;
  failure: Error | undefined;
  /** While it is being asked. */
  meanwhile: () => Promise<void> = async () => {};

  set(ack: NodeAck): void {
    this.#nodes.set(ack.node, ack);
  }

  known(): readonly NodeAck[] {
    return [...this.#nodes.values()];
  }

  async ask(): Promise<readonly NodeAck[]> {
    this.asked++;
    const said = [...this.#nodes.values(), ...this.late.values()];
    await this.meanwhile();
    if (this.failure !== undefined) throw this.failure;
    return said;
  }
}

const FILE_BYTES = 64 * MiB;

/** A pool of 1 GiB, its volumes, nodes, and a controller that reclaims. */
export class ReclaimSetting {
  readonly nodes = new FakeNodes();
  /** What the controller has logged. */
  readonly lines: string[] = [];
  readonly leadership = { isLeading: true };
  nowMs = 0;
  date = '2026-11-24T12:00:00.000Z';
  pool: MemoryPool;
  quarantine!: Quarantine;
  volumes!: Volumes;
  releases = new Releases();
  #reclaimer!: Reclaimer;

  constructor() {
    this.pool = MemoryPool.make('p', GiB, (...asked) => this.releases.isReleased(...asked));
    this.#begin();
  }

  /** Another controller, that has only what others can see. */
  restart(): void {
    this.releases = new Releases();
    this.pool = this.pool.reopened();
    this.#begin();
  }

  #begin(): void {
    const { pool, nodes, releases } = this;
    this.quarantine = new Quarantine(() => new Date(this.date));
    const { quarantine } = this;
    const locks = new KeyedLock(1000);
    const attachments = new MemoryAttachments();
    this.volumes = new Volumes({ pools: [pool], attachments, locks, quarantine });
    const setting = this;
    const leadership: Leadership = {
      get isLeading() {
        return setting.leadership.isLeading;
      },
      assertLeading: () => {
        if (!setting.leadership.isLeading) throw new Error('another one leads');
      },
    };
    const parts = { pools: [pool], acks: nodes, releases, quarantine, leadership };
    const write = (line: string) => this.lines.push(JSON.parse(line).msg);
    const log = pino({ level: 'info' }, { write });
    this.#reclaimer = new Reclaimer({ ...parts, log, now: () => this.nowMs });
  }

  async create(name: string, requiredBytes = FILE_BYTES): Promise<void> {
    await this.volumes.create({
      ...{ name, requiredBytes, limitBytes: 0, pool: 'p', layout: { strips: 0 } },
      ...{ uid: 0, gid: 0, mode: 0o660, fileName: 'data' },
    });
  }

  delete(name: string): Promise<void> {
    return this.volumes.delete(name);
  }

  inoOf(volume: string): number {
    const node = this.pool.replica.namespace.lookup(`${volume}/data`);
    if (node === undefined) throw new Error(`no volume ${volume}`);
    return node.ino;
  }

  /** A node that has followed the log to its end says what its kernel refers to. */
  say(node: string, held: readonly number[] | 'unknown' = []): void {
    const { fsUuid, generation } = this.pool;
    const place = { generation, position: this.pool.follow() };
    this.nodes.set({
      node,
      said: { fsUuid, place, held: held === 'unknown' ? held : new Set(held) },
    });
  }

  /** A node that says so of a place that this controller has not come to yet. */
  sayAhead(node: string): void {
    const { fsUuid, generation } = this.pool;
    const place = { generation, position: this.pool.follow() + 100 };
    this.nodes.set({ node, said: { fsUuid, place, held: new Set() } });
  }

  /** So much later, as long as a controller has to wait between two compactions. */
  async look(laterMs = 10_000): Promise<void> {
    this.nowMs += laterMs;
    await this.#reclaimer.look();
  }

  /** What a controller has that has asked the nodes and was stopped before it compacted. */
  permit(): void {
    const { fsUuid, generation, replica } = this.pool;
    const acks = this.nodes.known();
    this.releases.permit('p', { fsUuid, generation, before: replica.position, acks });
  }

  get freeBytes(): number {
    return this.pool.replica.space.freeBytes;
  }
}
