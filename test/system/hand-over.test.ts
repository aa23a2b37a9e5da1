import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { MounterClient } from '../../src/mounter/client.ts';
import { findServers } from '../../src/mounter/find-server.ts';
import { KeeperConnection } from '../../src/mounter/keeper-connection.ts';
import { DescriptorReceiver } from '../../src/native/descriptor-socket.ts';
import { FileLock } from '../../src/native/file-lock.ts';
import { mountsAt } from '../../src/native/mounts.ts';
import { rejection } from '../support/caught.ts';
import { STEPS, startProxy } from '../support/keeper-proxy.ts';
import { startLoad } from '../support/load.ts';
import { eventually, TestCluster, type TestVolume } from '../support/test-cluster.ts';

const SIZE = 32 * MiB;
const PATIENCE_MS = 45_000;

let cluster: TestCluster;
let volume: TestVolume;
let file: string;
let mounters = 0;
/** The mounter that serves, as far as the tests have brought it. */
let serving: { name: string; pid: number; socket: string };

beforeAll(async () => {
  cluster = await TestCluster.start(1, 256 * MiB);
  volume = await cluster.createVolume('vol', SIZE);
  file = join(await cluster.publish(volume, 0), 'data');
  const { keeperPid } = await new MounterClient(node().mounterSocket).status();
  serving = { name: `${node().name}-mounter`, pid: keeperPid, socket: node().mounterSocket };
});

afterAll(() => cluster?.stop());

function node() {
  const [first] = cluster.nodes;
  if (!first) throw new Error('no node');
  return first.local;
}

/** Starts another mounter for the same mount root. */
function startMounter(socket = node().mounterSocket): typeof serving {
  const name = `mounter-${++mounters}`;
  const pid = cluster.local.processes.start(name, [
    'mounter',
    ...['--socket', socket, '--mount-root', node().mountRoot],
    ...['--pool', `${POOL}=${cluster.local.fabric}`],
  ]);
  return { name, pid, socket };
}

const proxyPath = () => join(node().kubeletDir, `proxy-${mounters}.sock`);

const logOf = ({ name }: typeof serving) =>
  readFileSync(join(cluster.local.logs, `${name}.log`), 'utf8');

const serverPids = () => {
  const [there] = mountsAt(join(node().mountRoot, POOL));
  if (!there) throw new Error('the pool is not mounted');
  return findServers(there.device, undefined).map(({ pid }) => pid);
};

/** Resolves when this mounter answers, with the pool served by the one server that there is. */
async function serves(mounter: typeof serving): Promise<void> {
  const client = new MounterClient(mounter.socket);
  await eventually(
    `${mounter.name} serves`,
    async () => {
      const { keeperPid, pools } = await client.status();
      if (keeperPid !== mounter.pid) throw new Error(`process ${keeperPid} answers`);
      if (pools[0]?.mount === undefined) throw new Error(pools[0]?.problem);
      expect(serverPids()).toEqual([pools[0].serverPid]);
      return true;
    },
    PATIENCE_MS,
  );
  serving = mounter;
}

const ended = ({ name, pid }: typeof serving) =>
  eventually(`${name} ends`, () => (existsSync(`/proc/${pid}`) ? undefined : true), PATIENCE_MS);

/** Runs a load around `what`, and sees it go on afterwards without an error. */
async function underLoad(what: () => Promise<void>): Promise<void> {
  const load = startLoad(file, SIZE);
  const runs = async () => {
    const before = load.rounds();
    await eventually('the load runs', () => (load.rounds() > before ? true : undefined));
  };
  try {
    await runs();
    await what();
    await runs();
  } finally {
    expect(await load.finish()).toMatch(/^fine after \d+$/);
  }
}

/** A new keeper of the tests: asks for the pools, and does what the test wants. */
async function asking(pools: string[]) {
  const name = 'hand-over-00000000.sock';
  const receiver = DescriptorReceiver.listen(join(node().mountRoot, name));
  const connection = await KeeperConnection.open(serving.socket);
  if (!connection) throw new Error('nobody listens');
  return {
    receiver,
    connection,
    ask: () => connection.ask({ op: 'hand-over', receiver: name, pools }, PATIENCE_MS),
    stop() {
      connection[Symbol.dispose]();
      receiver[Symbol.dispose]();
    },
  };
}

