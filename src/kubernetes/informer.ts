import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ApiClient, WatchEvent } from './api-client.ts';
import { isGone } from './api-fault.ts';
import { Complaint } from './complaint.ts';
import type { KubeObject } from './objects.ts';

const FIRST_BACKOFF_MS = 200;
const LONGEST_BACKOFF_MS = 10_000;

export interface InformerOptions {
  readonly client: ApiClient;
  readonly collection: string;
  readonly log: Logger;
  /** What is kept of an object, where it has much that nobody asks for. */
  readonly keep?: (object: KubeObject) => KubeObject;
  /** Told after each change, and after a list that replaced everything. */
  readonly onChange?: () => void;
}

/**
 * A copy of a collection that follows the server: a list, then a watch from there. It may be behind
 * (while the server is away, for as long as that lasts), so nothing is decided on it that a late
 * answer makes wrong: see `ApiClient.list` for that.
 */
export class Informer<T extends KubeObject> implements AsyncDisposable {
  /** Resolves with the first list. */
  readonly synced: Promise<void>;
  readonly #options: InformerOptions;
  readonly #complaint: Complaint;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #items = new Map<string, T>();
  #resourceVersion: string | undefined;
  #isSynced = false;
  #resolveSynced: () => void = () => {};

  constructor(options: InformerOptions) {
    this.#options = options;
    this.#complaint = new Complaint(options.log, `watch of ${options.collection}`);
    this.synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
    this.#running = this.#run(this.#stopping.signal);
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** By name: what is informed about is not namespaced. */
  items(): ReadonlyMap<string, T> {
    return this.#items;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Never throws. */
  async #run(signal: AbortSignal): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS;
    while (!signal.aborted) {
      const begin = performance.now();
      try {
        if (this.#resourceVersion === undefined) await this.#list();
        await this.#watch(signal);
        // The server ends a watch after a while: the next one goes on where this one ended.
        if (performance.now() - begin > FIRST_BACKOFF_MS) {
          backoffMs = FIRST_BACKOFF_MS;
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (isGone(error)) this.#resourceVersion = undefined;
        else this.#complaint.failed(error);
        if (performance.now() - begin > LONGEST_BACKOFF_MS) backoffMs = FIRST_BACKOFF_MS;
      }
      // Half of it by chance: many nodes must not come back to a server at the same moment.
      const pauseMs = backoffMs * (0.5 + Math.random() / 2);
      await delay(pauseMs, undefined, { signal }).catch(() => {});
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  }

  async #list(): Promise<void> {
    const { client, collection } = this.#options;
    const { items, metadata } = await client.list<T>(collection);
    this.#items = new Map(items.map((item) => [item.metadata.name, this.#kept(item)]));
    this.#resourceVersion = metadata?.resourceVersion ?? '0';
    this.#isSynced = true;
    this.#complaint.worked();
    this.#resolveSynced();
    this.#options.onChange?.();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, collection, onChange } = this.#options;
    const from = this.#resourceVersion ?? '0';
    for await (const event of client.watch<T>(collection, from, signal)) {
      this.#apply(event);
      this.#complaint.worked();
      if (event.type !== 'BOOKMARK') onChange?.();
    }
  }

  #apply({ type, object }: WatchEvent<T>): void {
    const { name, resourceVersion } = object.metadata;
    if (type === 'DELETED') this.#items.delete(name);
    else if (type !== 'BOOKMARK') this.#items.set(name, this.#kept(object));
    this.#resourceVersion = resourceVersion ?? this.#resourceVersion;
  }

  #kept(object: T): T {
    const { keep } = this.#options;
    return keep === undefined ? object : (keep(object) as T);
  }
}
