import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import type { Logger } from 'pino';
import { ApiClient } from '../../kubernetes/api-client.ts';
import { isMissing } from '../../kubernetes/api-fault.ts';
import { bootClock } from '../../kubernetes/clock.ts';
import { type Endpoint, inClusterEndpoint, inClusterNamespace } from '../../kubernetes/endpoint.ts';
import { EventRecorder } from '../../kubernetes/events.ts';
import { Lease, type LeaseStore } from '../../kubernetes/lease.ts';
import { type LeaseObject, PATHS } from '../../kubernetes/objects.ts';
import { type HttpArgument, httpArgument } from '../options.ts';

/** Options of the services that a cluster runs; the same for each. */
export interface ClusterArguments {
  readonly kubernetes?: boolean;
  readonly namespace?: string;
  readonly http?: HttpArgument;
}

export function addHttpOption(command: Command): Command {
  return command.option(
    '--http <host:port>',
    'serve /metrics, /healthz and /readyz there (:PORT for all addresses)',
    httpArgument,
  );
}

/** The API server: of KUBECONFIG where that is set, else of the cluster that this pod is in. */
async function endpointOf(env: NodeJS.ProcessEnv): Promise<Endpoint> {
  const path = env.KUBECONFIG;
  if (path === undefined || path === '') return inClusterEndpoint(env);
  // Only here: the client library takes 76 MB and most of a second.
  const { kubeConfigEndpoint } = await import('../../kubernetes/kube-config.ts');
  return kubeConfigEndpoint(path);
}

export async function connectKubernetes(): Promise<ApiClient> {
  return new ApiClient(await endpointOf(process.env));
}

/** A name of this process that no other has, beginning with that of its pod. */
export function processIdentity(): string {
  return `${hostname()}_${randomBytes(4).toString('hex')}`;
}

export function eventRecorder(
  client: ApiClient,
  component: string,
  log: Logger,
  host = hostname(),
): EventRecorder {
  return new EventRecorder({ client, component, host, log });
}

/** The lease of a pool's one writer: `famfs-csi-<pool>`, in the driver's namespace. */
export async function poolLease(
  client: ApiClient,
  options: { pool: string; namespace: string | undefined; identity: string; log: Logger },
): Promise<Lease> {
  const namespace = options.namespace ?? (await inClusterNamespace());
  const name = `famfs-csi-${options.pool}`;
  const { identity, log } = options;
  const store = leaseStore(client, PATHS.leases(namespace), name);
  return new Lease({ name, namespace, identity, store, clock: bootClock, log });
}

function leaseStore(client: ApiClient, collection: string, name: string): LeaseStore {
  return {
    get: async () => {
      try {
        return await client.get<LeaseObject>(collection, name);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    create: (lease) => client.create(collection, lease),
    replace: (lease) => client.replace(collection, lease),
  };
}
