import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { MounterClient } from '../../src/mounter/client.ts';
import { findServers } from '../../src/mounter/find-server.ts';
import { mountsAt } from '../../src/native/mounts.ts';
import { startLoad } from '../support/load.ts';
import { eventually, TestCluster } from '../support/test-cluster.ts';

/**
 * A mounter's pod that is deleted takes its processes with it, and the next one is made only then.
 * Nobody of the two has the descriptors in between; the node plugin's pod does.
 */
const SIZE = 32 * MiB;
const PATIENCE_MS = 45_000;

let cluster: TestCluster;
let file: string;
let mounters = 0;

interface Started {
  readonly name: string;
  readonly pid: number;
}

beforeAll(async () => {
  cluster = await TestCluster.start(1, 256 * MiB);
  file = join(await cluster.publish(await cluster.createVolume('vol', SIZE), 0), 'data');
});

afterAll(() => cluster?.stop());

function node() {
  const [first] = cluster.nodes;
  if (!first) throw new Error('no node');
  return first.local;
}

const custodianSocket = () => join(node().kubeletDir, 'custodian.sock');

function startMounter(): Started {
  const name = `mounter-${++mounters}`;
  const pid = cluster.local.processes.start(name, [
    'mounter',
    ...['--socket', node().mounterSocket, '--mount-root', node().mountRoot],
    ...['--pool', `${POOL}=${cluster.local.fabric}`, '--custodian', custodianSocket()],
  ]);
  return { name, pid };
}

/** The node plugin of a pod that has the custody. */
function startCustodian(): Started {
  const name = 'custodian';
  const pid = cluster.local.processes.start(name, [
    'node',
    ...['--endpoint', join(node().kubeletDir, 'custodian-csi.sock'), '--node-id', node().name],
    ...['--mounter', node().mounterSocket, '--custodian', custodianSocket()],
  ]);
  return { name, pid };
}

const logOf = ({ name }: Started) => readFileSync(join(cluster.local.logs, `${name}.log`), 'utf8');

const status = () => new MounterClient(node().mounterSocket).status();

const servers = () => {
  const [there] = mountsAt(join(node().mountRoot, POOL));
  if (!there) throw new Error('the pool is not mounted');
  return findServers(there.device, undefined).map(({ pid }) => pid);
};

const serves = ({ name, pid }: Started) =>
  eventually(
    `${name} serves`,
    async () => {
      const { keeperPid, pools } = await status();
      if (keeperPid !== pid) throw new Error(`process ${keeperPid} answers`);
      if (pools[0]?.mount === undefined) throw new Error(pools[0]?.problem);
      return true;
    },
    PATIENCE_MS,
  );

const ended = ({ name, pid }: Started) =>
  eventually(`${name} ends`, () => (existsSync(`/proc/${pid}`) ? undefined : true), PATIENCE_MS);

const rootMounts = () => cluster.local.mounts().filter((at) => at === join(node().mountRoot, POOL));

describe('a custodian', () => {
  test('holds the mounts between mounters that never meet, and a load has no error', async () => {
    const custodian = startCustodian();
    await eventually('it listens', () => existsSync(custodianSocket()) || undefined);
    let mounter = startMounter();
    await serves(mounter);
    const load = startLoad(file, SIZE);
    const goesOn = async () => {
      const before = load.rounds();
      await eventually('the load runs', () => (load.rounds() > before ? true : undefined));
    };
    try {
      for (let time = 1; time <= 2; time++) {
        await goesOn();
        process.kill(mounter.pid, 'SIGTERM');
        await ended(mounter);
        expect(servers()).toEqual([]);
        const { keeperPid, pools } = await status();
        expect([keeperPid, pools[0]?.problem]).toEqual([
          custodian.pid,
          'its mounter is being replaced',
        ]);
        const next = startMounter();
        await serves(next);
        expect(servers()).toHaveLength(1);
        mounter = next;
      }
      await goesOn();
    } finally {
      expect(await load.finish()).toMatch(/^fine after \d+$/);
    }
    expect(rootMounts()).toHaveLength(1);
    process.kill(custodian.pid, 'SIGTERM');
    await ended(custodian);
  }, 120_000);

  test('is not there: the mounter says so and leaves the mount to its server', async () => {
    const { keeperPid } = await status();
    process.kill(keeperPid, 'SIGTERM');
    const old = { name: `mounter-${mounters}`, pid: keeperPid };
    await ended(old);
    expect(logOf(old)).toContain('nobody listens; mounts may end with this process');
    expect(servers()).toHaveLength(1);
    expect(readFileSync(file)).toHaveLength(SIZE);
    await serves(startMounter());
  }, 60_000);

  test('that ends while it holds a mount leaves no dead mount point', async () => {
    const custodian = startCustodian();
    await eventually('it listens', () => existsSync(custodianSocket()) || undefined);
    const { keeperPid } = await status();
    process.kill(keeperPid, 'SIGTERM');
    await ended({ name: `mounter-${mounters}`, pid: keeperPid });
    expect(rootMounts()).toHaveLength(1);
    process.kill(custodian.pid, 'SIGTERM');
    await ended(custodian);
    expect(rootMounts()).toEqual([]);
    expect(logOf(custodian)).toContain('detaching a mount that nobody serves any more');
    await serves(startMounter());
  }, 60_000);
});
