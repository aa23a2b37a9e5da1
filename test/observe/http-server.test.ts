import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { type HttpOptions, startHttp } from '../../src/observe/http-server.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { rejection } from '../support/caught.ts';
import { silentLog } from '../support/silent-log.ts';

function serve(change: Partial<HttpOptions> = {}) {
  return startHttp({
    host: '127.0.0.1',
    port: 0,
    metrics: new Metrics('csi.famfs.io'),
    healthz: () => undefined,
    readyz: () => undefined,
    log: silentLog,
    ...change,
  });
}

async function get(port: number, path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return [response.status, await response.text()];
}

describe('the HTTP server', () => {
  test('answers health with ok, or with the reason why not', async () => {
    let reason: string | undefined = 'its pools are not open yet';
    await using server = await serve({ readyz: () => reason });
    expect(await get(server.port, '/healthz')).toEqual([200, 'ok\n']);
    expect(await get(server.port, '/readyz?verbose')).toEqual([503, `${reason}\n`]);
    reason = undefined;
    expect(await get(server.port, '/readyz')).toEqual([200, 'ok\n']);
  });

  test('takes a check that throws for one that says why', async () => {
    await using server = await serve({
      healthz: async () => {
        throw new Error('the mounter is gone');
      },
    });
    expect(await get(server.port, '/healthz')).toEqual([503, 'the mounter is gone\n']);
  });

  test('serves the metrics as Prometheus reads them', async () => {
    await using server = await serve();
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain('# TYPE csi_plugin_operations_seconds histogram');
  });

  test('reads only, and nothing else', async () => {
    await using server = await serve();
    expect((await get(server.port, '/'))[0]).toBe(404);
    expect((await get(server.port, '/metrics/../healthz2'))[0]).toBe(404);
    expect((await get(server.port, '/healthz', 'POST'))[0]).toBe(405);
    expect(await get(server.port, '/healthz', 'HEAD')).toEqual([200, '']);
  });

  test('listens where it is told to, and says where it cannot', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const reason = 'cannot be listened on (EADDRINUSE); give another address';
    try {
      expect(await rejection(serve({ port }))).toEqual({
        code: 'IO',
        message: `--http 127.0.0.1:${port}: ${reason}`,
      });
    } finally {
      taken.close();
    }
  });
});
