import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { type CsiClient, connectCsi } from '../../src/csi/client.ts';
import { type RpcServer, type ServerOptions, startServer } from '../../src/csi/server.ts';

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** A server on a unix socket in a folder of its own, a client of it, and what it has logged. */
export interface Harness extends AsyncDisposable {
  readonly socketPath: string;
  readonly server: RpcServer;
  readonly client: CsiClient;
  readonly log: readonly LogLine[];
}

export async function serve(services: ServerOptions['services']): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), 'famfs-csi-rpc-'));
  const socketPath = join(folder, 'csi.sock');
  const log: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line) => log.push(JSON.parse(line)) });
  const server = await startServer({ socketPath, logger, services });
  const client = connectCsi(socketPath, { timeoutMs: 20_000 });
  const dispose = async () => {
    client.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { socketPath, server, client, log, [Symbol.asyncDispose]: dispose };
}

/** `CODE: details` of the error that the call rejects with. */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { code, details } = error as ServiceError;
    return `${status[code]}: ${details}`;
  }
  throw new Error('the call succeeded, expected it to fail');
}

/** The lines that requests left, without those of the server itself. */
export function rpcLines(log: readonly LogLine[]): LogLine[] {
  return log.filter((line) => line.msg === 'rpc');
}

/** A promise that the test settles. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}
