import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../../src/kubernetes/objects.ts';

export interface StoredEvent {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly collection: string;
  readonly object: KubeObject;
}

type Loose = Record<string, unknown>;

class StatusError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** The objects of a `FakeApiServer` with their history, by the rules of the real one. */
export class FakeStore {
  onEvent: (event: StoredEvent) => void = () => {};
  readonly #collections = new Map<string, Map<string, KubeObject>>();
  readonly #snapshots = new Map<string, readonly KubeObject[]>();
  #history: StoredEvent[] = [];
  #version = 100;
  #forgottenUpTo = 0;

  get resourceVersion(): string {
    return String(this.#version);
  }

  /** What the real one does every five minutes: what was before is not known any more. */
  compact(): void {
    this.#forgottenUpTo = this.#version;
    this.#history = [];
    this.#snapshots.clear();
  }

  all<T extends KubeObject>(collection: string): T[] {
    return [...this.#objects(collection).values()] as T[];
  }

  find<T extends KubeObject>(collection: string, name: string): T | undefined {
    return this.#objects(collection).get(name) as T | undefined;
  }

  get(collection: string, name: string): KubeObject {
    const found = this.find(collection, name);
    if (found === undefined) throw new StatusError(404, 'NotFound', `${name} not found`);
    return found;
  }

  list(collection: string, limit: number, token: string): object {
    const [version = this.resourceVersion, offsetText = '0'] = token === '' ? [] : token.split(':');
    const key = `${collection}@${version}`;
    if (token === '') this.#snapshots.set(key, this.all(collection));
    const items = this.#snapshots.get(key);
    if (items === undefined) throw new StatusError(410, 'Expired', 'the list is too old');
    const offset = Number(offsetText);
    const end = limit > 0 ? offset + limit : items.length;
    const more = end < items.length ? { continue: `${version}:${end}` } : {};
    return { metadata: { resourceVersion: version, ...more }, items: items.slice(offset, end) };
  }

  /** As a client's POST: without a status, which has a path of its own. */
  create(collection: string, body: KubeObject): KubeObject {
    const { name } = body.metadata;
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
      throw new StatusError(422, 'Invalid', `metadata.name: ${name}`);
    }
    if (this.find(collection, name) !== undefined) {
      throw new StatusError(409, 'AlreadyExists', `${name} already exists`);
    }
    const { status: _, ...rest } = body as KubeObject & { status?: unknown };
    return this.#store('ADDED', collection, withMeta(rest, { uid: randomUUID() }));
  }

  replace(collection: string, name: string, body: KubeObject): KubeObject {
    const there = this.get(collection, name);
    this.#checkVersion(there, body);
    const { uid } = there.metadata;
    const status = (there as { status?: unknown }).status;
    const next = { ...body, ...(status === undefined ? {} : { status }) };
    return this.#store('MODIFIED', collection, withMeta(next, uid === undefined ? {} : { uid }));
  }

  patch(collection: string, name: string, patch: KubeObject, isStatus: boolean): KubeObject {
    const there = this.get(collection, name);
    this.#checkVersion(there, patch);
    const { status, ...rest } = patch as KubeObject & { status?: unknown };
    const next = merged(there, isStatus ? { status } : rest) as KubeObject;
    if (isDeepStrictEqual(next, there)) return there;
    return this.#store('MODIFIED', collection, next);
  }

  /** As somebody else would: whatever is there is replaced, status and all. */
  put<T extends KubeObject>(collection: string, object: T): T {
    const there = this.find(collection, object.metadata.name);
    const uid = there?.metadata.uid ?? object.metadata.uid ?? randomUUID();
    const type = there === undefined ? 'ADDED' : 'MODIFIED';
    return this.#store(type, collection, withMeta(object, { uid })) as T;
  }

  delete(collection: string, name: string): void {
    const there = this.get(collection, name);
    this.#store('DELETED', collection, there);
  }

  /** Undefined where that is not known any more. */
  since(collection: string, version: number): StoredEvent[] | undefined {
    if (version < this.#forgottenUpTo) return undefined;
    return this.#history.filter((one) => one.collection === collection && one.version > version);
  }

  #objects(collection: string): Map<string, KubeObject> {
    const there = this.#collections.get(collection);
    if (there !== undefined) return there;
    const made = new Map<string, KubeObject>();
    this.#collections.set(collection, made);
    return made;
  }

  #store(type: StoredEvent['type'], collection: string, object: KubeObject): KubeObject {
    const version = ++this.#version;
    const stored = withMeta(object, { resourceVersion: String(version) });
    if (type === 'DELETED') this.#objects(collection).delete(object.metadata.name);
    else this.#objects(collection).set(object.metadata.name, stored);
    const event = { version, type, collection, object: stored };
    this.#history.push(event);
    this.onEvent(event);
    return stored;
  }

  #checkVersion(there: KubeObject, wanted: Partial<KubeObject>): void {
    for (const field of ['resourceVersion', 'uid'] as const) {
      const expected = wanted.metadata?.[field];
      if (expected === undefined || expected === there.metadata[field]) continue;
      throw new StatusError(409, 'Conflict', `${field}: the object has been modified`);
    }
  }
}

function withMeta(object: KubeObject, meta: Partial<KubeObject['metadata']>): KubeObject {
  return { ...object, metadata: { ...object.metadata, ...meta } };
}

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Loose =
    typeof target === 'object' && target !== null && !Array.isArray(target)
      ? { ...(target as Loose) }
      : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merged(result[key], value);
  }
  return result;
}
