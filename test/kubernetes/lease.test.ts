import { describe, expect, test } from '@jest/globals';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { isMissing } from '../../src/kubernetes/api-fault.ts';
import { bootClock } from '../../src/kubernetes/clock.ts';
import { Lease, type LeaseTimes } from '../../src/kubernetes/lease.ts';
import { type LeaseObject, PATHS } from '../../src/kubernetes/objects.ts';
import { bounded } from '../support/bounded.ts';
import { caught } from '../support/caught.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { Random } from '../support/random.ts';
import { silentLog } from '../support/silent-log.ts';
import { eventually } from '../support/test-cluster.ts';

const LEASES = PATHS.leases('famfs');
const NAME = 'famfs-csi-p';
/** Long enough for a machine that is busy; the order of the three is what counts. */
const TIMES: LeaseTimes = { durationMs: 10_000, renewDeadlineMs: 4_000, retryMs: 50 };

function leaseOf(client: ApiClient, identity: string, times = TIMES): Lease {
  const store = {
    get: async () => {
      try {
        return await client.get<LeaseObject>(LEASES, NAME);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    create: (lease: LeaseObject) => client.create(LEASES, lease),
    replace: (lease: LeaseObject) => client.replace(LEASES, lease),
  };
  const options = { name: NAME, namespace: 'famfs', identity, store, clock: bootClock };
  return new Lease({ ...options, times, log: silentLog });
}

class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  readonly stop = new AbortController();

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 3_000);
  }

  static async make(): Promise<Setting> {
    return new Setting(await FakeApiServer.start());
  }

  /** As somebody left it: who finds it need not wait. */
  static async withLease(): Promise<Setting> {
    const setting = await Setting.make();
    const metadata = { name: NAME, namespace: 'famfs' };
    setting.server.store.put<LeaseObject>(LEASES, { metadata, spec: { holderIdentity: '' } });
    return setting;
  }

  get lease(): LeaseObject | undefined {
    return this.server.store.find<LeaseObject>(LEASES, NAME);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

describe('a lease', () => {
  test('is made, taken and renewed, as other tools expect it', async () => {
    await using setting = await Setting.make();
    const lease = leaseOf(setting.client, 'one');
    void lease.run(setting.stop.signal);
    await bounded('the lease is held', lease.acquired);
    expect(lease.isHeld).toBe(true);
    lease.assertHeld();
    const first = setting.lease;
    expect(first?.spec).toMatchObject({
      holderIdentity: 'one',
      leaseDurationSeconds: 10,
      leaseTransitions: 0,
    });
    // MicroTime: client-go refuses anything but six digits.
    expect(first?.spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await eventually('it is renewed', () =>
      setting.lease?.spec?.renewTime === first?.spec?.renewTime ? undefined : true,
    );
    expect(setting.lease?.spec?.acquireTime).toBe(first?.spec?.acquireTime);
  });

  test('is refused by name to who does not hold it', async () => {
    await using setting = await Setting.withLease();
    const one = leaseOf(setting.client, 'one');
    void one.run(setting.stop.signal);
    await bounded('the lease is held', one.acquired);
    const two = leaseOf(setting.client, 'two');
    void two.run(setting.stop.signal);
    await eventually('the other has looked', () =>
      setting.server.seen.filter(({ verb }) => verb === 'get').length > 1 ? true : undefined,
    );
    await eventually('it names the holder', () =>
      caught(() => two.assertHeld()).message.includes('one holds it') ? true : undefined,
    );
    expect(caught(() => two.assertHeld()).code).toBe('UNAVAILABLE');
    expect(one.isHeld).toBe(true);
  });

  test('is had at once after a release, and counts the transition', async () => {
    await using setting = await Setting.withLease();
    const one = leaseOf(setting.client, 'one', { ...TIMES, durationMs: 3_600_000 });
    const stopOne = new AbortController();
    const ran = one.run(stopOne.signal);
    await bounded('the lease is held', one.acquired);
    stopOne.abort();
    await ran;
    await one.release();
    expect(one.isHeld).toBe(false);
    const two = leaseOf(setting.client, 'two');
    void two.run(setting.stop.signal);
    await bounded('the lease is held', two.acquired);
    expect(setting.lease?.spec).toMatchObject({ holderIdentity: 'two', leaseTransitions: 2 });
  });

  test('is lost when another name stands in it, whatever the clock says', async () => {
    await using setting = await Setting.withLease();
    const lease = leaseOf(setting.client, 'one');
    const lost = lease.run(setting.stop.signal);
    await bounded('the lease is held', lease.acquired);
    const there = setting.lease as LeaseObject;
    const spec = { ...there.spec, holderIdentity: 'thief' };
    setting.server.store.put(LEASES, { ...there, spec });
    expect(await bounded('the lease is lost', lost)).toBe('thief holds it now');
    expect(lease.isHeld).toBe(false);
  });

  test('is lost by the deadline while the API server is gone, and stays lost', async () => {
    await using setting = await Setting.withLease();
    const lease = leaseOf(setting.client, 'one');
    const lost = lease.run(setting.stop.signal);
    await bounded('the lease is held', lease.acquired);
    setting.server.isGone = true;
    expect(await bounded('the lease is lost', lost)).toBe('it was not renewed within 4000 ms');
    expect(caught(() => lease.assertHeld()).message).toContain('it was not renewed within 4000 ms');
    setting.server.isGone = false;
    expect(setting.lease?.spec?.holderIdentity).toBe('one');
    expect(lease.isHeld).toBe(false);
  });

  test('is lost by the deadline while a renewal hangs in the server', async () => {
    await using setting = await Setting.withLease();
    const lease = leaseOf(setting.client, 'one');
    const lost = lease.run(setting.stop.signal);
    await bounded('the lease is held', lease.acquired);
    let open = () => {};
    const hung = new Promise<void>((resolve) => {
      open = resolve;
    });
    setting.server.after = ({ verb }) => (verb === 'update' ? hung : undefined);
    expect(await bounded('the lease is lost', lost)).toBe('it was not renewed within 4000 ms');
    open();
    expect(lease.isHeld).toBe(false);
  });

  test('survives a server that fails now and then', async () => {
    await using setting = await Setting.withLease();
    const random = new Random(1);
    setting.server.fault = () => (random.chance(0.4) ? 503 : undefined);
    const lease = leaseOf(setting.client, 'one', { ...TIMES, retryMs: 20 });
    const lost = lease.run(setting.stop.signal);
    await bounded('the lease is held', lease.acquired);
    const before = setting.server.seen.length;
    await eventually('it was renewed ten times', () =>
      setting.server.seen.length > before + 20 ? true : undefined,
    );
    expect(lease.isHeld).toBe(true);
    setting.stop.abort();
    expect(await bounded('the lease is lost', lost)).toBe('this process ends');
  });

  test('goes to one of two that begin at once', async () => {
    await using setting = await Setting.make();
    const leases = ['one', 'two'].map((name) => leaseOf(setting.client, name));
    for (const lease of leases) void lease.run(setting.stop.signal);
    const acquired = Promise.race(leases.map((lease) => lease.acquired));
    await bounded('one of them holds it', acquired);
    const holder = setting.lease?.spec?.holderIdentity;
    expect(leases.map(({ isHeld }) => isHeld)).toEqual([holder === 'one', holder === 'two']);
  });
});