describe('a mounter', () => {
  test('hands over to the next, three times, and a load has no error', async () => {
    await underLoad(async () => {
      for (let time = 1; time <= 3; time++) {
        const old = serving;
        const next = startMounter();
        await serves(next);
        await ended(old);
        expect(logOf(old)).toContain('handed over: letting go');
        expect(logOf(next)).not.toContain('without keeper');
      }
    });
    expect((await cluster.poolStatus(0)).serverRestarts).toBe(0);
    expect(cluster.local.mounts().filter((at) => at === join(node().mountRoot, POOL))).toHaveLength(
      1,
    );
  }, 180_000);

  for (const step of STEPS) {
    test(`serves on when the next is killed at "${step}"`, async () => {
      const old = serving;
      const path = proxyPath();
      await underLoad(async () => {
        let next: typeof serving | undefined;
        const proxy = await startProxy(path, old.socket, step, () =>
          process.kill(next?.pid ?? 0, 'SIGKILL'),
        );
        try {
          next = startMounter(path);
          await proxy.reached;
          await ended(next);
          if (step === 'let go') {
            // Both are gone; the server that the next one has started is left.
            await ended(old);
            expect(serverPids()).toHaveLength(1);
            await serves(startMounter());
          } else {
            await serves(old);
          }
        } finally {
          proxy.stop();
        }
      });
    }, 120_000);

    test(`is followed by the next when it is killed at "${step}"`, async () => {
      const old = serving;
      await underLoad(async () => {
        const path = proxyPath();
        const proxy = await startProxy(path, old.socket, step, () =>
          process.kill(old.pid, 'SIGKILL'),
        );
        try {
          const next = startMounter(path);
          await proxy.reached;
          await ended(old);
          await serves(next);
        } finally {
          proxy.stop();
        }
        // Back to the usual socket, by the death of a keeper.
        await cluster.local.processes.kill(serving.name);
        await serves(startMounter());
      });
    }, 120_000);
  }

  test('takes back what it gave to one that left with the descriptors', async () => {
    await underLoad(async () => {
      const fake = await asking([POOL]);
      const asked = fake.ask();
      const message = await eventually('descriptors come', () => fake.receiver.receive(0));
      expect(message.fds).toHaveLength(2);
      fake.stop();
      for (const fd of message.fds) closeSync(fd);
      // The old keeper may have answered before it saw that the other left.
      expect(['answered', 'ended']).toContain(await asked);
      await serves(serving);
    });
  });

  test('starts no server beside another that has woken up too late', async () => {
    const fake = await asking([POOL]);
    expect(await fake.ask()).toBe('answered');
    const timesServed = () => logOf(serving).split('pool is served').length;
    const before = timesServed();
    const late = FileLock.tryLock(join(node().mountRoot, `${POOL}.references`));
    try {
      fake.stop();
      await eventually(
        'its own server waits',
        () =>
          logOf(serving).includes('waiting for another server of this mount to end') || undefined,
      );
      expect(timesServed()).toBe(before);
    } finally {
      late?.[Symbol.dispose]();
    }
    await serves(serving);
  });

  test('takes back what it gave to one that is silent, and refuses a third meanwhile', async () => {
    await underLoad(async () => {
      const fake = await asking([POOL]);
      expect(await fake.ask()).toBe('answered');
      expect(serverPids()).toEqual([]);
      const other = await KeeperConnection.open(serving.socket);
      const question = { op: 'hand-over', receiver: 'hand-over-1.sock', pools: [POOL] };
      expect(await rejection(other?.ask(question, PATIENCE_MS) ?? Promise.resolve())).toEqual({
        code: 'BUSY',
        message: 'hand-over: another mounter is taking over already',
      });
      expect(
        await rejection(other?.ask({ op: 'serving' }, PATIENCE_MS) ?? Promise.resolve()),
      ).toEqual({
        code: 'PRECONDITION',
        message: 'serving: this connection has no hand-over under way',
      });
      other?.[Symbol.dispose]();
      await fake.connection.ended;
      fake.stop();
      await serves(serving);
    });
  }, 120_000);

  test('never stops for one that does not listen', async () => {
    const before = serverPids();
    const fake = await asking([POOL]);
    fake.receiver[Symbol.dispose]();
    const { code, message } = await rejection(fake.ask());
    fake.stop();
    expect({ code, message }).toEqual({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^hand-over: .*ENOENT/),
    });
    expect(serverPids()).toEqual(before);
  });

  test('leaves a pool that the next does not keep to its server', async () => {
    const before = serverPids();
    const fake = await asking([]);
    expect(await fake.ask()).toBe('answered');
    const message = fake.receiver.receive(0);
    expect(JSON.parse(message?.text ?? '')).toEqual({ v: 1, mounts: [] });
    expect(await fake.connection.ask({ op: 'serving' }, PATIENCE_MS)).toBe('answered');
    fake.stop();
    await ended(serving);
    expect(serverPids()).toEqual(before);
    // The lock is held by the copy that was sent, and nobody answers for it.
    const refused = startMounter();
    await ended(refused);
    expect(logOf(refused)).toContain(`another mounter (process ${process.pid}) keeps its mounts`);
    for (const fd of message?.fds ?? []) closeSync(fd);
    await serves(startMounter());
  }, 120_000);

  test('keeps its mounts from one that asks at another socket', async () => {
    const refused = startMounter(join(node().kubeletDir, 'other.sock'));
    await ended(refused);
    expect(logOf(refused)).toContain(`another mounter (process ${serving.pid}) keeps its mounts`);
    await serves(serving);
  });

  test('leaves no socket in the mount root', () => {
    const names = readdirSync(node().mountRoot);
    expect(names).toContain(`${POOL}.session.json`);
    expect(names.filter((name) => name.includes('hand-over'))).toEqual([]);
  });
});
