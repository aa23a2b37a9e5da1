import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { endServers } from '../../src/cli/demo/fabric-users.ts';
import { connectCsi } from '../../src/csi/client.ts';
import { MounterClient } from '../../src/mounter/client.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { MAIN } from '../support/command-line.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';
import { eventually } from '../support/test-cluster.ts';

const DYING_ADDON = join(__dirname, '..', 'support', 'dying-addon.mjs');
const SYSTEM_UUID = '00000000-0000-4000-8000-00000000bbbb';

describeWith([fuse], 'mounters and a controller with one file of pools', () => {
  let scratch: Scratch;
  let device: string;
  let config: string;
  const started: { child: ChildProcess; ended: Promise<unknown> }[] = [];

  beforeEach(() => {
    scratch = new Scratch();
    device = join('/dev/shm', basename(scratch.path));
    config = scratch.join('pools.json');
    const emulated = { sizeBytes: 64 * MiB };
    const pool = { name: 'p', devices: [{ path: device }], format: 'ifBlank', emulated };
    writeFileSync(config, JSON.stringify({ pools: [pool] }));
  });

  afterEach(async () => {
    for (const { child, ended } of started.splice(0)) {
      child.kill('SIGTERM');
      await ended;
    }
    scratch[Symbol.dispose]();
    await endServers(device);
    rmSync(device, { force: true });
  });

  function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const addon = 'FAMFS_TEST_DIE_AT' in environment ? ['--import', DYING_ADDON] : [];
    const command = [...addon, MAIN, ...args, '--config', config, '--system-uuid', SYSTEM_UUID];
    const child = spawn(process.execPath, command, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let said = '';
    child.stderr.on('data', (text) => {
      said += String(text);
    });
    const ended = new Promise<string | number | null>((resolve) => {
      // Not its `close`: a server, which lives on, has the same standard error.
      child.once('exit', (code, signal) => resolve(signal ?? code));
    });
    const saidAll = new Promise<string>((resolve) => child.once('close', () => resolve(said)));
    started.push({ child, ended });
    return { ended, said: () => said, saidAll };
  }

  function startMounter(node: string, environment = {}, more: readonly string[] = []) {
    const folder = scratch.join(node);
    mkdirSync(folder, { recursive: true });
    const socket = join(folder, 'mounter.sock');
    const args = ['mounter', '--socket', socket, '--mount-root', join(folder, 'pools')];
    const meta = ['--meta-gid', String(process.getgid?.() ?? 0)];
    return {
      ...start([...args, ...meta, ...more], environment),
      client: new MounterClient(socket),
    };
  }

  test('mounters that start at once make one fabric, and all mount it', async () => {
    expect(existsSync(device)).toBe(false);
    const mounters = ['a', 'b', 'c'].map((node) => startMounter(node));
    const mounts = await Promise.all(
      mounters.map(({ client }) => eventually('it is mounted', () => client.poolMount('p', 0))),
    );
    expect(new Set(mounts.map(({ fsUuid }) => fsUuid)).size).toBe(1);
    const formatted = mounters.filter(({ said }) => said().includes('"msg":"formatted"'));
    expect(formatted).toHaveLength(1);
    expect(statSync(device).mode & 0o777).toBe(0o660);
  });

  test.each(['0.5', '1', '2.5', '3'])(
    'a mounter killed after %s stores of its mkfs is followed by one that finishes it',
    async (dieAt) => {
      const killed = startMounter('a', { FAMFS_TEST_DIE_AT: dieAt });
      expect(await killed.ended).toBe('SIGKILL');
      const next = startMounter('a');
      const mounted = await eventually('it is mounted', () => next.client.poolMount('p', 0));
      expect(mounted.logPosition).toBe(0);
      expect(next.said()).toContain('"msg":"formatted"');
    },
  );

  test('a mounter says that it is ready once it has the pools, from another one too', async () => {
    const ready = ['1', '2'].map((name) => scratch.join(`ready-${name}`));
    const [one, two] = ready.map((path) => ['--after-hand-over', 'wait', '--ready-file', path]);
    const first = startMounter('a', {}, one);
    await eventually('it is mounted', () => first.client.poolMount('p', 0));
    expect(existsSync(String(ready[0]))).toBe(true);
    // Of an earlier life of the container.
    writeFileSync(String(ready[1]), '');
    startMounter('a', {}, two);
    await eventually('it starts', () => (existsSync(String(ready[1])) ? undefined : true));
    await eventually('it is ready', () => (existsSync(String(ready[1])) ? true : undefined));
    const handedOver = () => first.said().includes('handed over: letting go') || undefined;
    await eventually('the first one lets go', handedOver);
    await first.client.poolMount('p', 0);
  });

  test('a controller opens what the mounter has made, as its master', async () => {
    const { client } = startMounter('a');
    await eventually('it is mounted', () => client.poolMount('p', 0));
    const socket = scratch.join('csi.sock');
    // The mount root is for pools on real devices: an emulated one is reached by its file.
    const args = ['--state-dir', scratch.join('state'), '--mount-root', scratch.join('none')];
    start(['controller', '--endpoint', socket, ...args]);
    const csi = connectCsi(socket, { waitForReady: true });
    try {
      await eventually('the controller answers', () => csi.identity.probe({}));
      const { volume } = await csi.controller.createVolume({
        name: 'v',
        capacity_range: { required_bytes: MiB },
        volume_capabilities: [{ mount: {}, access_mode: { mode: 'SINGLE_NODE_WRITER' } }],
        parameters: { dataPath: 'any' },
      });
      expect(volume?.volume_context.pool).toBe('p');
    } finally {
      csi.close();
    }
  });

  test.each([
    ['auto', 'by its mount', true],
    ['buffered', 'by the device, since a buffered mount shows no log', false],
  ])(
    'a controller reaches a pool on a real device with dataPath %s %s',
    async (dataPath, _, is) => {
      const root = scratch.join('pools');
      layOutMount(join(root, 'p'));
      const pool = { name: 'p', devices: [{ path: '/dev/famfs-none' }], dataPath };
      writeFileSync(config, JSON.stringify({ pools: [pool] }));
      const socket = scratch.join('csi.sock');
      const args = ['--state-dir', scratch.join('state'), '--mount-root', root];
      const { said, saidAll } = start(['controller', '--endpoint', socket, ...args]);
      const reason = '/dev/famfs-none: no such device or file';
      if (!is) return expect(await saidAll).toContain(reason);
      await eventually('it opens it', () => (said().includes('is open') ? true : undefined));
    },
  );

  /** What a mount on the dax path shows of its pool, as plain files. */
  function layOutMount(path: string): void {
    const meta = join(path, '.meta');
    mkdirSync(meta, { recursive: true });
    createEmulatedDevice(device, 64 * MiB);
    using memory = Mapping.open(device, { writable: true });
    mkfs(memory, { deviceName: 'test', systemUuid: SYSTEM_UUID });
    writeFileSync(join(meta, '.superblock'), memory.read(0, 2 * MiB));
    writeFileSync(join(meta, '.log'), memory.read(2 * MiB, 8 * MiB));
  }

  test('a device that holds something else is left alone, and the mounter says what', async () => {
    writeFileSync(device, Buffer.alloc(16 * MiB, 'XFSB'));
    const { client, said } = startMounter('a');
    const reason = `pool p on ${device}: device: holds an XFS file system`;
    await eventually('it says so', () => (said().includes(reason) ? true : undefined));
    expect((await client.status()).pools[0]?.problem).toContain(reason);
    expect(readFileSync(device).equals(Buffer.alloc(16 * MiB, 'XFSB'))).toBe(true);
  });

  test.each([
    ['mounter', ['--socket', '/nowhere/m.sock']],
    ['controller', ['--endpoint', '/nowhere/c.sock', '--state-dir', '/nowhere']],
  ])('a %s refuses a file with two pools on one device, by the key', async (name, args) => {
    const pools = ['a', 'b'].map((pool) => ({ name: pool, devices: [{ path: '/dev/dax0.0' }] }));
    writeFileSync(config, JSON.stringify({ pools }));
    const { ended, saidAll } = start([name, ...args]);
    expect([await ended, await saidAll]).toEqual([
      2,
      `famfs-csi: --config ${config}: pools[1].devices[0]: /dev/dax0.0 is given twice (also ` +
        'pools[0].devices[0]); a device has one pool\n',
    ]);
  });
});
