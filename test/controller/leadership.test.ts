import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { Leases, whileLeading } from '../../src/controller/leadership.ts';
import type { Handlers, RpcContext } from '../../src/csi/rpc.ts';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { isMissing } from '../../src/kubernetes/api-fault.ts';
import { bootClock } from '../../src/kubernetes/clock.ts';
import { Lease } from '../../src/kubernetes/lease.ts';
import { type LeaseObject, PATHS } from '../../src/kubernetes/objects.ts';
import { bounded } from '../support/bounded.ts';
import { caught } from '../support/caught.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';

/** Ends what runs for a test, also when that fails. */
class Stop implements Disposable {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;

  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}

const LEASES = PATHS.leases('famfs');
const TIMES = { durationMs: 20_000, renewDeadlineMs: 10_000, retryMs: 20 };

function leaseOf(client: ApiClient, pool: string, identity: string): Lease {
  const name = `famfs-csi-${pool}`;
  const get = () =>
    client.get<LeaseObject>(LEASES, name).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  const create = (lease: LeaseObject) => client.create(LEASES, lease);
  const replace = (lease: LeaseObject) => client.replace(LEASES, lease);
  const store = { get, create, replace };
  const common = { namespace: 'famfs', store, clock: bootClock, log: silentLog, times: TIMES };
  return new Lease({ name, identity, ...common });
}

/** Leases as somebody left them: who finds them need not wait. */
function leave(server: FakeApiServer, ...pools: string[]): void {
  for (const pool of pools) {
    const metadata = { name: `famfs-csi-${pool}`, namespace: 'famfs' };
    server.store.put<LeaseObject>(LEASES, { metadata, spec: { holderIdentity: '' } });
  }
}

/** Holder of each lease, as the server has it. */
function holders(server: FakeApiServer): Record<string, string | undefined> {
  const leases = server.store.all<LeaseObject>(LEASES);
  return Object.fromEntries(
    leases.map(({ metadata, spec }) => [metadata.name, spec?.holderIdentity]),
  );
}

describe('the leases of a process', () => {
  test('are all held by one of two that name the same pools in another order', async () => {
    await using server = await FakeApiServer.start();
    using client = new ApiClient(server.endpoint, 5_000);
    leave(server, 'a', 'b', 'c');
    using stop = new Stop();
    const orders = [
      ['a', 'b', 'c'],
      ['c', 'b', 'a'],
    ];
    const processes = orders.map((pools, at) => {
      const leases = pools.map((pool) => leaseOf(client, pool, `process-${at}`));
      return { leases, all: new Leases(leases) };
    });
    const runs = processes.map(({ all }) => all.run(stop.signal));
    const every = processes.map(({ leases }) => Promise.all(leases.map((one) => one.acquired)));
    await bounded('one has all', Promise.race(every));
    const [leader, ...others] = processes.filter(({ all }) => all.isLeading);
    expect(others).toEqual([]);
    leader?.all.assertLeading();
    expect(new Set(Object.values(holders(server))).size).toBe(1);
    stop[Symbol.dispose]();
    expect(await bounded('both end', Promise.all(runs))).toHaveLength(2);
  });

  test('are waited for at once where nobody had one before', async () => {
    await using server = await FakeApiServer.start();
    using client = new ApiClient(server.endpoint, 5_000);
    using stop = new Stop();
    const leases = ['a', 'b', 'c'].map((pool) => leaseOf(client, pool, 'me'));
    void new Leases(leases).run(stop.signal);
    await bounded('all are taken', Promise.all(leases.map((one) => one.taken)));
    // Nobody acts yet: a holder whose lease was deleted may still do.
    expect(leases.map(({ isTaken, isHeld }) => [isTaken, isHeld])).toEqual([
      [true, false],
      [true, false],
      [true, false],
    ]);
  });

  test('are all lost with one, and all given up in the end', async () => {
    await using server = await FakeApiServer.start();
    using client = new ApiClient(server.endpoint, 5_000);
    leave(server, 'a', 'b');
    const leases = ['a', 'b'].map((pool) => leaseOf(client, pool, 'me'));
    const all = new Leases(leases);
    using stop = new Stop();
    const lost = all.run(stop.signal);
    await bounded('all are held', Promise.all(leases.map((one) => one.acquired)));
    const there = server.store.find<LeaseObject>(LEASES, 'famfs-csi-b') as LeaseObject;
    const spec = { ...there.spec, holderIdentity: 'thief' };
    server.store.put(LEASES, { ...there, spec });
    expect(await bounded('one is lost', lost)).toBe('lease famfs-csi-b: thief holds it now');
    expect(all.isLeading).toBe(false);
    expect(caught(() => all.assertLeading()).code).toBe('UNAVAILABLE');
    await all.release();
    expect(holders(server)).toEqual({ 'famfs-csi-a': '', 'famfs-csi-b': 'thief' });
  });
});

describe('a service while another process leads', () => {
  test('refuses every call that changes something, and no other', async () => {
    const called: string[] = [];
    const note = (name: string) => () => {
      called.push(name);
      return {};
    };
    const names = [
      'createVolume',
      'deleteVolume',
      'controllerPublishVolume',
      'controllerUnpublishVolume',
      'validateVolumeCapabilities',
      'listVolumes',
      'getCapacity',
      'controllerGetVolume',
      'controllerGetCapabilities',
    ];
    const service = Object.fromEntries(names.map((name) => [name, note(name)]));
    let isLeading = false;
    const leadership = {
      get isLeading() {
        return isLeading;
      },
      assertLeading: () => {
        if (!isLeading) throw new Fault('UNAVAILABLE', 'another one leads');
      },
    };
    const guarded = whileLeading(service as Handlers<'Controller'>, leadership);
    const call = (name: string) => {
      const handler = (guarded as Record<string, (request: object, context: RpcContext) => object>)[
        name
      ];
      return handler?.({}, {} as RpcContext);
    };
    const refused = names.filter((name) => {
      try {
        call(name);
        return false;
      } catch {
        return true;
      }
    });
    expect(refused).toEqual(names.slice(0, 4));
    expect(called).toEqual(names.slice(4));
    isLeading = true;
    for (const name of names) call(name);
    expect(called.slice(5)).toEqual(names);
  });
});
