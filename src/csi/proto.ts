import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { assert } from '../base/errors.ts';
import type { ControllerDefinition } from './generated/csi/v1/Controller.ts';
import type { IdentityDefinition } from './generated/csi/v1/Identity.ts';
import type { NodeDefinition } from './generated/csi/v1/Node.ts';

/** The gRPC services of CSI that this driver has, by their name in csi.proto. */
export interface Services {
  readonly Identity: IdentityDefinition;
  readonly Controller: ControllerDefinition;
  readonly Node: NodeDefinition;
}
export type ServiceName = keyof Services;

/** Upstream's file, at the same place beside src/ and dist/. */
const PROTO_PATH = fileURLToPath(new URL('../../csi/csi.proto', import.meta.url));
const PACKAGE = 'csi.v1';

/** How messages look in TypeScript; csi/generate.sh makes the types with the same options. */
const LOADER_OPTIONS = {
  keepCase: true, // names as in the specification, so that messages to users name real fields
  longs: String, // int64 would lose digits as a number: see `quantity` in validation.ts
  enums: String,
  defaults: true,
  oneofs: true,
} as const;

let definitions: Services | undefined;
let schema: protobuf.Root | undefined;

/** The service's methods with their codecs, for grpc-js. */
export function serviceDefinition<S extends ServiceName>(service: S): Services[S] {
  if (definitions === undefined) {
    const loaded = loadSync(PROTO_PATH, LOADER_OPTIONS);
    definitions = {
      Identity: loaded[`${PACKAGE}.Identity`] as unknown as IdentityDefinition,
      Controller: loaded[`${PACKAGE}.Controller`] as unknown as ControllerDefinition,
      Node: loaded[`${PACKAGE}.Node`] as unknown as NodeDefinition,
    };
  }
  return definitions[service];
}

/** The reflected request message of a method: its fields with their types and options. */
export function requestType(service: ServiceName, method: string): protobuf.Type {
  schema ??= new protobuf.Root().loadSync(PROTO_PATH, { keepCase: true });
  const rpc = schema.lookupService(`${PACKAGE}.${service}`).methods[method];
  rpc?.resolve();
  const type = rpc?.resolvedRequestType;
  assert(type, `csi.proto has no ${service}.${method}`);
  return type;
}
