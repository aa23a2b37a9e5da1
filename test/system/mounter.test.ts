import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { endServers } from '../../src/cli/demo/fabric-users.ts';
import { POOL } from '../../src/cli/demo/local-cluster.ts';
import { MounterClient } from '../../src/mounter/client.ts';
import { mountsAt, readMountInfo, unmount } from '../../src/native/mounts.ts';
import { Fabric } from '../support/controller-process.ts';
import { startPeer } from '../support/mapping-peer.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually, MAIN, TestCluster } from '../support/test-cluster.ts';

describeWith([fuse], 'the mounter process', () => {
  let folder: string;
  let fabric: Fabric;
  const started: { child: ChildProcess; ended: Promise<unknown> }[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'famfs-mounter-test-'));
    fabric = new Fabric(64 * MiB);
  });

  afterEach(async () => {
    for (const { child, ended } of started.splice(0)) {
      child.kill('SIGTERM');
      await ended;
    }
    const below = readMountInfo().filter((one) => one.mountPoint.startsWith(folder));
    for (const { mountPoint } of below) unmount(mountPoint, { detach: true });
    await endServers(fabric.device);
    await fabric[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  function start(socket: string, mountRoot: string) {
    const args = ['--socket', socket, '--mount-root', mountRoot, '--pool', `p=${fabric.device}`];
    const child = spawn(process.execPath, [MAIN, 'mounter', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (text) => {
      said += String(text);
    });
    const ended = new Promise<{ code: number | null; said: string }>((resolve) => {
      child.once('exit', (code) => resolve({ code, said }));
    });
    started.push({ child, ended });
    return { child, ended };
  }

  test('ends with the reason, and mounts nothing, where its socket cannot be', async () => {
    const root = join(folder, 'root');
    const socket = join(folder, 'none', 'mounter.sock');
    const mounter = start(socket, root);
    const { code, said } = await mounter.ended;
    expect(code).toBe(2);
    expect(said).toBe(
      `famfs-csi: socket ${socket}: cannot be listened on (EACCES); its directory has to be ` +
        'there\n',
    );
    expect(readMountInfo().filter((one) => one.mountPoint.startsWith(root))).toEqual([]);
  });

  test('mounts below a mount root behind a symbolic link', async () => {
    const real = join(folder, 'real');
    mkdirSync(real);
    symlinkSync(real, join(folder, 'link'));
    const socket = join(folder, 'mounter.sock');
    start(socket, join(folder, 'link', 'root'));
    const client = new MounterClient(socket);
    const mounted = await eventually('it is mounted', () => client.poolMount('p', 0));
    expect(mounted.mountPoint).toBe(join(real, 'root', 'p'));
    expect(mountsAt(mounted.mountPoint)).toHaveLength(1);
  });
});

describeWith([fuse], 'a mounter whose server keeps dying', () => {
  test('answers as soon as a successor serves, and leaves a server when it ends', async () => {
    const cluster = await TestCluster.start(1, 64 * MiB);
    try {
      const [node] = cluster.nodes;
      if (node === undefined) throw new Error('no node');
      const { local, mounter } = node;
      const volume = await cluster.createVolume('vol', MiB);
      const peer = await startPeer(join(await cluster.publish(volume, 0), 'data'));
      try {
        await peer.ask('map');
        const log = join(cluster.local.logs, `${local.name}-mounter.log`);
        const deaths = () =>
          readFileSync(log, 'utf8').split('server ended with SIGKILL').length - 1;
        const { keeperPid } = await mounter.status();
        // Each death doubles the pause before the successor, up to seconds.
        for (let death = 1; death <= 5; death++) {
          const { serverPid } = await eventually('it serves', async () => {
            const status = await cluster.poolStatus(0);
            return status.mount && status.serverPid ? status : undefined;
          });
          process.kill(Number(serverPid), 'SIGKILL');
          await eventually('its death is noticed', () => (deaths() === death ? true : undefined));
          // The question comes while there is no server: it waits for the next one, and no longer.
          if (death < 5) expect((await mounter.poolMount(POOL, 0)).dataPath).toBe('buffered');
        }
        process.kill(keeperPid, 'SIGTERM');
        await eventually('the mounter ends', () => {
          const said = readFileSync(log, 'utf8');
          return said.includes('letting go') && !isRunning(keeperPid) ? true : undefined;
        });
        // A page that was never touched needs a server.
        expect(await peer.ask('await-word 524288 00000000')).toBe('saw 00000000');
        cluster.local.startMounter(local);
        await eventually('the next keeper serves', () => mounter.poolMount(POOL, 0));
        expect(mountsAt(join(local.mountRoot, POOL))).toHaveLength(1);
        expect(await peer.ask('store-word 0 beef')).toBe('stored');
      } finally {
        await peer.stop();
      }
    } finally {
      await cluster.stop();
    }
  });
});

/** A zombie has ended: its parent, this process, reaps it in time. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
