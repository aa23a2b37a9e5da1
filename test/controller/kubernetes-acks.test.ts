import { describe, expect, test } from '@jest/globals';
import { GiB } from '../../src/base/numbers.ts';
import { Releases, waitReason } from '../../src/controller/acks.ts';
import { GONE_NODES, KubernetesAcks } from '../../src/controller/kubernetes-acks.ts';
import { ALWAYS } from '../../src/controller/leadership.ts';
import { Quarantine } from '../../src/controller/quarantine.ts';
import { Reclaimer } from '../../src/controller/reclaimer.ts';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import type { FamfsNode, FamfsPool, NodePoolStatus } from '../../src/kubernetes/famfs-objects.ts';
import { encodeInodes } from '../../src/kubernetes/held-inodes.ts';
import { Informer } from '../../src/kubernetes/informer.ts';
import { type KubeObject, type Node, PATHS } from '../../src/kubernetes/objects.ts';
import { mkdir, remove } from '../format/entries.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';
import { eventually } from '../support/test-cluster.ts';
import { MemoryPool } from './memory-pool.ts';

/** A pool with one deleted file, and an API server with what nodes say of it. */
class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  readonly releases = new Releases();
  readonly pool: MemoryPool;
  readonly overridden: string[] = [];
  readonly #informers: readonly Informer<KubeObject>[];
  readonly #nodes: Informer<Node>;
  readonly #famfsNodes: Informer<FamfsNode>;
  readonly #famfsPools: Informer<FamfsPool>;
  acks: KubernetesAcks;

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 2_000);
    const { client } = this;
    const informed = { client, log: silentLog };
    this.#nodes = new Informer<Node>({ ...informed, collection: PATHS.nodes });
    this.#famfsNodes = new Informer<FamfsNode>({ ...informed, collection: PATHS.famfsNodes });
    this.#famfsPools = new Informer<FamfsPool>({ ...informed, collection: PATHS.famfsPools });
    this.#informers = [this.#nodes, this.#famfsNodes, this.#famfsPools];
    this.pool = MemoryPool.make('p', GiB, (...asked) => this.releases.isReleased(...asked));
    this.acks = this.newAcks();
  }

  static async make(...nodes: readonly string[]): Promise<Setting> {
    const setting = new Setting(await FakeApiServer.start());
    for (const node of nodes) setting.addNode(node);
    await Promise.all(setting.#informers.map(({ synced }) => synced));
    await setting.#deleteFile();
    return setting;
  }

  /** Of a controller that starts now. */
  newAcks(): KubernetesAcks {
    const { client, overridden } = this;
    return new KubernetesAcks({
      ...{ client, nodes: this.#nodes, famfsNodes: this.#famfsNodes, log: silentLog },
      famfsPools: this.#famfsPools,
      onOverride: (pool, node) => overridden.push(`${pool} ${node}`),
    });
  }

  addNode(name: string, ...taints: readonly string[]): void {
    const spec = { taints: taints.map((key) => ({ key })) };
    this.server.store.put<Node>(PATHS.nodes, { metadata: { name }, spec });
  }

  /** What the plugin of that node writes: by default, that it has seen all and holds nothing. */
  say(
    name: string,
    change: { [K in keyof NodePoolStatus]?: NodePoolStatus[K] | undefined } = {},
  ): void {
    const { fsUuid, generation: logGeneration } = this.pool;
    const said = { fsUuid, logGeneration, logPosition: this.pool.follow(), heldInodes: '' };
    const pool = { name: 'p', healthy: true, message: '', ...said, ...change } as NodePoolStatus;
    const node = { metadata: { name }, status: { pools: [pool] } };
    this.server.store.put<FamfsNode>(PATHS.famfsNodes, node);
  }

  annotate(nodes: string): void {
    const metadata = { name: 'p', annotations: { [GONE_NODES]: nodes } };
    this.server.store.put<FamfsPool>(PATHS.famfsPools, { metadata });
  }

  get ino(): number {
    return this.pool.replica.dead[0]?.node.ino ?? 0;
  }

  /** Whom the deleted file waits for, as asked now. */
  async waitsFor(): Promise<string[]> {
    const [dead] = this.pool.replica.dead;
    if (dead === undefined) throw new Error('nothing is in quarantine');
    const acks = await this.acks.ask(this.pool);
    return acks.flatMap((ack) => {
      const reason = waitReason(ack, this.pool, dead);
      return reason === undefined ? [] : [`${ack.node}: ${reason}`];
    });
  }

  /** Resolves once the informers have what the server has. */
  async informed(): Promise<void> {
    await eventually('the informers are up to date', () => {
      const behind = [
        [this.#nodes, PATHS.nodes] as const,
        [this.#famfsNodes, PATHS.famfsNodes] as const,
        [this.#famfsPools, PATHS.famfsPools] as const,
      ].filter(([informer, collection]) => {
        const there = this.server.store.all(collection).map(({ metadata }) => metadata);
        const versions = [...informer.items().values()].map(({ metadata }) => metadata);
        const of = (all: readonly KubeObject['metadata'][]) =>
          all
            .map(({ name, resourceVersion }) => `${name} ${resourceVersion}`)
            .sort()
            .join();
        return of(there) !== of(versions);
      });
      return behind.length === 0 ? true : undefined;
    });
  }

  async #deleteFile(): Promise<void> {
    await this.pool.append(({ space }) => ({
      entries: [
        mkdir('v'),
        {
          ...{ type: 'file', path: 'v/data', sizeBytes: 4096, flags: 2 },
          ...{ uid: 0, gid: 0, mode: 0o644, fmap: space.find({ strips: 0 }, 4096) },
        },
        remove('v/data', 1),
        remove('v', 0),
      ],
      result: undefined,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const informer of this.#informers) await informer[Symbol.asyncDispose]();
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

describe('a deleted file, in a cluster', () => {
  test('waits for every node that has had the pool until it says that it lets go', async () => {
    await using setting = await Setting.make('a', 'b');
    setting.say('a', { logPosition: 2 });
    setting.say('b', { heldInodes: encodeInodes([setting.ino]) });
    expect(await setting.waitsFor()).toEqual(['a: behind', 'b: holds']);
    setting.say('a');
    setting.say('b', { heldInodes: encodeInodes([setting.ino + 1]) });
    expect(await setting.waitsFor()).toEqual([]);
  });

  test('does not wait for a node that never had the pool mounted', async () => {
    await using setting = await Setting.make('a', 'outside');
    setting.say('a');
    const status = { pools: [{ name: 'p', healthy: false, message: 'no such device' }] };
    setting.server.store.put<FamfsNode>(PATHS.famfsNodes, {
      metadata: { name: 'outside' },
      status,
    });
    expect(await setting.waitsFor()).toEqual([]);
  });

  test('waits for a node that does not say what it holds', async () => {
    await using setting = await Setting.make('a', 'b');
    setting.say('a', { heldInodes: undefined });
    setting.say('b', { heldInodes: 'not a list' });
    expect(await setting.waitsFor()).toEqual(['a: too many', 'b: too many']);
  });

  test('waits for a node that is not ready: its pods may run on', async () => {
    await using setting = await Setting.make('a');
    setting.addNode('b', 'node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable');
    setting.say('a');
    setting.say('b', { heldInodes: encodeInodes([setting.ino]) });
    expect(await setting.waitsFor()).toEqual(['b: holds']);
  });

  test('does not wait for a node that is out of service', async () => {
    await using setting = await Setting.make('a');
    setting.addNode('b', 'node.kubernetes.io/out-of-service');
    setting.say('a');
    setting.say('b', { heldInodes: encodeInodes([setting.ino]) });
    expect(await setting.waitsFor()).toEqual([]);
  });

  test('does not wait for a node whose Node is deleted, though its FamfsNode stays', async () => {
    await using setting = await Setting.make('a', 'b');
    setting.say('a');
    setting.say('b', { heldInodes: encodeInodes([setting.ino]) });
    setting.server.store.delete(PATHS.nodes, 'b');
    expect(await setting.waitsFor()).toEqual([]);
  });

  test('waits for a node whose FamfsNode alone was deleted', async () => {
    await using setting = await Setting.make('a', 'b');
    setting.say('a');
    setting.say('b', { heldInodes: encodeInodes([setting.ino]) });
    expect(await setting.waitsFor()).toEqual(['b: holds']);
    setting.server.store.delete(PATHS.famfsNodes, 'b');
    expect(await setting.waitsFor()).toEqual(['b: silent']);
    setting.say('b');
    expect(await setting.waitsFor()).toEqual([]);
  });

  test('does so over a start of the controller, by what the pool’s object says', async () => {
    await using setting = await Setting.make('a', 'b', 'c');
    setting.say('a');
    const node = (name: string) => ({ name, healthy: true });
    const nodes = [node('a'), { ...node('b'), logPosition: 1 }, node('c')];
    const status = { health: 'Healthy' as const, message: '', healthyNodes: '', nodes };
    setting.server.store.put<FamfsPool>(PATHS.famfsPools, { metadata: { name: 'p' }, status });
    setting.acks = setting.newAcks();
    expect(await setting.waitsFor()).toEqual(['b: silent']);
    setting.server.store.delete(PATHS.nodes, 'b');
    expect(await setting.waitsFor()).toEqual([]);
  });

  test('does not wait for nodes that an operator calls gone, which is counted once', async () => {
    await using setting = await Setting.make('a', 'b', 'c');
    for (const node of ['a', 'b', 'c']) {
      setting.say(node, { heldInodes: encodeInodes([setting.ino]) });
    }
    setting.annotate('b, c');
    expect(await setting.waitsFor()).toEqual(['a: holds']);
    expect(await setting.waitsFor()).toEqual(['a: holds']);
    expect(setting.overridden).toEqual(['p b', 'p c']);
    expect(setting.acks.overrideCount).toBe(2);
    expect(setting.acks.overridden('p')).toEqual(['b', 'c']);
    setting.annotate('b');
    expect(await setting.waitsFor()).toEqual(['a: holds', 'c: holds']);
  });

  test('is given back by what the server says, not by what was heard before', async () => {
    await using setting = await Setting.make('a', 'b');
    setting.say('a');
    await setting.informed();
    const { pool, acks, releases } = setting;
    const parts = { quarantine: new Quarantine(), leadership: ALWAYS, log: silentLog };
    let nowMs = 0;
    const now = () => nowMs;
    const reclaimer = new Reclaimer({ pools: [pool], acks, releases, ...parts, now });
    // The watch is slow: the informers do not know yet that a second node has the pool.
    const store = setting.server.store;
    const { onEvent } = store;
    store.onEvent = () => {};
    setting.say('b', { heldInodes: encodeInodes([setting.ino]) });
    store.onEvent = onEvent;
    expect(acks.known(pool)?.map(({ node }) => node)).toEqual(['a']);
    await reclaimer.look();
    expect(pool.replica.dead).toHaveLength(1);
    setting.say('b');
    await setting.informed();
    nowMs += 10_000;
    await reclaimer.look();
    expect(pool.replica.dead).toHaveLength(0);
  });
});
