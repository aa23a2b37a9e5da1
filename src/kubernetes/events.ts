import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { ApiClient } from './api-client.ts';
import { isConflict } from './api-fault.ts';
import { Complaint } from './complaint.ts';
import { type KubeObject, type ObjectReference, PATHS } from './objects.ts';

const REPEAT_AFTER_MS = 10 * 60_000;
const REMEMBERED = 1000;
const WAITING_MAX = 100;
const MESSAGE_CHARS = 1000;

/** The reasons that events of this driver have, so that they can be looked up: docs/metrics.md. */
export const EVENT_REASONS = [
  'PoolFull',
  'PoolDamaged',
  'NodeWithoutDaxPath',
  'MemoryError',
  'PoolMountedLate',
  'QuarantineOverridden',
] as const;
export type EventReason = (typeof EVENT_REASONS)[number];

export interface Warning {
  readonly reason: EventReason;
  readonly message: string;
  /** What it is about, in words that stay while the message may change: said once for each. */
  readonly key: string;
  /**
   * The object, looked up only if this is to be said. With its namespace and uid, without which
   * `kubectl describe` does not find the event; undefined: there is nothing to tell it on.
   */
  readonly about: () => Promise<ObjectReference | undefined>;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  /** Who says it: the driver's name. */
  readonly component: string;
  /** The node or pod that it is said on. */
  readonly host: string;
  readonly log: Logger;
  readonly now?: () => number;
}

/**
 * Warnings on Kubernetes objects, for who looks there and not into a log. The same thing is said
 * once in ten minutes, however often it is noticed, and with the same event again by another
 * process: the event's name is made of what it is about. Nothing waits for an event, and none that
 * fails does any harm.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #now: () => number;
  readonly #said = new Map<string, { at: number; count: number }>();
  readonly #complaint: Complaint;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#complaint = new Complaint(options.log, 'events');
    this.#now = options.now ?? Date.now;
  }

  warn(warning: Warning): void {
    const key = `${warning.reason} ${warning.key}`;
    const before = this.#said.get(key);
    const at = this.#now();
    if (before !== undefined && at - before.at < REPEAT_AFTER_MS) return;
    if (this.#waiting >= WAITING_MAX) return;
    const count = (before?.count ?? 0) + 1;
    this.#remember(key, { at, count });
    this.#waiting++;
    this.#last = this.#last
      .then(() => this.#send(key, warning, count))
      .then(() => this.#complaint.worked())
      .catch((error: unknown) => {
        this.#said.delete(key);
        this.#complaint.failed(error);
      })
      .finally(() => {
        this.#waiting--;
      });
  }

  /** Resolves when what was said so far has been sent, or could not be. */
  flushed(): Promise<void> {
    return this.#last;
  }

  #remember(key: string, said: { at: number; count: number }): void {
    this.#said.delete(key);
    this.#said.set(key, said);
    const [oldest] = this.#said.keys();
    if (this.#said.size > REMEMBERED && oldest !== undefined) this.#said.delete(oldest);
  }

  async #send(key: string, { reason, message, about }: Warning, count: number): Promise<void> {
    const { client, component, host } = this.#options;
    const object = await about();
    if (object === undefined) return;
    const namespace = object.namespace ?? 'default';
    const events = PATHS.events(namespace);
    const name = nameOf(object, key);
    const time = new Date(this.#now()).toISOString();
    const text = message.slice(0, MESSAGE_CHARS);
    const event: KubeObject & Record<string, unknown> = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: object,
      reason,
      message: text,
      type: 'Warning',
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host,
      firstTimestamp: time,
      lastTimestamp: time,
      count,
    };
    const again = { message: text, lastTimestamp: time, ...(count > 1 ? { count } : {}) };
    try {
      await client.create(events, event);
    } catch (error) {
      if (!isConflict(error)) throw error;
      await client.patch(events, name, again);
    }
  }
}

function nameOf(about: ObjectReference, key: string): string {
  const text = JSON.stringify([about.kind, about.uid, key]);
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return `${(about.name ?? '').slice(0, 200)}.${hash}`;
}
