import { status } from '@grpc/grpc-js';
import { type FaultCode, isFault } from '../base/errors.ts';

/**
 * The one place where failures become gRPC codes; the CSI specification gives most of them their
 * meaning. The sidecars retry ABORTED, UNAVAILABLE, RESOURCE_EXHAUSTED and DEADLINE_EXCEEDED as an
 * operation that may have begun, and take every other code as final until the next attempt.
 */
const STATUS = {
  INVALID: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  EXISTS: status.ALREADY_EXISTS,
  NO_SPACE: status.RESOURCE_EXHAUSTED,
  LOG_FULL: status.RESOURCE_EXHAUSTED,
  NOT_FAMFS: status.FAILED_PRECONDITION,
  CORRUPT: status.DATA_LOSS,
  UNSUPPORTED: status.FAILED_PRECONDITION,
  READ_ONLY: status.FAILED_PRECONDITION,
  PERMISSION: status.PERMISSION_DENIED,
  PRECONDITION: status.FAILED_PRECONDITION,
  BUSY: status.ABORTED,
  MEMORY_ERROR: status.DATA_LOSS,
  UNAVAILABLE: status.UNAVAILABLE,
  IO: status.INTERNAL,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<FaultCode, status>;

export interface RpcFailure {
  readonly code: status;
  /** For the caller: never a stack, and nothing of an error that was not foreseen. */
  readonly details: string;
  /** False for a bug: the log then has the stack. */
  readonly foreseen: boolean;
}

/** What a caller is told of anything that a handler threw. */
export function failureOf(error: unknown, requestId: string): RpcFailure {
  if (isFault(error) && error.code !== 'INTERNAL') {
    return { code: STATUS[error.code], details: error.message, foreseen: true };
  }
  const details = `internal error in request ${requestId}: see the driver's log for this id`;
  return { code: STATUS.INTERNAL, details, foreseen: false };
}
