import { once } from 'node:events';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { codeOf, messageOf } from '../base/errors.ts';
import { ApiFault, isGone } from './api-fault.ts';
import type { Endpoint } from './endpoint.ts';
import type { KubeList, KubeObject } from './objects.ts';

const TIMEOUT_MS = 10_000;
const PAGE_ITEMS = 500;
/** A server that went away without a word is noticed when a watch has to end. */
const WATCH_SECONDS = 120;
const WATCH_GRACE_MS = 15_000;
const LONGEST_ERROR_BYTES = 64 * 1024;

export interface WatchEvent<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

interface RequestInit {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

/**
 * The few requests that this driver makes of a Kubernetes API server. Every one ends: with an
 * answer, or as an `ApiFault`, after `timeoutMs` at the latest.
 */
export class ApiClient implements Disposable {
  readonly #endpoint: Endpoint;
  readonly #timeoutMs: number;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(endpoint: Endpoint, timeoutMs = TIMEOUT_MS) {
    this.#endpoint = endpoint;
    this.#timeoutMs = timeoutMs;
    const isTls = endpoint.server.startsWith('https:');
    this.#agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true });
  }

  get<T extends KubeObject>(collection: string, name: string): Promise<T> {
    return this.#json<T>('GET', `${collection}/${encodeURIComponent(name)}`);
  }

  /**
   * All objects of a collection as they are now, page by page; with the resource version from which
   * a watch goes on. Never from the server's cache: what is decided on is not older than the call.
   */
  async list<T extends KubeObject>(collection: string): Promise<KubeList<T>> {
    for (let retries = 0; ; retries++) {
      try {
        return await this.#pages<T>(collection);
      } catch (error) {
        // The pages of a list are of one moment, which the server may have forgotten meanwhile.
        if (!isGone(error) || retries === 3) throw error;
      }
    }
  }

  async #pages<T extends KubeObject>(collection: string): Promise<KubeList<T>> {
    const items: T[] = [];
    let token = '';
    for (;;) {
      const query = new URLSearchParams({ limit: `${PAGE_ITEMS}` });
      if (token !== '') query.set('continue', token);
      const page = await this.#json<KubeList<T> & KubeObject>('GET', `${collection}?${query}`);
      items.push(...page.items);
      token = page.metadata.continue ?? '';
      if (token === '') return { metadata: page.metadata, items };
    }
  }

  create<T extends KubeObject>(collection: string, object: T): Promise<T> {
    return this.#json<T>('POST', collection, object);
  }

  /** Conflict unless the object is still of the resource version that it carries. */
  replace<T extends KubeObject>(collection: string, object: T): Promise<T> {
    const { name } = object.metadata;
    return this.#json<T>('PUT', `${collection}/${encodeURIComponent(name)}`, object);
  }

  /** A JSON merge patch; `null` removes a key. With a resource version in it: as `replace`. */
  patch<T extends KubeObject>(
    collection: string,
    name: string,
    patch: object,
    subresource: '' | '/status' = '',
  ): Promise<T> {
    const path = `${collection}/${encodeURIComponent(name)}${subresource}`;
    return this.#json<T>('PATCH', path, patch, 'application/merge-patch+json');
  }

  /**
   * What has happened in a collection since that resource version, until the server ends the watch
   * (after two minutes at most) or the signal aborts. Gone when it no longer knows.
   */
  async *watch<T extends KubeObject>(
    collection: string,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const query = new URLSearchParams({
      watch: '1',
      resourceVersion,
      allowWatchBookmarks: 'true',
      timeoutSeconds: `${WATCH_SECONDS}`,
    });
    const path = `${collection}?${query}`;
    const limit = AbortSignal.timeout(WATCH_SECONDS * 1000 + WATCH_GRACE_MS);
    const either = AbortSignal.any([signal, limit]);
    const response = await this.#send({ method: 'GET', path, signal: either }, this.#timeoutMs);
    try {
      for await (const line of linesOf(response)) {
        yield decodeEvent<T>(line, `WATCH ${collection}`);
      }
    } catch (error) {
      throw asFault(error, `WATCH ${collection}`);
    } finally {
      response.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #json<T>(method: string, path: string, body?: object, contentType?: string): Promise<T> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const response = await this.#send({
      method,
      path,
      signal,
      ...(body ? { body, contentType: contentType ?? 'application/json' } : {}),
    });
    try {
      return JSON.parse(await textOf(response)) as T;
    } catch (error) {
      throw asFault(signal.aborted ? signal.reason : error, `${method} ${path}`);
    }
  }

  /** The response, its body still to be read; ApiFault for every status but 2xx. */
  async #send(init: RequestInit, patienceMs?: number): Promise<IncomingMessage> {
    const { method, path, body, contentType, signal } = init;
    const what = `${method} ${path.replace(/\?.*/, '')}`;
    let response: IncomingMessage;
    try {
      const { headers, ...tls } = await this.#endpoint.authorize();
      const url = new URL(this.#endpoint.server.replace(/\/$/, '') + path);
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const request = send(url, {
        ...tls,
        method,
        signal,
        agent: this.#agent,
        headers: {
          ...(headers as Record<string, string> | undefined),
          accept: 'application/json',
          'user-agent': 'famfs-csi',
          ...(payload ? { 'content-type': contentType, 'content-length': payload.length } : {}),
        },
      });
      // Until there is a response; a watch then lasts.
      if (patienceMs !== undefined) {
        const late = () => request.destroy(new Error(`no answer in ${patienceMs} ms`));
        const timer = setTimeout(late, patienceMs);
        request.once('close', () => clearTimeout(timer));
        request.once('response', () => clearTimeout(timer));
      }
      request.end(payload);
      [response] = (await once(request, 'response')) as [IncomingMessage];
      // Without a listener, an error after the response would end the process.
      request.on('error', () => {});
    } catch (error) {
      throw asFault(signal.aborted ? signal.reason : error, what);
    }
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw await refusal(response, statusCode, what);
  }
}

async function textOf(response: IncomingMessage, limitBytes = Number.MAX_SAFE_INTEGER) {
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    lengthBytes += chunk.length;
    if (lengthBytes > limitBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Not by node:readline, which keeps quiet about a connection that broke. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line.trim() !== '');
  }
}

/** A server says what is wrong in a Status object; a proxy in between says anything. */
async function refusal(response: IncomingMessage, status: number, what: string): Promise<ApiFault> {
  const text = await textOf(response, LONGEST_ERROR_BYTES).catch(() => '');
  try {
    const { reason = '', message = '' } = JSON.parse(text) as { reason?: string; message?: string };
    return new ApiFault(what, status, reason, message);
  } catch {
    return new ApiFault(what, status, response.statusMessage ?? '', text.slice(0, 200));
  }
}

function asFault(error: unknown, what: string): ApiFault {
  if (error instanceof ApiFault) return error;
  const isTimeout = (error as { name?: unknown } | null)?.name === 'TimeoutError';
  const reason = isTimeout ? 'no answer in time' : (codeOf(error) ?? 'no answer');
  return new ApiFault(what, 0, reason, messageOf(error), error);
}

function decodeEvent<T extends KubeObject>(line: string, what: string): WatchEvent<T> {
  const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: ErrorStatus };
  if (event.type !== 'ERROR') return event;
  const { code = 500, reason = '', message = '' } = event.object;
  throw new ApiFault(what, code, reason, message);
}

interface ErrorStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}
