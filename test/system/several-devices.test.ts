import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { endServers } from '../../src/cli/demo/fabric-users.ts';
import { resolve } from '../../src/format/extents.ts';
import { MounterClient } from '../../src/mounter/client.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { readMountInfo, unmount } from '../../src/native/mounts.ts';
import { create } from '../controller/harness.ts';
import { famfsJson, MAIN } from '../support/command-line.ts';
import { ControllerProcess, Fabric, POOL_NAME } from '../support/controller-process.ts';
import { startPeer } from '../support/mapping-peer.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually } from '../support/test-cluster.ts';

const FILE_BYTES = 4 * MiB;

describeWith([fuse], 'a buffered mount of a pool over three devices', () => {
  let fabric: Fabric;
  let devices: string[];
  let mountRoot: string;
  let socket: string;
  let client: MounterClient;
  let mounters: { child: ChildProcess; ended: Promise<unknown> }[];

  beforeEach(() => {
    fabric = new Fabric(16 * MiB);
    mountRoot = join(fabric.folder, 'pools');
    socket = join(fabric.folder, 'mounter.sock');
    client = new MounterClient(socket);
    mounters = [];
    devices = [fabric.device];
    for (const at of [1, 2]) {
      const path = `${fabric.device}-${at}`;
      famfsJson(['devadd', fabric.device, path, '--size', '2G']);
      devices.push(path);
    }
    make('here', FILE_BYTES, []);
    make('there', FILE_BYTES, []);
    make('both', 3 * FILE_BYTES, ['--strips', '2']);
  });

  afterEach(async () => {
    for (const { child } of mounters) child.kill('SIGTERM');
    await Promise.all(mounters.map(({ ended }) => ended));
    const below = readMountInfo().filter((one) => one.mountPoint.startsWith(fabric.folder));
    for (const { mountPoint } of below.reverse()) unmount(mountPoint, { detach: true });
    await endServers(fabric.device);
    for (const path of devices.slice(1)) rmSync(path, { force: true });
    await fabric[Symbol.asyncDispose]();
  });

  function make(path: string, sizeBytes: number, layout: readonly string[]): void {
    famfsJson(['create', '--size', String(sizeBytes), ...layout, devices.join(','), path]);
  }

  async function startMounter(given: readonly string[]): Promise<void> {
    const pool = `${POOL_NAME}=${given.join(',')}`;
    const args = ['mounter', '--socket', socket, '--mount-root', mountRoot, '--pool', pool];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'ignore' });
    const ended = new Promise((done) => child.once('exit', done));
    mounters.push({ child, ended });
    await eventually('the pool is mounted by this mounter', async () => {
      const { keeperPid, pools } = await client.status();
      return keeperPid === child.pid && pools[0]?.mount !== undefined ? true : undefined;
    });
  }

  /** Where the log says that a file's bytes are. */
  function placesOf(path: string, lengthBytes?: number) {
    using pool = fabric.open();
    const node = pool.replica.namespace.lookup(path);
    if (node?.kind !== 'file') throw new Error(`${path}: no file`);
    return resolve(node.fmap, 0, lengthBytes ?? node.sizeBytes);
  }

  function bytesOnDevices(path: string, atMost?: number): Buffer {
    const parts = placesOf(path, atMost).map(({ devindex, offset, lengthBytes }) => {
      using memory = Mapping.open(devices[devindex] ?? '', { writable: false });
      return memory.read(offset, lengthBytes);
    });
    return Buffer.concat(parts);
  }

  const pattern = (sizeBytes: number, salt: number) =>
    Buffer.from(Uint8Array.from({ length: sizeBytes }, (_, at) => 1 + ((at * salt) % 251)));

  const fileAt = (path: string) => join(mountRoot, POOL_NAME, path);
  const refusals = async () => (await client.poolMount(POOL_NAME, 0, { path: '' })).refusals;

  test('reads and writes a file on each, and one interleaved over two, in place', async () => {
    await startMounter(devices);
    const devicesOf = (path: string) => placesOf(path).map(({ devindex }) => devindex);
    expect([devicesOf('here'), devicesOf('there')]).toEqual([[0], [1]]);
    expect(new Set(devicesOf('both'))).toEqual(new Set([1, 2]));
    expect(await refusals()).toEqual([]);
    for (const [at, path] of ['here', 'there', 'both'].entries()) {
      const sizeBytes = path === 'both' ? 3 * FILE_BYTES : FILE_BYTES;
      const bytes = pattern(sizeBytes, 7 + at);
      const fd = openSync(fileAt(path), 'r+');
      writeSync(fd, bytes, 0, sizeBytes, 0);
      closeSync(fd);
      expect(Buffer.compare(bytesOnDevices(path), bytes)).toBe(0);
      expect(Buffer.compare(readFileSync(fileAt(path)), bytes)).toBe(0);
    }
    const { report, exitCode } = fabric.checkByCommand();
    expect([exitCode, report.problems, report.files]).toEqual([0, [], 3]);
    expect((await client.status()).pools[0]?.devices).toEqual(devices.map((path) => ({ path })));
  });

  test('gets volumes of a controller on all of its devices', async () => {
    const path = join(fabric.folder, 'controller');
    const controller = new ControllerProcess(path, devices.join(','), undefined);
    try {
      const { client } = controller;
      await eventually('the controller answers', () => client.identity.probe({}));
      const { available_capacity: capacity } = await client.controller.getCapacity({});
      expect(Number(capacity)).toBeGreaterThan(GiB);
      const size = { capacity_range: { required_bytes: capacity } };
      const { volume } = await client.controller.createVolume(create('large', size));
      expect(volume?.capacity_bytes).toBe(capacity);
      expect(placesOf('large/data')).toMatchObject([{ devindex: 2 }]);
    } finally {
      await controller.kill();
    }
    await startMounter(devices);
    expect(await refusals()).toEqual([]);
    const fd = openSync(fileAt('large/data'), 'r+');
    writeSync(fd, Buffer.from('there'), 0, 5, 7);
    closeSync(fd);
    expect(String(bytesOnDevices('large/data', 12)).slice(7)).toBe('there');
  });

  test('refuses what is on a device that it was not given, until a restart gives it', async () => {
    const [primary = '', second = '', third = ''] = devices;
    await startMounter([primary, second]);
    const missing = "is on device 2 of the pool, which this node's mounter does not have";
    expect(await refusals()).toEqual([{ path: 'both', reason: missing }]);
    expect((await client.status()).pools[0]?.problem).toBeUndefined();
    const peer = await startPeer(fileAt('there'));
    try {
      await peer.ask('map');
      const [first] = mounters;
      first?.child.kill('SIGTERM');
      await first?.ended;
      await startMounter([primary, second, third]);
      expect(await refusals()).toEqual([]);
      // The same mount, by another server: what was mapped goes on.
      expect(await peer.ask('store-word 0 0badcafe')).toBe('stored');
    } finally {
      await peer.stop();
    }
  });

  test('is taken over by a mounter with a longer list', async () => {
    const [primary = '', second = ''] = devices;
    await startMounter([primary, second]);
    expect(await refusals()).toHaveLength(1);
    await startMounter(devices);
    expect(await refusals()).toEqual([]);
    expect(
      readMountInfo().filter((one) => one.mountPoint === join(mountRoot, POOL_NAME)),
    ).toHaveLength(1);
  });

  test('is served without a device that is another one, and says which', async () => {
    const [primary = '', second = '', third = ''] = devices;
    await startMounter([primary, third, second]);
    const { problem } = (await client.status()).pools[0] ?? {};
    expect(problem).toContain(`device ${third}: given as device 1, is device 2 of the pool`);
    const found = await refusals();
    expect(found?.map(({ path }) => path)).toEqual(['there', 'both']);
    expect(found?.[0]?.reason).toContain(`does not have: device ${third}: given as device 1`);
    expect(readFileSync(fileAt('here'))).toHaveLength(FILE_BYTES);
  });

  test('shows a file on a device that was added while it ran as refused', async () => {
    await startMounter(devices);
    const fourth = `${fabric.device}-3`;
    devices.push(fourth);
    famfsJson(['devadd', fabric.device, fourth, '--size', '4G']);
    make('new', 3 * GiB, []);
    expect((await refusals())?.map(({ path }) => path)).toEqual(['new']);
    const fd = openSync(fileAt('new'), 'r');
    try {
      expect(() => readSync(fd, new Uint8Array(1))).toThrow('EIO');
    } finally {
      closeSync(fd);
    }
  });
});
