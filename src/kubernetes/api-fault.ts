import { Fault, isFault } from '../base/errors.ts';

/**
 * What an API server answered besides success, or that it did not. To a caller that has no better
 * idea it is UNAVAILABLE: a retry may find the server or the objects in another state.
 */
export class ApiFault extends Fault {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** `reason` of the Status object, as `AlreadyExists`. */
  readonly reason: string;

  constructor(request: string, status: number, reason: string, message: string, cause?: unknown) {
    const isRefused = status === 401 || status === 403;
    super(
      isRefused ? 'PERMISSION' : 'UNAVAILABLE',
      `kubernetes: ${request}: ${status === 0 ? '' : `${status} `}${reason}: ${message}`,
      { cause },
    );
    this.status = status;
    this.reason = reason;
  }
}

function statusOf(error: unknown): number | undefined {
  return isFault(error) ? (error as Partial<ApiFault>).status : undefined;
}

export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404;
}

/** The object exists already, or is not any more what the request was made from. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 409;
}

/** The server no longer knows what happened since that resource version: list anew. */
export function isGone(error: unknown): boolean {
  return statusOf(error) === 410;
}
