import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type protobuf from 'protobufjs';
import { Fault, messageOf } from '../base/errors.ts';
import { requestType, type ServiceName, serviceDefinition } from './proto.ts';
import { loggable } from './request-log.ts';
import type { Handlers, RpcContext } from './rpc.ts';
import { claimSocketPath } from './socket-path.ts';
import { failureOf } from './status.ts';
import { checkLimits } from './validation.ts';

const SOCKET_MODE = 0o600;
const DRAIN_MS = 30_000;

/** Calls that probes and sidecars make all the time; logged at debug while they succeed. */
const FREQUENT = new Set([
  'Probe',
  'GetPluginInfo',
  'GetPluginCapabilities',
  'ControllerGetCapabilities',
  'NodeGetCapabilities',
  'NodeGetVolumeStats',
]);

/** Told of every call that a handler served: `/csi.v1.Node/NodeStageVolume`, its code, its time. */
export type RpcObserver = (method: string, code: status, seconds: number) => void;

export interface ServerOptions {
  /** Absolute path of the unix socket, at most 107 bytes; its directory exists. */
  readonly socketPath: string;
  readonly logger: Logger;
  readonly services: { readonly [S in ServiceName]?: Handlers<S> };
  readonly observe?: RpcObserver;
}

export interface RpcServer extends AsyncDisposable {
  readonly socketPath: string;
  /**
   * Takes no new calls, lets the running ones finish (for `drainMs`, default 30 s; then they are
   * cancelled), and removes the socket. Idempotent: later calls await the first.
   */
  close(drainMs?: number): Promise<void>;
}

/**
 * Serves CSI on a unix socket that only this user may open. A socket that a dead process left is
 * replaced. EXISTS when somebody listens there or something else has the path, IO when it can't
 * be bound.
 */
export async function startServer(options: ServerOptions): Promise<RpcServer> {
  const { socketPath, logger, services, observe = () => {} } = options;
  await claimSocketPath(socketPath);
  const server = new Server();
  for (const service of ['Identity', 'Controller', 'Node'] as const) {
    const handlers = services[service];
    if (handlers === undefined) continue;
    server.addService(
      serviceDefinition(service),
      implementation(service, handlers, logger, observe),
    );
  }
  await bind(server, socketPath);
  chmodSync(socketPath, SOCKET_MODE);
  logger.info({ socketPath, services: Object.keys(services) }, 'csi server listens');
  let closed: Promise<void> | undefined;
  const close = (drainMs = DRAIN_MS) => {
    closed ??= drain(server, drainMs).then(() => logger.info({ socketPath }, 'csi server closed'));
    return closed;
  };
  return { socketPath, close, [Symbol.asyncDispose]: () => close() };
}

function bind(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(new Fault('IO', `${socketPath}: could not be bound (${messageOf(error)})`));
    });
  });
}

async function drain(server: Server, drainMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), drainMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A handler as this file calls it; the types of `Handlers` are for those who write them. */
type AnyHandler = (request: object, context: RpcContext) => object | Promise<object>;

function implementation<S extends ServiceName>(
  service: S,
  handlers: Handlers<S>,
  logger: Logger,
  observe: RpcObserver,
): UntypedServiceImplementation {
  const calls: Record<string, handleUnaryCall<object, object>> = {};
  for (const [method, { path }] of Object.entries(serviceDefinition(service))) {
    const name = method.charAt(0).toLowerCase() + method.slice(1);
    const handler = (handlers as Record<string, AnyHandler | undefined>)[name];
    if (handler === undefined) continue; // grpc-js answers UNIMPLEMENTED
    const type = requestType(service, method);
    const frequent = FREQUENT.has(method);
    const bound = handler.bind(handlers);
    const endpoint = { method, path, type, frequent, handler: bound, logger, observe };
    calls[method] = (call, callback) => {
      void answer(endpoint, call).then(
        (response) => callback(null, response),
        (failure: { code: status; details: string }) => callback(failure),
      );
    };
  }
  return calls;
}

interface Endpoint {
  readonly method: string;
  readonly path: string;
  readonly type: protobuf.Type;
  readonly frequent: boolean;
  readonly handler: AnyHandler;
  readonly logger: Logger;
  readonly observe: RpcObserver;
}

/** One call: limits, handler, one log line; rejects with the code and details for the caller. */
async function answer(endpoint: Endpoint, call: ServerUnaryCall<object, object>): Promise<object> {
  const { method, type } = endpoint;
  const requestId = randomBytes(4).toString('hex');
  const logger = endpoint.logger.child({ requestId, method });
  const startMs = performance.now();
  const line = (code: status) => {
    const ms = performance.now() - startMs;
    endpoint.observe(endpoint.path, code, ms / 1000);
    const request = loggable(type, call.request);
    return { code: status[code], ms: Math.round(ms * 10) / 10, request };
  };
  try {
    checkLimits(type, call.request);
    const signal = signalOf(call);
    const response = await endpoint.handler(call.request, { requestId, logger, signal });
    logger[endpoint.frequent ? 'debug' : 'info'](line(status.OK), 'rpc');
    return response;
  } catch (error) {
    const { code, details, foreseen } = failureOf(error, requestId);
    if (foreseen) logger.warn({ ...line(code), error: details }, 'rpc');
    else logger.error({ ...line(code), err: error }, 'rpc');
    throw { code, details };
  }
}

/** Aborts when the caller hangs up, and when its deadline passes: grpc-js then cancels the call. */
function signalOf(call: ServerUnaryCall<object, object>): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort(new Fault('BUSY', 'the caller gave up waiting')));
  return controller.signal;
}
