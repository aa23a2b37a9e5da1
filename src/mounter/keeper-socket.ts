import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';
import { codeOf, Fault, isFault, messageOf } from '../base/errors.ts';
import { decodeRequest, parseLine, type Reply, type Request } from './protocol.ts';

/** Who asks, on one connection. */
export interface Asker {
  /** Aborted when the connection ends, on whichever side. */
  readonly gone: AbortSignal;
  /** Ends the connection. */
  drop(): void;
}

type Handle = (request: Request, asker: Asker) => Promise<unknown>;

/** Answers the mounter's socket: reads requests, asks `handle`, writes replies. */
export class KeeperSocket implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #closed: Promise<void> | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens, for root only. A socket file whose process is gone is replaced. IO if it cannot. */
  static async listen(path: string, handle: Handle, log: Logger): Promise<KeeperSocket> {
    rmSync(path, { force: true });
    const server = createServer();
    const socket = new KeeperSocket(server);
    server.on('connection', (connection) => {
      socket.#connections.add(connection);
      const gone = new AbortController();
      connection.on('close', () => {
        socket.#connections.delete(connection);
        gone.abort();
      });
      const asker: Asker = { gone: gone.signal, drop: () => connection.destroy() };
      connection.on('error', (error) => log.debug({ code: codeOf(error) }, 'client went away'));
      const lines = createInterface({ input: connection });
      lines.on('error', () => {});
      lines.on('line', async (line) => {
        const answer = await answerLine(line, asker, handle, log);
        if (!connection.destroyed) connection.write(`${JSON.stringify(answer)}\n`);
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

  /** Leaves the path to another keeper; connections go on. Idempotent. */
  stopListening(): void {
    // Closing removes the file, too: a second time it would be the other's.
    this.#closed ??= new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stopListening();
    for (const connection of this.#connections) connection.destroy();
    await this.#closed;
  }
}

async function answerLine(line: string, asker: Asker, handle: Handle, log: Logger): Promise<Reply> {
  let id = 0;
  try {
    const message = parseLine(line);
    id = idOf(message);
    return { id, ok: true, result: await handle(decodeRequest(message), asker) };
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
