import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { MiB } from '../../src/base/numbers.ts';
import { MounterClient } from '../../src/mounter/client.ts';
import { Keeper } from '../../src/mounter/keeper.ts';
import { rejection } from '../support/caught.ts';
import { Fabric } from '../support/controller-process.ts';
import { describeWith, fuse } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';
import { eventually } from '../support/test-cluster.ts';

/** In place of a server: one that never says that it serves. */
const SILENT = [process.execPath, '-e', 'setInterval(() => {}, 1000)'];

describeWith([fuse], 'a mounter whose server starts and does not serve', () => {
  test('says so within its patience, to who asks for the pool and for all', async () => {
    await using fabric = new Fabric(64 * MiB);
    using scratch = new Scratch();
    const socketPath = scratch.join('mounter.sock');
    await using _ = await Keeper.start({
      socketPath,
      mountRoot: scratch.join('pools'),
      pools: [{ name: 'p', devices: [fabric.device] }],
      dataPath: 'buffered',
      metaGid: 0,
      serverCommand: SILENT,
      log: pino({ level: 'silent' }),
    });
    const client = new MounterClient(socketPath);
    const pid = await eventually('its server is spawned', async () => {
      return (await client.status()).pools[0]?.serverPid;
    });
    try {
      const [status, refused, unknown] = await Promise.all([
        client.status(),
        rejection(client.poolMount('p', 0)),
        rejection(client.references('p', 0)),
      ]);
      const starting = new RegExp(
        `not mounted yet; server ${pid}: started \\d+ s ago and does not serve yet: it waits for ` +
          "the mount's last server to end, or reads the pool's log; no answer in \\d+ ms",
      );
      expect(status.pools[0]).toMatchObject({ serverPid: pid, serverRestarts: 0 });
      expect(status.pools[0]?.problem).toMatch(starting);
      for (const { code, message } of [refused, unknown]) {
        expect(code).toBe('UNAVAILABLE');
        expect(message).toMatch(/^pool p: .* log position 0 is needed; retry/);
        expect(message).toMatch(starting);
      }
    } finally {
      process.kill(pid, 'SIGKILL');
    }
  });
});
