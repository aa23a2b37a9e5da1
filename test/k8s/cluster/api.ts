import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { Identity } from './certificates.ts';

/** Of an object of the API, what the tests look at. */
// biome-ignore lint/suspicious/noExplicitAny: the API's objects are what they are
export type KubeObject = any;

/** Where the resources are that the tests ask for; those of the core group have none. */
const GROUPS: Readonly<Record<string, string>> = {
  pods: 'api/v1',
  persistentvolumeclaims: 'api/v1',
  persistentvolumes: 'api/v1',
  nodes: 'api/v1',
  events: 'api/v1',
  namespaces: 'api/v1',
  serviceaccounts: 'api/v1',
  daemonsets: 'apis/apps/v1',
  deployments: 'apis/apps/v1',
  statefulsets: 'apis/apps/v1',
  jobs: 'apis/batch/v1',
  leases: 'apis/coordination.k8s.io/v1',
  csinodes: 'apis/storage.k8s.io/v1',
  csidrivers: 'apis/storage.k8s.io/v1',
  csistoragecapacities: 'apis/storage.k8s.io/v1',
  volumeattachments: 'apis/storage.k8s.io/v1',
  storageclasses: 'apis/storage.k8s.io/v1',
  clusterroles: 'apis/rbac.authorization.k8s.io/v1',
  roles: 'apis/rbac.authorization.k8s.io/v1',
  famfspools: 'apis/famfs.io/v1alpha1',
  famfsnodes: 'apis/famfs.io/v1alpha1',
};

/** The API server by its own protocol: a kubectl a look would be most of what the machine does. */
export class Api {
  readonly #agent: Agent;
  readonly #host: string;

  constructor(host: string, authority: string, { certificate, key }: Identity) {
    this.#host = host;
    this.#agent = new Agent({
      keepAlive: true,
      ca: readFileSync(authority),
      cert: readFileSync(certificate),
      key: readFileSync(key),
    });
  }

  async get(resource: string, name: string, namespace?: string): Promise<KubeObject> {
    const found = await this.find(resource, name, namespace);
    if (found === undefined) throw new Error(`${resource}/${name}: not found`);
    return found;
  }

  async find(resource: string, name: string, namespace?: string): Promise<KubeObject | undefined> {
    const { status, body } = await this.ask('GET', pathOf(resource, namespace, name));
    if (status === 404) return undefined;
    return expectOk(status, body);
  }

  async list(resource: string, namespace?: string, selector = ''): Promise<KubeObject[]> {
    const query = selector === '' ? '' : `?labelSelector=${encodeURIComponent(selector)}`;
    const { status, body } = await this.ask('GET', `${pathOf(resource, namespace)}${query}`);
    if (status === 404) return []; // a resource of a definition that is gone
    return expectOk(status, body).items;
  }

  /** Starts a deletion; does not wait for it. */
  async delete(
    resource: string,
    name: string,
    namespace?: string,
    gracePeriodSeconds?: number,
  ): Promise<void> {
    const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
    const { status, body } = await this.ask('DELETE', pathOf(resource, namespace, name), options);
    if (status !== 404) expectOk(status, body);
  }

  ask(method: string, path: string, sent?: object): Promise<{ status: number; body: KubeObject }> {
    return new Promise((resolve, reject) => {
      const text = sent === undefined ? '' : JSON.stringify(sent);
      // Without its length Node sends the body of a DELETE unframed.
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      };
      const asked = request(
        { agent: this.#agent, host: this.#host, port: 443, method, path: `/${path}`, headers },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('error', reject);
          answer.on('end', () => {
            const body = Buffer.concat(chunks).toString();
            const isJson = answer.headers['content-type']?.includes('json');
            resolve({ status: answer.statusCode ?? 0, body: isJson ? JSON.parse(body) : body });
          });
        },
      );
      asked.setTimeout(30_000, () => asked.destroy(new Error(`${method} ${path}: no answer`)));
      asked.on('error', reject);
      asked.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function pathOf(resource: string, namespace?: string, name?: string): string {
  const group = GROUPS[resource];
  if (group === undefined) throw new Error(`${resource}: tell test/k8s/cluster/api.ts its group`);
  const space = namespace === undefined ? [] : ['namespaces', namespace];
  return [group, ...space, resource, ...(name === undefined ? [] : [name])].join('/');
}

function expectOk(status: number, body: KubeObject): KubeObject {
  if (status >= 200 && status < 300) return body;
  throw new Error(`the API server answered ${status}: ${body?.message ?? JSON.stringify(body)}`);
}
