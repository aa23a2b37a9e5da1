import { describe, expect, test } from '@jest/globals';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { EventRecorder, type Warning } from '../../src/kubernetes/events.ts';
import { type KubeObject, PATHS } from '../../src/kubernetes/objects.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { silentLog } from '../support/silent-log.ts';

const EVENTS = PATHS.events('default');

class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;
  nowMs = 1_000_000;

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 1_000);
  }

  static async make(): Promise<Setting> {
    return new Setting(await FakeApiServer.start());
  }

  recorder(): EventRecorder {
    const { client } = this;
    const names = { component: 'csi.famfs.io', host: 'node-a' };
    return new EventRecorder({ client, ...names, log: silentLog, now: () => this.nowMs });
  }

  events(): (KubeObject & Record<string, unknown>)[] {
    return this.server.store.all(EVENTS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

function warning(change: Partial<Warning> = {}): Warning {
  return {
    reason: 'MemoryError',
    key: 'p on node-a',
    message: 'pool p: its memory failed',
    about: async () => ({ apiVersion: 'v1', kind: 'Node', name: 'node-a', uid: 'u1' }),
    ...change,
  };
}

describe('an event', () => {
  test('says what, on what, and who says it', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    recorder.warn(warning());
    await recorder.flushed();
    expect(setting.events()).toMatchObject([
      {
        kind: 'Event',
        type: 'Warning',
        reason: 'MemoryError',
        message: 'pool p: its memory failed',
        involvedObject: { kind: 'Node', name: 'node-a', uid: 'u1' },
        source: { component: 'csi.famfs.io', host: 'node-a' },
        reportingComponent: 'csi.famfs.io',
        count: 1,
      },
    ]);
  });

  test('is said once and not per retry, though the message has other figures', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    for (let retry = 0; retry < 20; retry++) {
      recorder.warn(warning({ message: `try ${retry}` }));
      setting.nowMs += 1_000;
    }
    await recorder.flushed();
    expect(setting.events()).toHaveLength(1);
    expect(setting.server.seen).toHaveLength(1);
  });

  test('is counted up when it is still so after ten minutes, with its new message', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    recorder.warn(warning());
    setting.nowMs += 10 * 60_000;
    recorder.warn(warning({ message: 'still' }));
    await recorder.flushed();
    expect(setting.events()).toMatchObject([{ count: 2, message: 'still' }]);
  });

  test('is made anew when the server has dropped it', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    recorder.warn(warning());
    await recorder.flushed();
    setting.server.store.delete(EVENTS, setting.events()[0]?.metadata.name ?? '');
    setting.nowMs += 3_600_000;
    recorder.warn(warning());
    await recorder.flushed();
    expect(setting.events()).toHaveLength(1);
  });

  test('is the same event of another process', async () => {
    await using setting = await Setting.make();
    for (const recorder of [setting.recorder(), setting.recorder()]) {
      recorder.warn(warning());
      await recorder.flushed();
    }
    expect(setting.events()).toHaveLength(1);
  });

  test('is another one for another object, reason or subject', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    recorder.warn(warning());
    recorder.warn(warning({ reason: 'PoolMountedLate' }));
    recorder.warn(warning({ key: 'q on node-a' }));
    await recorder.flushed();
    expect(setting.events()).toHaveLength(3);
  });

  test('that could not be written is tried again with the next notice', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    setting.server.fault = () => 500;
    recorder.warn(warning());
    await recorder.flushed();
    expect(setting.events()).toEqual([]);
    setting.server.fault = () => undefined;
    recorder.warn(warning());
    await recorder.flushed();
    expect(setting.events()).toHaveLength(1);
  });

  test('is not written about what is not there', async () => {
    await using setting = await Setting.make();
    const recorder = setting.recorder();
    recorder.warn(warning({ about: async () => undefined }));
    await recorder.flushed();
    expect(setting.events()).toEqual([]);
  });
});
