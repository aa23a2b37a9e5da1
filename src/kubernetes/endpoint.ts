import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { Fault, messageOf } from '../base/errors.ts';

/** How to reach an API server, and as whom. */
export interface Endpoint {
  /** `https://host:port`, perhaps with a path in front of `/api`. */
  readonly server: string;
  /** TLS and headers of one request. Asked each time: tokens are rotated under a process. */
  authorize(): Promise<Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'headers'>>;
}

/** What kubelet lays into each pod that has a service account. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The API server as a pod finds it. PRECONDITION outside of a cluster. Read here, in a few lines,
 * since the client library takes 76 MB on every node: see the decision on the API client.
 */
export function inClusterEndpoint(
  env: NodeJS.ProcessEnv = process.env,
  directory = SERVICE_ACCOUNT,
): Endpoint {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === undefined || host === '') {
    throw new Fault(
      'PRECONDITION',
      '--kubernetes: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set; run in a pod with a ' +
        'service account, or name a kubeconfig file in KUBECONFIG',
    );
  }
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const authorize = async () => {
    const [token, ca] = await Promise.all([
      readFile(`${directory}/token`, 'utf8'),
      readFile(`${directory}/ca.crt`),
    ]);
    return { ca, headers: { authorization: `Bearer ${token.trim()}` } };
  };
  return { server, authorize };
}

/** The namespace that this pod is in; PRECONDITION where that cannot be known. */
export async function inClusterNamespace(directory = SERVICE_ACCOUNT): Promise<string> {
  try {
    return (await readFile(`${directory}/namespace`, 'utf8')).trim();
  } catch (error) {
    throw new Fault(
      'PRECONDITION',
      `--namespace: not given, and ${directory}/namespace cannot be read (${messageOf(error)})`,
      { cause: error },
    );
  }
}
