/**
 * Every failure that the product foresees is a `Fault` with one of these codes. Each boundary (FUSE
 * reply, gRPC status, exit code) maps the code through a table of its own that must name them all.
 */
export type FaultCode =
  | 'INVALID' // an argument or option is wrong; the caller must change it
  | 'NOT_FOUND' // the named volume, file, pool or node does not exist
  | 'EXISTS' // the name is taken by something that differs from what was asked for
  | 'NO_SPACE' // the pool's memory has no room for the allocation
  | 'LOG_FULL' // the pool's log has no free entry
  | 'NOT_FAMFS' // the device holds no famfs superblock
  | 'CORRUPT' // a superblock, log header or log entry fails its check
  | 'UNSUPPORTED' // a valid format or request that this build does not serve
  | 'READ_ONLY' // the pool may not be written from here (other master, damaged log)
  | 'PERMISSION' // the operating system refused for lack of privilege
  | 'PRECONDITION' // correct request, wrong state: attached elsewhere, not staged, no dax path
  | 'BUSY' // another operation on the same object runs; a retry may succeed
  | 'MEMORY_ERROR' // the memory under a mapping failed (SIGBUS, poison)
  | 'UNAVAILABLE' // a process or socket that is needed does not answer; a retry may succeed
  | 'IO' // any other error of the operating system
  | 'INTERNAL'; // a bug: an assertion of ours failed

/** A foreseen failure. The text reads `subject: what happened, what was expected, what to do`. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** True for a `Fault`, told by its name: Jest loads this module once per test file. */
export function isFault(error: unknown): error is Fault {
  return (error as { name?: unknown } | null | undefined)?.name === 'Fault';
}

/** The `code` of an error of Node or of ours (`ENOENT`, `NO_SPACE`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(error);
}

/** Throws INTERNAL: a state that the code around it rules out. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Fault('INTERNAL', `assertion failed: ${message}`);
}
