import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';
import { codeOf, Fault, isFault, messageOf } from '../base/errors.ts';
import { decodeRequest, parseLine, type Reply, type Request } from './protocol.ts';

/** Answers the mounter's socket: reads requests, asks `handle`, writes replies. */
export class KeeperSocket implements AsyncDisposable {
  readonly #server: Server;
  readonly #path: string;
  readonly #connections = new Set<Socket>();

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** Listens, for root only. A socket file whose process is gone is replaced. IO if it cannot. */
  static async listen(
    path: string,
    handle: (request: Request) => Promise<unknown>,
    log: Logger,
  ): Promise<KeeperSocket> {
    rmSync(path, { force: true });
    const server = createServer();
    const socket = new KeeperSocket(server, path);
    server.on('connection', (connection) => {
      socket.#connections.add(connection);
      connection.on('close', () => socket.#connections.delete(connection));
      connection.on('error', (error) => log.debug({ code: codeOf(error) }, 'client went away'));
      const lines = createInterface({ input: connection });
      lines.on('error', () => {});
      lines.on('line', async (line) => {
        const answer = await answerLine(line, handle, log);
        connection.write(`${JSON.stringify(answer)}\n`);
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const reason = `cannot be listened on (${codeOf(error)}); its directory has to be there`;
        reject(new Fault('IO', `socket ${path}: ${reason}`, { cause: error }));
      });
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
    rmSync(this.#path, { force: true });
  }
}

async function answerLine(
  line: string,
  handle: (request: Request) => Promise<unknown>,
  log: Logger,
): Promise<Reply> {
  let id = 0;
  try {
    const message = parseLine(line);
    id = idOf(message);
    return { id, ok: true, result: await handle(decodeRequest(message)) };
  } catch (error) {
    if (!isFault(error)) log.error({ err: error }, 'a request failed');
    const code = isFault(error) ? error.code : 'INTERNAL';
    return { id, ok: false, error: { code, message: messageOf(error) } };
  }
}

function idOf(message: unknown): number {
  const id = (message as { id?: unknown } | null)?.id;
  return Number.isSafeInteger(id) ? (id as number) : 0;
}
