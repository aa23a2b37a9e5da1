import { KubeConfig } from '@kubernetes/client-node';
import { Fault, messageOf } from '../base/errors.ts';
import type { Endpoint } from './endpoint.ts';

type HttpsOptions = Parameters<KubeConfig['applyToHTTPSOptions']>[0];

/** The current context of a kubeconfig file, whatever way of authentication it names. */
export function kubeConfigEndpoint(path: string): Endpoint {
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (error) {
    throw new Fault('INVALID', `KUBECONFIG ${path}: cannot be used (${messageOf(error)})`, {
      cause: error,
    });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new Fault('INVALID', `KUBECONFIG ${path}: its current context names no cluster`);
  }
  const authorize = async () => {
    const options: HttpsOptions = {};
    await config.applyToHTTPSOptions(options);
    // Without its agent, a new one each time: connections are kept by ours.
    const { agent: _, ...rest } = options;
    return rest;
  };
  return { server: cluster.server, authorize };
}
