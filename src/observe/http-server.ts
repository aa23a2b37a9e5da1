import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { codeOf, Fault, messageOf } from '../base/errors.ts';
import type { Metrics } from './metrics.ts';

/** Why not, or undefined where all is well. May throw, which is a reason too. */
export type Check = () => string | undefined | Promise<string | undefined>;

export interface HttpOptions {
  /** Undefined: on all addresses. */
  readonly host: string | undefined;
  readonly port: number;
  readonly metrics: Metrics;
  /** The process can do its work or will by itself; where it cannot, a restart may help. */
  readonly healthz: Check;
  /** What it is there for can be had from it now. */
  readonly readyz: Check;
  readonly log: Logger;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * `/metrics`, `/healthz` and `/readyz` for the cluster's own probes and scrapers: reads only, and
 * tells nothing that is secret. IO when the address cannot be had.
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, log } = options;
  const server = createServer((request, response) => {
    void answer(options, request, response).catch((error: unknown) => {
      log.warn({ err: error }, 'http');
      if (!response.headersSent) reply(response, 500, messageOf(error));
    });
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const reason = `cannot be listened on (${codeOf(error)}); give another address`;
      reject(new Fault('IO', `--http ${host ?? ''}:${port}: ${reason}`, { cause: error }));
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  log.info({ port: bound }, 'http listens');
  return {
    port: bound,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  { metrics, healthz, readyz }: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return reply(response, 405, 'GET only');
  }
  switch (request.url?.replace(/\?.*/, '')) {
    case '/metrics':
      return reply(response, 200, await metrics.text(), metrics.contentType);
    case '/healthz':
      return await replyChecked(response, healthz);
    case '/readyz':
      return await replyChecked(response, readyz);
    default:
      return reply(response, 404, '/metrics, /healthz or /readyz');
  }
}

async function replyChecked(response: ServerResponse, check: Check): Promise<void> {
  let reason: string | undefined;
  try {
    reason = await check();
  } catch (error) {
    reason = messageOf(error);
  }
  reply(response, reason === undefined ? 200 : 503, reason ?? 'ok');
}

function reply(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': contentType });
  response.end(text.endsWith('\n') ? text : `${text}\n`);
}
