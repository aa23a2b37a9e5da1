import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Endpoint } from '../../src/kubernetes/endpoint.ts';
import type { KubeObject } from '../../src/kubernetes/objects.ts';
import { FakeStore, type StoredEvent } from './fake-store.ts';

/** One request as the server saw it; `verb` as RBAC has it, `resource` with its subresource. */
export interface SeenRequest {
  readonly verb: string;
  readonly resource: string;
  readonly name: string;
  readonly agent: string;
}

const ROUTE = new RegExp(
  '^(?<collection>(?:/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/(?<plural>[a-z]+))' +
    '(?:/(?<name>[^/]+))?(?<sub>/status)?$',
);

interface Watching {
  readonly collection: string;
  readonly response: ServerResponse;
}

/**
 * As much of a Kubernetes API server as this driver uses, on loopback: objects with resource
 * versions, list with pages, watch, merge patch, the status subresource, conflicts. And what real
 * ones do on bad days: drop watches, forget the past, be slow, fail, be gone.
 */
export class FakeApiServer implements AsyncDisposable {
  readonly store = new FakeStore();
  readonly seen: SeenRequest[] = [];
  /** Answers a request with this status in place of doing it; undefined: do it. */
  fault: (request: SeenRequest) => number | undefined = () => undefined;
  /** A request waits for this before it is done. */
  before: (request: SeenRequest) => Promise<void> | undefined = () => undefined;
  /** A request that was done waits for this before it is answered. */
  after: (request: SeenRequest) => Promise<void> | undefined = () => undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #watching = new Set<Watching>();
  #isGone = false;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch((error: unknown) => {
        refuse(response, 500, 'InternalError', String(error));
      });
    });
    this.#server.on('connection', (socket) => {
      if (this.#isGone) return socket.destroy();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      return undefined;
    });
    this.store.onEvent = (event) => {
      for (const { collection, response } of this.#watching) {
        if (collection === event.collection) response.write(line(event));
      }
    };
  }

  static async start(): Promise<FakeApiServer> {
    const server = new FakeApiServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get endpoint(): Endpoint {
    return { server: this.url, authorize: async () => ({ headers: {} }) };
  }

  get watches(): number {
    return this.#watching.size;
  }

  /** Ends all watches in the middle, as a proxy or a restarted server does. */
  dropWatches(): void {
    for (const { response } of this.#watching) response.destroy();
  }

  /** Ends all watches in order, as the real one does after the time that a client asked for. */
  endWatches(): void {
    for (const { response } of this.#watching) response.end();
    this.#watching.clear();
  }

  /** Tells watchers that nothing happened up to now. */
  bookmark(): void {
    const metadata = { resourceVersion: this.store.resourceVersion, name: '' };
    for (const { response } of this.#watching) {
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
    }
  }

  /** Gone: connections end, new ones are refused; until `set isGone(false)`. */
  set isGone(isGone: boolean) {
    this.#isGone = isGone;
    if (isGone) for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const route = ROUTE.exec(url.pathname)?.groups;
    if (route === undefined) return refuse(response, 404, 'NotFound', url.pathname);
    const { collection = '', plural = '', sub = '' } = route;
    const name = decodeURIComponent(route.name ?? '');
    const isWatch = url.searchParams.get('watch') === '1';
    const agent = request.headers['user-agent'] ?? '';
    const verb = isWatch ? 'watch' : verbOf(request.method, name);
    const seen = { verb, resource: `${plural}${sub}`, name, agent };
    this.seen.push(seen);
    const body = await bodyOf(request);
    await this.before(seen);
    const fault = this.fault(seen);
    if (fault !== undefined) return refuse(response, fault, `Fault${fault}`, 'injected');
    if (isWatch) return this.#watch(collection, url.searchParams, response);
    let answer: Answer;
    try {
      answer = this.#do(verb, collection, name, sub, url.searchParams, body);
    } catch (error) {
      const { status = 500, reason = 'InternalError', message } = error as StoreFault;
      answer = { status, body: { kind: 'Status', code: status, reason, message } };
    }
    await this.after(seen);
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer.body));
  }

  #do(
    verb: string,
    collection: string,
    name: string,
    sub: string,
    query: URLSearchParams,
    body: KubeObject,
  ): Answer {
    const { store } = this;
    if (verb === 'list') {
      const limit = Number(query.get('limit') ?? 0);
      return { status: 200, body: store.list(collection, limit, query.get('continue') ?? '') };
    }
    if (verb === 'get') return { status: 200, body: store.get(collection, name) };
    if (verb === 'create') return { status: 201, body: store.create(collection, body) };
    if (verb === 'update') return { status: 200, body: store.replace(collection, name, body) };
    if (verb === 'patch') {
      return { status: 200, body: store.patch(collection, name, body, sub === '/status') };
    }
    return { status: 405, body: { kind: 'Status', code: 405, message: verb } };
  }

  #watch(collection: string, query: URLSearchParams, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const events = this.store.since(collection, Number(query.get('resourceVersion')));
    if (events === undefined) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    for (const event of events) response.write(line(event));
    const watching = { collection, response };
    this.#watching.add(watching);
    response.on('close', () => this.#watching.delete(watching));
  }
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

interface StoreFault {
  readonly status?: number;
  readonly reason?: string;
  readonly message?: string;
}

function verbOf(method: string | undefined, name: string): string {
  if (method === 'GET') return name === '' ? 'list' : 'get';
  return { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }[method ?? ''] ?? '';
}

async function bodyOf(request: IncomingMessage): Promise<KubeObject> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return (text === '' ? {} : JSON.parse(text)) as KubeObject;
}

function line({ type, object }: StoredEvent): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function refuse(response: ServerResponse, code: number, reason: string, message: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', code, reason, message }));
}
