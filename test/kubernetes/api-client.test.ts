import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import { isConflict, isGone, isMissing } from '../../src/kubernetes/api-fault.ts';
import { PATHS } from '../../src/kubernetes/objects.ts';
import { rejection } from '../support/caught.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';

const NODES = PATHS.nodes;

async function thrown(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the promise was fulfilled');
}

class Setting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly client: ApiClient;

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.client = new ApiClient(server.endpoint, 500);
  }

  static async make(): Promise<Setting> {
    return new Setting(await FakeApiServer.start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** Answers everything with the same bytes, as a proxy in front of a server may. */
async function answering(status: number, text: string): Promise<{ server: Server; url: string }> {
  const server = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'text/html' });
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('the API client', () => {
  test('says of a failed request what was asked and what the server said', async () => {
    await using setting = await Setting.make();
    expect(await rejection(setting.client.get(NODES, 'a'))).toEqual({
      code: 'UNAVAILABLE',
      message: 'kubernetes: GET /api/v1/nodes/a: 404 NotFound: a not found',
    });
  });

  test('tells what is missing, in conflict, forgotten and forbidden apart', async () => {
    await using setting = await Setting.make();
    const { client, server } = setting;
    const node = { metadata: { name: 'a' } };
    expect(isMissing(await thrown(client.get(NODES, 'a')))).toBe(true);
    await client.create(NODES, node);
    expect(isConflict(await thrown(client.create(NODES, node)))).toBe(true);
    const stale = { metadata: { name: 'a', resourceVersion: '1' } };
    expect(isConflict(await thrown(client.replace(NODES, stale)))).toBe(true);
    const other = { metadata: { uid: 'another', labels: { x: 'y' } } };
    expect(isConflict(await thrown(client.patch(NODES, 'a', other)))).toBe(true);
    server.store.compact();
    const events = client.watch(NODES, '1', AbortSignal.timeout(5_000));
    expect(isGone(await thrown(events.next()))).toBe(true);
    server.fault = () => 403;
    expect((await rejection(client.get(NODES, 'a'))).code).toBe('PERMISSION');
  });

  test('merges a patch, removes keys by null, and leaves the status to its own path', async () => {
    await using setting = await Setting.make();
    const { client, server } = setting;
    server.store.put(NODES, { metadata: { name: 'a', labels: { old: '1', kept: '2' } } });
    await client.patch(NODES, 'a', { metadata: { labels: { old: null, made: '3' } } });
    await client.patch(NODES, 'a', { status: { phase: 'x' } }, '/status');
    await client.patch(NODES, 'a', { status: { phase: 'y' } });
    expect(server.store.find(NODES, 'a')).toMatchObject({
      metadata: { labels: { kept: '2', made: '3' } },
      status: { phase: 'x' },
    });
    expect(server.store.find(NODES, 'a')?.metadata.labels).not.toHaveProperty('old');
  });

  test('gives up on a server that does not answer, in its time', async () => {
    await using setting = await Setting.make();
    const never = new Promise<void>(() => {});
    setting.server.before = () => never;
    const found = await rejection(setting.client.get(NODES, 'a'));
    expect(found).toEqual({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^kubernetes: GET \/api\/v1\/nodes\/a: no answer in time: /),
    });
    const events = setting.client.watch(NODES, '1', new AbortController().signal);
    expect((await rejection(events.next())).code).toBe('UNAVAILABLE');
  });

  test('is UNAVAILABLE while the server is gone, and works when it is back', async () => {
    await using setting = await Setting.make();
    setting.server.isGone = true;
    expect((await rejection(setting.client.list(NODES))).code).toBe('UNAVAILABLE');
    setting.server.isGone = false;
    expect((await setting.client.list(NODES)).items).toEqual([]);
  });

  test('lists anew when the pages of a list are forgotten under it', async () => {
    await using setting = await Setting.make();
    const { client, server } = setting;
    for (let at = 0; at < 700; at++) server.store.put(NODES, { metadata: { name: `n${at}` } });
    let pages = 0;
    server.before = ({ verb }) => {
      if (verb === 'list' && ++pages === 2) server.store.compact();
      return undefined;
    };
    expect((await client.list(NODES)).items).toHaveLength(700);
    expect(pages).toBe(4);
  });

  test.each([
    [502, '<html>bad gateway</html>', '502 Bad Gateway: <html>bad gateway</html>'],
    [200, '<html>log in here</html>', 'no answer: Unexpected token'],
  ])('takes an answer %s of something else for what it is', async (status, text, expected) => {
    const { server, url } = await answering(status, text);
    using client = new ApiClient({ server: url, authorize: async () => ({}) });
    try {
      const found = await rejection(client.get(NODES, 'a'));
      expect(found.code).toBe('UNAVAILABLE');
      expect(found.message).toContain(expected);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('asks for its credentials anew with each request', async () => {
    await using setting = await Setting.make();
    let asked = 0;
    const endpoint = {
      server: setting.server.url,
      authorize: async () => {
        asked++;
        return {};
      },
    };
    using client = new ApiClient(endpoint);
    await client.list(NODES);
    await client.list(NODES);
    expect(asked).toBe(2);
  });
});
