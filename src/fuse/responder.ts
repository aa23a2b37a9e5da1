import type { Segment } from '../native/mapping.ts';
import { IN_HEADER } from './abi-structs.ts';
import { EIO, ENOENT, ENOSYS, type Errno, errnoOf } from './errno.ts';
import type { Operations } from './operations.ts';
import { ReplyBuffer } from './reply.ts';
import { FuseRequest } from './request.ts';
import { type OpcodeRecord, TABLE } from './table.ts';

/**
 * The bytes to send, in this order. `head` (header and fixed payload) is a view of the Responder's
 * own buffer: valid until the next `answer`. Only READ has segments, which stay the mappings'.
 */
export interface Reply {
  readonly head: Uint8Array;
  readonly segments?: readonly Segment[];
}

export interface ResponderHooks {
  /** The kernel sent what is no request: `OPCODE: what was found`. It got an error where due. */
  malformed(problem: string): void;
  /** A handler threw; the caller got `errnoOf(error)`. */
  failed(operation: string, error: unknown): void;
}

/**
 * Requests in, replies out, for one file system: synchronous, and a function of the bytes and of
 * what the file system answers.
 *
 * Invariants:
 * - Never throws, whatever the bytes are and whatever a handler does.
 * - A reply's `len` is the count of its bytes, and its `unique` the request's, bit for bit: the
 *   kernel tells a request that is sent again by bit 63.
 * - What the kernel expects no reply to gets none, not even an error.
 */
export class Responder {
  readonly #operations: Operations;
  readonly #hooks: ResponderHooks;
  readonly #reply: ReplyBuffer;

  constructor(operations: Operations, hooks: ResponderHooks) {
    this.#operations = operations;
    this.#hooks = hooks;
    this.#reply = new ReplyBuffer(operations.entryValidSeconds, operations.attrValidSeconds);
  }

  /** Answers one message as it was read from the device; undefined: no reply is due. */
  answer(bytes: Uint8Array): Reply | undefined {
    this.#reply.clear();
    if (bytes.length < IN_HEADER.size) {
      this.#hooks.malformed(`message: found ${bytes.length} bytes, expected a header of 40`);
      return undefined;
    }
    const request = new FuseRequest(bytes);
    // Without `unique` a reply would be taken for a notification.
    if (!request.hasUnique) {
      this.#hooks.malformed('message: found unique 0, expected a number to answer to');
      return undefined;
    }
    const record = TABLE.get(request.opcode);
    const problem = problemOf(request, record);
    if (problem !== undefined) {
      this.#hooks.malformed(`${nameOf(request, record)}: ${problem}`);
      return record?.hasReply === false ? undefined : this.#error(request, EIO);
    }
    if (record === undefined) return this.#error(request, ENOSYS);
    const result = this.#serve(request, record);
    if (!record.hasReply) return undefined;
    if (result < 0) return this.#error(request, result as Errno);
    const head = this.#reply.head(request.view, result, 0);
    return this.#reply.segments === undefined ? { head } : { head, segments: this.#reply.segments };
  }

  /** The reply to `bytes`, a request whose own reply could not be sent: the header with `error`. */
  fail(bytes: Uint8Array, error: Errno): Reply {
    return this.#error(new FuseRequest(bytes), error);
  }

  #serve(request: FuseRequest, record: OpcodeRecord): number {
    if (!Number.isFinite(request.nodeid)) {
      this.#hooks.malformed(`${record.name}: found a node id of 2^53 or more`);
      return ENOENT;
    }
    try {
      const result = record.serve(this.#operations, request, this.#reply);
      if (request.problem !== undefined) {
        this.#hooks.malformed(`${record.name}: ${request.problem}`);
      }
      return result;
    } catch (error) {
      this.#hooks.failed(record.name, error);
      return errnoOf(error);
    }
  }

  #error(request: FuseRequest, error: Errno): Reply {
    this.#reply.clear();
    return { head: this.#reply.head(request.view, 0, error) };
  }
}

/** Why no field of the body may be read, or undefined. */
function problemOf(request: FuseRequest, record: OpcodeRecord | undefined): string | undefined {
  const { lengthBytes, bodyBytes } = request;
  if (lengthBytes !== request.bytes.length) {
    return `found ${request.bytes.length} bytes, expected ${lengthBytes} as the header says`;
  }
  const least = record?.bodyBytes ?? 0;
  return bodyBytes < least
    ? `found a body of ${bodyBytes} bytes, expected at least ${least}`
    : undefined;
}

function nameOf(request: FuseRequest, record: OpcodeRecord | undefined): string {
  return record?.name ?? `opcode ${request.opcode}`;
}
