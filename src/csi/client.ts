import { credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import { type ServiceName, serviceDefinition } from './proto.ts';
import type { CallOptions, Client } from './rpc.ts';

const TIMEOUT_MS = 60_000;

/** A local socket comes back soon or never: no need for the seconds that grpc-js would pause. */
const CHANNEL_OPTIONS = {
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1000,
};

/** All of CSI on one unix socket; a service that the server lacks rejects with UNIMPLEMENTED. */
export interface CsiClient extends Disposable {
  readonly identity: Client<'Identity'>;
  readonly controller: Client<'Controller'>;
  readonly node: Client<'Node'>;
  /** Ends the connection; calls that run are cancelled. Idempotent. */
  close(): void;
}

/**
 * A client as kubelet and the sidecars are: `:authority` localhost, one connection. It connects
 * with the first call and again after a loss. Calls end after `timeoutMs` (default 60 s).
 */
export function connectCsi(socketPath: string, options: CallOptions = {}): CsiClient {
  const channel = new GrpcClient(
    `unix:${socketPath}`,
    credentials.createInsecure(),
    CHANNEL_OPTIONS,
  );
  const close = () => channel.close();
  return {
    identity: serviceClient(channel, 'Identity', options),
    controller: serviceClient(channel, 'Controller', options),
    node: serviceClient(channel, 'Node', options),
    close,
    [Symbol.dispose]: close,
  };
}

function serviceClient<S extends ServiceName>(
  channel: GrpcClient,
  service: S,
  defaults: CallOptions,
): Client<S> {
  const methods: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(serviceDefinition(service))) {
    const { path, requestSerialize, responseDeserialize } = method;
    methods[name.charAt(0).toLowerCase() + name.slice(1)] = (
      request: object,
      options: CallOptions = {},
    ) =>
      new Promise((resolve, reject) => {
        const {
          timeoutMs = TIMEOUT_MS,
          signal,
          waitForReady = false,
        } = { ...defaults, ...options };
        const deadline = Date.now() + timeoutMs;
        const call = channel.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new Metadata({ waitForReady }),
          { deadline },
          (error, response) => {
            signal?.removeEventListener('abort', cancel);
            if (error === null) resolve(response);
            else reject(error);
          },
        );
        const cancel = () => call.cancel();
        signal?.addEventListener('abort', cancel);
        if (signal?.aborted) cancel();
      });
  }
  return methods as unknown as Client<S>;
}
