import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { endServers, findServers, noteServer } from '../../src/mounter/find-server.ts';
import { FuseDevice } from '../../src/native/fuse-device.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { eventually } from '../support/test-cluster.ts';

/** No connection has this number: what is found is found by note alone. */
const CONNECTION = '0:999999';

let device: FuseDevice;
let children: ChildProcess[];

beforeEach(() => {
  device = FuseDevice.open();
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  device[Symbol.dispose]();
});

/** A process that sleeps, with the descriptor where a server has it. */
async function start(program: string, ...args: string[]): Promise<number> {
  const child = spawn('python3', ['-c', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ignore', device.fd],
  });
  children.push(child);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child.pid as number;
}

const SLEEPS = 'import signal; print(1, flush=True); signal.pause()';
const DEAF = `import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); ${SLEEPS.slice(15)}
while True: signal.pause()`;

describeWith([fuse], 'a server on a kernel that does not name connections', () => {
  test('is found by the note of its keeper', async () => {
    const pid = await start(SLEEPS, 'serve');
    const noted = noteServer(pid);
    expect(findServers(CONNECTION, noted)).toEqual([{ pid, fd: 4 }]);
    expect(findServers(CONNECTION, undefined)).toEqual([]);
  });

  test('is not a later process with its id, nor one that is no server', async () => {
    const pid = await start(SLEEPS, 'serve');
    const other = await start(SLEEPS, 'something');
    expect(findServers(CONNECTION, { pid, start: '1' })).toEqual([]);
    expect(findServers(CONNECTION, noteServer(other))).toEqual([]);
  });

  test('has ended when it was told to, also one that does not listen', async () => {
    for (const program of [SLEEPS, DEAF]) {
      const pid = await start(program, 'serve');
      const noted = noteServer(pid);
      await endServers(() => findServers(CONNECTION, noted));
      expect(findServers(CONNECTION, noted)).toEqual([]);
      await eventually('it is gone', () => (existsSync(`/proc/${pid}`) ? undefined : true));
    }
  });
});
