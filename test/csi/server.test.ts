import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Fault } from '../../src/base/errors.ts';
import { connectCsi } from '../../src/csi/client.ts';
import { identityService } from '../../src/csi/identity.ts';
import { startServer } from '../../src/csi/server.ts';
import { failure, gate, rpcLines, serve } from './harness.ts';

const identity = identityService({ controllerService: true, health: () => true });
const silent = pino({ level: 'silent' });

async function inFolder(body: (socketPath: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'famfs-csi-socket-'));
  try {
    await body(join(folder, 'csi.sock'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('csi server', () => {
  test('answers on a unix socket that only its user may open', async () => {
    await using harness = await serve({ Identity: identity });
    expect(statSync(harness.socketPath).mode & 0o777).toBe(0o600);
    const info = await harness.client.identity.getPluginInfo({});
    expect(info).toMatchObject({ name: 'csi.famfs.io', vendor_version: expect.any(String) });
  });

  test('says UNIMPLEMENTED for a method and for a service that it lacks', async () => {
    await using harness = await serve({ Identity: { probe: () => ({}) } });
    expect(await failure(harness.client.identity.getPluginInfo({}))).toMatch(/^UNIMPLEMENTED/);
    expect(await failure(harness.client.node.nodeGetInfo({}))).toMatch(/^UNIMPLEMENTED/);
  });

  test('replaces the socket of a dead process', () =>
    inFolder(async (socketPath) => {
      const dead = createServer().listen(`${socketPath}.old`);
      await once(dead, 'listening');
      // A listener that is closed removes its path; one that was killed leaves it, as under here.
      linkSync(`${socketPath}.old`, socketPath);
      dead.close();
      await once(dead, 'close');
      expect(statSync(socketPath).isSocket()).toBe(true);
      await using server = await startServer({
        socketPath,
        logger: silent,
        services: { Identity: identity },
      });
      using client = connectCsi(server.socketPath);
      expect(await client.identity.probe({})).toEqual({ ready: { value: true } });
    }));

  test('leaves a socket alone that somebody listens on', () =>
    inFolder(async (socketPath) => {
      const options = { socketPath, logger: silent, services: { Identity: identity } };
      await using first = await startServer(options);
      await expect(startServer(options)).rejects.toMatchObject({ code: 'EXISTS' });
      using client = connectCsi(first.socketPath);
      expect(await client.identity.probe({})).toEqual({ ready: { value: true } });
    }));

  test('tells an observer of each call, how it ended and how long it took', () =>
    inFolder(async (socketPath) => {
      const seen: [string, string, boolean][] = [];
      await using server = await startServer({
        socketPath,
        logger: silent,
        services: {
          Identity: {
            probe: () => ({ ready: { value: true } }),
            getPluginInfo: () => {
              throw new Fault('NOT_FOUND', 'nobody');
            },
          },
        },
        observe: (method, code, seconds) => {
          seen.push([method, status[code], seconds >= 0]);
        },
      });
      using client = connectCsi(server.socketPath);
      await client.identity.probe({});
      await failure(client.identity.getPluginInfo({}));
      expect(seen).toEqual([
        ['/csi.v1.Identity/Probe', 'OK', true],
        ['/csi.v1.Identity/GetPluginInfo', 'NOT_FOUND', true],
      ]);
    }));

  test('leaves a file alone that is no socket', () =>
    inFolder(async (socketPath) => {
      writeFileSync(socketPath, 'precious');
      const options = { socketPath, logger: silent, services: {} };
      await expect(startServer(options)).rejects.toMatchObject({ code: 'EXISTS' });
      expect(existsSync(socketPath)).toBe(true);
    }));

  test.each([
    ['a relative path', 'csi.sock'],
    ['a path that the kernel would cut off', `/${'x'.repeat(107)}`],
  ])('refuses %s', async (_, socketPath) => {
    const options = { socketPath, logger: silent, services: {} };
    await expect(startServer(options)).rejects.toMatchObject({ code: 'INVALID' });
  });

  test('lets running calls finish when it closes, takes no more, removes its socket', async () => {
    const running = gate();
    const finish = gate();
    await using harness = await serve({
      Identity: {
        probe: async () => {
          running.open();
          await finish.promise;
          return { ready: { value: true } };
        },
      },
    });
    const call = harness.client.identity.probe({});
    await running.promise;
    const closed = harness.server.close();
    finish.open();
    expect(await call).toEqual({ ready: { value: true } });
    await closed;
    expect(existsSync(harness.socketPath)).toBe(false);
    expect(await failure(harness.client.identity.probe({}))).toMatch(/^UNAVAILABLE/);
  });

  test('cancels the calls that outlast the drain', async () => {
    const running = gate<AbortSignal>();
    await using harness = await serve({
      Identity: {
        probe: (_, { signal }) => {
          running.open(signal);
          return new Promise(() => {});
        },
      },
    });
    const call = failure(harness.client.identity.probe({}));
    const signal = await running.promise;
    await harness.server.close(1);
    expect(await call).toMatch(/^(UNAVAILABLE|CANCELLED|INTERNAL)/);
    expect(signal.aborted).toBe(true);
  });

  test("aborts a handler's signal when the caller's deadline passes", async () => {
    const aborted = gate();
    await using harness = await serve({
      Identity: {
        probe: (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              aborted.open();
              reject(signal.reason);
            });
          }),
      },
    });
    const call = harness.client.identity.probe({}, { timeoutMs: 50 });
    expect(await failure(call)).toMatch(/^DEADLINE_EXCEEDED/);
    await aborted.promise;
  });

  test("aborts a handler's signal when the caller hangs up", async () => {
    const running = gate();
    const aborted = gate();
    await using harness = await serve({
      Identity: {
        probe: (_, { signal }) => {
          running.open();
          signal.addEventListener('abort', () => aborted.open());
          return new Promise(() => {});
        },
      },
    });
    const caller = new AbortController();
    const call = harness.client.identity.probe({}, { signal: caller.signal });
    await running.promise;
    caller.abort();
    expect(await failure(call)).toMatch(/^CANCELLED/);
    await aborted.promise;
    await harness.server.close(1);
  });
});

