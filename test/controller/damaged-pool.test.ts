import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { KeyedLock } from '../../src/base/keyed-lock.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { controllerService } from '../../src/controller/controller-service.ts';
import { StaticNodes } from '../../src/controller/nodes.ts';
import { PoolHealth } from '../../src/controller/pool-health.ts';
import { VolumeAttachments } from '../../src/controller/volume-attachments.ts';
import { Volumes } from '../../src/controller/volumes.ts';
import { identityService } from '../../src/csi/identity.ts';
import { entryOffset, LOG_OFFSET } from '../../src/format/log-header.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { Pool } from '../../src/pool/pool.ts';
import { repairDevice } from '../../src/pool/repair.ts';
import { failure, type Harness, type LogLine, serve } from '../csi/harness.ts';
import { MASTER } from '../pool/log-memory.ts';
import { capability, create, MemoryAttachments } from './harness.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-damaged-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Controller extends Harness {
  /** What the controller itself has logged, not its requests. */
  readonly said: readonly LogLine[];
}

/** An empty pool of 1 GiB as a file. */
function makePool(name: string): string {
  const device = join(folder, name);
  const fd = openSync(device, 'wx');
  writeSync(fd, new Uint8Array(1));
  ftruncateSync(fd, GiB);
  closeSync(fd);
  using memory = Mapping.open(device, { writable: true });
  mkfs(memory, { deviceName: name, systemUuid: MASTER });
  return device;
}

/** A controller on these pools, as `famfs-csi controller` wires it. */
async function start(...devices: string[]): Promise<Controller> {
  const said: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line) => said.push(JSON.parse(line)) });
  const pools = devices.map((device, at) =>
    Pool.open({ name: `pool${at}`, device, writable: true, systemUuid: MASTER }),
  );
  const attachments = new MemoryAttachments();
  const locks = new KeyedLock(10_000);
  const volumes = new Volumes({ pools, attachments, locks });
  const nodes = new StaticNodes(['a', 'b']);
  const health = new PoolHealth(pools, logger);
  const harness = await serve({
    Controller: controllerService({
      volumes,
      attachments: new VolumeAttachments({ volumes, attachments, nodes, locks }),
    }),
    Identity: identityService({ controllerService: true, health: () => health.probe() }),
  });
  const dispose = async () => {
    await harness[Symbol.asyncDispose]();
    for (const pool of pools) pool[Symbol.dispose]();
  };
  return { ...harness, said, [Symbol.asyncDispose]: dispose };
}

const inPool = (pool: string) => ({ parameters: { pool } });

/** Volumes v0, v1, v2 of 64 MiB, of two entries each; then entry 3, the file of v1, is damaged. */
async function damagedPool(): Promise<string> {
  const device = makePool('fabric');
  {
    await using harness = await start(device);
    for (const name of ['v0', 'v1', 'v2'])
      await harness.client.controller.createVolume(create(name));
  }
  flip(device, LOG_OFFSET + entryOffset(3) + 100);
  return device;
}

function flip(device: string, offset: number): void {
  using memory = Mapping.open(device, { writable: true });
  const [byte = 0] = memory.read(offset, 1);
  memory.write(offset, Uint8Array.of(byte ^ 0xff));
}

