import { describe, expect, test } from '@jest/globals';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { Informer } from '../../src/kubernetes/informer.ts';
import { type KubeObject, PATHS } from '../../src/kubernetes/objects.ts';
import { bounded } from '../support/bounded.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';
import { eventually } from '../support/test-cluster.ts';

const NODES = PATHS.csiNodes;

class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  readonly informer: Informer<KubeObject>;
  changes = 0;

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 2_000);
    this.informer = new Informer({
      client: this.client,
      collection: NODES,
      log: silentLog,
      onChange: () => this.changes++,
    });
  }

  static async make(prepare: (server: FakeApiServer) => void = () => {}): Promise<Setting> {
    const server = await FakeApiServer.start();
    prepare(server);
    return new Setting(server);
  }

  names(): string[] {
    return [...this.informer.items().keys()].sort();
  }

  becomes(names: string[]): Promise<true> {
    return eventually(`the names become ${names}`, () =>
      JSON.stringify(this.names()) === JSON.stringify(names) ? true : undefined,
    );
  }

  watches(count: number): Promise<true> {
    return eventually(`${count} watches`, () => (this.server.watches === count ? true : undefined));
  }

  lists(): number {
    return this.server.seen.filter(({ verb }) => verb === 'list').length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.informer[Symbol.asyncDispose]();
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

function put(server: FakeApiServer, ...names: string[]): void {
  for (const name of names) server.store.put(NODES, { metadata: { name } });
}

describe('an informer', () => {
  test('has what is there, then what comes, changes and goes', async () => {
    await using setting = await Setting.make((server) => put(server, 'a'));
    await bounded('the first list', setting.informer.synced);
    expect(setting.names()).toEqual(['a']);
    put(setting.server, 'b');
    await setting.becomes(['a', 'b']);
    setting.server.store.put(NODES, { metadata: { name: 'b', labels: { zone: 'z' } } });
    await eventually('the change', () => setting.informer.items().get('b')?.metadata.labels?.zone);
    setting.server.store.delete(NODES, 'a');
    await setting.becomes(['b']);
    expect(setting.changes).toBe(4);
  });

  test('goes on where a dropped watch ended, without a new list', async () => {
    await using setting = await Setting.make((server) => put(server, 'a'));
    await bounded('the first list', setting.informer.synced);
    await setting.watches(1);
    setting.server.dropWatches();
    put(setting.server, 'b');
    await setting.becomes(['a', 'b']);
    expect(setting.lists()).toBe(1);
  });

  test('lists anew when the server has forgotten, and forgets what went meanwhile', async () => {
    await using setting = await Setting.make((server) => put(server, 'a', 'b'));
    await bounded('the first list', setting.informer.synced);
    await setting.watches(1);
    setting.server.isGone = true;
    setting.server.store.delete(NODES, 'a');
    put(setting.server, 'c');
    setting.server.store.compact();
    setting.server.isGone = false;
    await setting.becomes(['b', 'c']);
    expect(setting.lists()).toBe(2);
  });

  test('does not list anew after a quiet time, thanks to a bookmark', async () => {
    await using setting = await Setting.make((server) => put(server, 'a'));
    await bounded('the first list', setting.informer.synced);
    await setting.watches(1);
    setting.server.store.put(PATHS.nodes, { metadata: { name: 'of-another-collection' } });
    setting.server.bookmark();
    setting.server.store.compact();
    setting.server.endWatches();
    put(setting.server, 'b');
    await setting.becomes(['a', 'b']);
    expect(setting.lists()).toBe(1);
  });

  test('waits for a server that is not there yet', async () => {
    await using setting = await Setting.make((server) => {
      server.isGone = true;
      put(server, 'a');
    });
    expect(setting.informer.isSynced).toBe(false);
    setting.server.isGone = false;
    await bounded('the first list', setting.informer.synced);
    expect(setting.names()).toEqual(['a']);
  });

  test('reads a list of many pages', async () => {
    const names = Array.from({ length: 1203 }, (_, at) => `n${String(at).padStart(4, '0')}`);
    await using setting = await Setting.make((server) => put(server, ...names));
    await bounded('the first list', setting.informer.synced);
    expect(setting.names()).toEqual(names);
    expect(setting.lists()).toBe(3);
  });
});