describe('csi errors', () => {
  test('give a foreseen fault its status and its words', async () => {
    await using harness = await serve({
      Identity: {
        probe: () => {
          throw new Fault('BUSY', 'volume a: being deleted; retry later');
        },
      },
    });
    const call = harness.client.identity.probe({});
    expect(await failure(call)).toBe('ABORTED: volume a: being deleted; retry later');
    expect(rpcLines(harness.log)).toMatchObject([{ level: 40, code: 'ABORTED' }]);
  });

  test.each([
    ['a bug', () => new TypeError('x is not a function')],
    ['a failed assertion', () => new Fault('INTERNAL', 'assertion failed: secret detail')],
  ])('hide %s from the caller and log its stack', async (_, make) => {
    await using harness = await serve({
      Identity: {
        probe: () => {
          throw make();
        },
      },
    });
    const told = await failure(harness.client.identity.probe({}));
    const [line] = rpcLines(harness.log);
    expect(told).toBe(
      `INTERNAL: internal error in request ${line?.requestId}: see the driver's log for this id`,
    );
    expect(line).toMatchObject({ level: 50, err: { message: make().message } });
    expect(line).toMatchObject({ err: { stack: expect.stringContaining('server.test.ts') } });
  });
});

describe('csi log', () => {
  const controller = { createVolume: () => ({}) };

  test('has one line a call, with method, code, time and request', async () => {
    await using harness = await serve({ Controller: controller });
    await harness.client.controller.createVolume({ name: 'a', parameters: { pool: 'p' } });
    const lines = rpcLines(harness.log);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: 30,
      method: 'CreateVolume',
      code: 'OK',
      ms: expect.any(Number),
      requestId: expect.stringMatching(/^[0-9a-f]{8}$/),
      request: { name: 'a', parameters: { pool: 'p' } },
    });
  });

  test('never shows what csi.proto marks as secret, whatever its keys are', async () => {
    await using harness = await serve({ Controller: controller });
    const secrets = { harmless: 'hunter2' };
    await harness.client.controller.createVolume({ name: 'a', secrets });
    await failure(harness.client.controller.createVolume({ name: 'x'.repeat(129), secrets }));
    expect(rpcLines(harness.log)).toMatchObject([
      { request: { secrets: '***stripped***' } },
      { request: { secrets: '***stripped***' } },
    ]);
    expect(JSON.stringify(harness.log)).not.toMatch(/harmless|hunter2/);
  });

  test('keeps the probes that come all the time at debug while they succeed', async () => {
    await using harness = await serve({ Identity: identity });
    await harness.client.identity.probe({});
    expect(rpcLines(harness.log)).toMatchObject([{ level: 20, method: 'Probe' }]);
  });
});

describe('csi identity', () => {
  test('has the Controller service if it is told so', async () => {
    await using harness = await serve({ Identity: identity });
    const { capabilities } = await harness.client.identity.getPluginCapabilities({});
    expect(capabilities).toMatchObject([
      { service: { type: 'CONTROLLER_SERVICE' } },
      { service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } },
    ]);
  });

  test('has the name that it is given', async () => {
    const named = identityService({ name: 'mine', controllerService: false, health: () => true });
    await using harness = await serve({ Identity: named });
    expect((await harness.client.identity.getPluginInfo({})).name).toBe('mine');
    const { capabilities } = await harness.client.identity.getPluginCapabilities({});
    expect(capabilities).toEqual([]);
  });

  test('probes as not ready while it starts, as FAILED_PRECONDITION when broken', async () => {
    const states = [
      () => false,
      () => {
        throw new Fault('PRECONDITION', 'mounter: does not answer; restart it');
      },
    ];
    const health = () => states.shift()?.() ?? true;
    await using harness = await serve({
      Identity: identityService({ controllerService: true, health }),
    });
    expect(await harness.client.identity.probe({})).toEqual({ ready: { value: false } });
    expect(await failure(harness.client.identity.probe({}))).toMatch(
      /^FAILED_PRECONDITION: mounter/,
    );
    expect(await harness.client.identity.probe({})).toEqual({ ready: { value: true } });
  });
});