describe('a controller on a pool whose log is damaged in the middle', () => {
  test('is ready, and says so once in its log', async () => {
    await using harness = await start(await damagedPool());
    for (let probes = 0; probes < 3; probes++) {
      expect(await harness.client.identity.probe({})).toEqual({ ready: { value: true } });
    }
    expect(harness.said).toHaveLength(1);
    expect(harness.said[0]).toMatchObject({ level: 50, pool: 'pool0' });
    expect(harness.said[0]?.msg).toMatch(/log is damaged at entry 3 .*"famfs-csi repair"/);
  });

  test('serves the volumes before it, each with its condition', async () => {
    await using harness = await start(await damagedPool());
    const { controller } = harness.client;
    const { entries } = await controller.listVolumes({});
    expect(entries.map(({ volume }) => volume?.volume_id)).toEqual(['v0']);
    const one = await controller.controllerGetVolume({ volume_id: 'v0' });
    for (const status of [entries[0]?.status, one.status]) {
      expect(status?.volume_condition?.abnormal).toBe(true);
      expect(status?.volume_condition?.message).toMatch(/pool0: its log is damaged at entry 3/);
    }
    // Made before: a retry of its creation finds it, and a node can have it.
    const again = await controller.createVolume(create('v0'));
    expect(again.volume?.volume_id).toBe('v0');
    await controller.controllerPublishVolume({
      volume_id: 'v0',
      node_id: 'a',
      volume_capability: capability(),
    });
    await controller.controllerUnpublishVolume({ volume_id: 'v0', node_id: 'a' });
  });

  test('makes no volume on it and deletes none, and says what to do', async () => {
    const device = await damagedPool();
    await using harness = await start(device);
    const { controller } = harness.client;
    const told = new RegExp(
      '^FAILED_PRECONDITION: pool pool0: its log is damaged at entry 3 .*' +
        `famfs-csi repair ${device}`,
    );
    expect(await failure(controller.createVolume(create('v3')))).toMatch(told);
    expect(await failure(controller.deleteVolume({ volume_id: 'v0' }))).toMatch(told);
    expect((await controller.getCapacity({})).available_capacity).toBe('0');
  });

  test('does not say of a volume behind the damage that it is gone', async () => {
    await using harness = await start(await damagedPool());
    const { controller } = harness.client;
    // The directory of v1 is before the damage, its file is what is damaged.
    for (const volume_id of ['v1', 'v2', 'never-made']) {
      const told = new RegExp(
        `^FAILED_PRECONDITION: volume ${volume_id}: not found, but .* entry 3 and may have it`,
      );
      expect(await failure(controller.controllerGetVolume({ volume_id }))).toMatch(told);
      expect(await failure(controller.deleteVolume({ volume_id }))).toMatch(
        volume_id === 'v1' ? /^FAILED_PRECONDITION: pool pool0: / : told,
      );
    }
    // An id that no volume can have names none, whatever the log is like.
    await controller.deleteVolume({ volume_id: '../v1' });
  });

  test('goes on making volumes in another pool', async () => {
    await using harness = await start(await damagedPool(), makePool('other'));
    const { controller } = harness.client;
    const reply = await controller.createVolume(create('v3', inPool('pool1')));
    expect(reply.volume?.volume_context.pool).toBe('pool1');
    const got = await controller.controllerGetVolume({ volume_id: 'v3' });
    expect(got.status?.volume_condition).toEqual({
      abnormal: false,
      message: 'pool pool1 is sound',
    });
    expect(await failure(controller.createVolume(create('v4', inPool('pool0'))))).toMatch(
      /^FAILED_PRECONDITION/,
    );
    await controller.deleteVolume({ volume_id: 'v3' });
  });

  test('goes on by itself when the log is repaired, with all volumes not hit', async () => {
    const device = await damagedPool();
    await using harness = await start(device);
    const { controller, identity } = harness.client;
    await identity.probe({});
    await repairDevice(device, { skip: true }, join(folder, 'copy'), MASTER);
    await identity.probe({});
    expect(harness.said.map(({ level, msg }) => [level, msg]).at(-1)).toEqual([
      30,
      'pool pool0 is sound',
    ]);
    const { entries } = await controller.listVolumes({});
    expect(entries.map(({ volume }) => volume?.volume_id)).toEqual(['v0', 'v2']);
    expect(entries[0]?.status?.volume_condition?.abnormal).toBe(false);
    // The file's memory is kept: v1 made anew has other memory, and the old bytes stay.
    await controller.createVolume(create('v1'));
    await controller.deleteVolume({ volume_id: 'v0' });
    using pool = Pool.open({ name: 'check', device, writable: false });
    expect(pool.replica.problems).toEqual([]);
    const [lost, anew] = ['lost+found-3', 'v1/data'].map((path) =>
      pool.replica.namespace.lookup(path),
    );
    expect(lost).toMatchObject({ kind: 'file', sizeBytes: 64 * MiB });
    expect(anew?.ino).not.toBe(lost?.ino);
  });
});

describe('a controller whose only pool cannot be followed', () => {
  test('is not ready, and says why', async () => {
    const device = makePool('fabric');
    await using harness = await start(device);
    const { controller, identity } = harness.client;
    await controller.createVolume(create('v0'));
    flip(device, LOG_OFFSET + 40 + 4); // next_index
    expect(await failure(identity.probe({}))).toMatch(
      /^FAILED_PRECONDITION: pool pool0: log header: next_index is \d+, the log holds 15420/,
    );
    expect(harness.said.at(-1)).toMatchObject({ level: 50, pool: 'pool0' });
    flip(device, LOG_OFFSET + 40 + 4);
    expect(await identity.probe({})).toEqual({ ready: { value: true } });
  });

  test('is ready while it has another that can', async () => {
    const device = makePool('fabric');
    await using harness = await start(device, makePool('other'));
    await harness.client.controller.createVolume(create('v0', inPool('pool0')));
    flip(device, LOG_OFFSET + 40 + 6);
    expect(await harness.client.identity.probe({})).toEqual({ ready: { value: true } });
    expect(harness.said.at(-1)).toMatchObject({ level: 50, pool: 'pool0' });
  });
});
