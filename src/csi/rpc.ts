import type { MethodDefinition } from '@grpc/proto-loader';
import type { Logger } from 'pino';
import type { ServiceName, Services } from './proto.ts';

/** Names of a service's methods, without the index signature of grpc-js. */
export type RpcName<S extends ServiceName> = keyof {
  [M in keyof Services[S] as string extends M ? never : M]: true;
} &
  string;

/** The four shapes of a method: what a client may send, a server may reply, and what arrives. */
type Shapes<S extends ServiceName, M extends RpcName<S>> =
  Services[S][M] extends MethodDefinition<
    infer RequestInit,
    infer ResponseInit,
    infer Request,
    infer Response
  >
    ? { requestInit: RequestInit; responseInit: ResponseInit; request: Request; response: Response }
    : never;

/** A request as a handler gets it: `RequestOf<'Controller', 'CreateVolume'>`. */
export type RequestOf<S extends ServiceName, M extends RpcName<S>> = Shapes<S, M>['request'];

/** The same as a client may give it, with what it leaves out. */
export type RequestInitOf<S extends ServiceName, M extends RpcName<S>> = Shapes<
  S,
  M
>['requestInit'];

/** What a handler is told besides the request. */
export interface RpcContext {
  /** Short, unique in this process, in every log line of the call. */
  readonly requestId: string;
  /** Logs with the request id. */
  readonly logger: Logger;
  /** Aborts when the caller hangs up or its deadline passes. */
  readonly signal: AbortSignal;
}

/**
 * A service's handlers, by method name with a small first letter (`createVolume`). A method that is
 * left out answers UNIMPLEMENTED. A handler throws `Fault`; anything else becomes INTERNAL.
 */
export type Handlers<S extends ServiceName> = {
  readonly [M in RpcName<S> as Uncapitalize<M>]?: (
    request: RequestOf<S, M>,
    context: RpcContext,
  ) => Promise<Shapes<S, M>['responseInit']> | Shapes<S, M>['responseInit'];
};

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Wait for the server within the timeout; without it a dead socket is UNAVAILABLE at once. */
  readonly waitForReady?: boolean;
}

/** A service's methods as promises; they reject with the `ServiceError` of grpc-js. */
export type Client<S extends ServiceName> = {
  readonly [M in RpcName<S> as Uncapitalize<M>]: (
    request: RequestInitOf<S, M>,
    options?: CallOptions,
  ) => Promise<Shapes<S, M>['response']>;
};
