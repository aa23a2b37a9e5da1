import { z } from 'zod';
import { Fault, type FaultCode, messageOf } from '../base/errors.ts';
import { GENERATIONS } from '../fs/data-path.ts';

/**
 * The mounter's socket speaks JSON, one message a line. A request carries the protocol's version;
 * a keeper that does not know it answers UNSUPPORTED instead of guessing.
 */
export const PROTOCOL_VERSION = 1;

const position = z.number().int().nonnegative();

/** A pool as a node has it mounted. */
export const poolMount = z.strictObject({
  mountPoint: z.string(),
  dataPath: z.enum(['buffered', 'dax']),
  /** What the kernel turned out to be, by doing. */
  generation: z.enum(GENERATIONS),
  /** Why this data path and no other: for the log, the demo and the operator. */
  dataPathReason: z.string(),
  fsUuid: z.string(),
  /** Index of the next log entry that the server will apply, of that generation of the log. */
  logPosition: position,
  logGeneration: position,
  /** The first few files below the path that was asked about that this node cannot serve. */
  refusals: z.array(z.strictObject({ path: z.string(), reason: z.string() })).optional(),
});
export type PoolMount = z.infer<typeof poolMount>;

const count = z.number().int().nonnegative();
const usage = z.strictObject({
  openFiles: count,
  cachedInodes: count,
  volumes: z.array(z.strictObject({ id: z.string(), openFiles: count, cachedInodes: count })),
  /** Deleted files that the kernel still refers to, as of `mount`; absent: too many to list. */
  heldInodes: z.array(count).optional(),
});

export const assignedDevice = z.strictObject({
  path: z.string(),
  uuid: z.string().optional(),
  problem: z.string().optional(),
});

export const poolStatus = z.strictObject({
  name: z.string(),
  /** By devindex; with a problem where one cannot be used on this node. */
  devices: z.array(assignedDevice),
  mountPoint: z.string(),
  /** The pool's mount, or undefined while it is not mounted; then `problem` says why. */
  mount: poolMount.optional(),
  problem: z.string().optional(),
  serverPid: z.number().int().optional(),
  serverRestarts: z.number().int(),
  /** How many requests of each kind its server has had from the kernel; a new one begins at 0. */
  requests: z.record(z.string(), z.number().int()).optional(),
  /** The first memory error that its server met; `problem` says it too. */
  memoryError: z.string().optional(),
  /** How long its server took to read the log. */
  replaySeconds: z.number().optional(),
  /** What the kernel of this node holds of the pool's files. */
  usage: usage.optional(),
});
export type PoolStatus = z.infer<typeof poolStatus>;

export const mounterStatus = z.strictObject({
  keeperPid: z.number().int(),
  pools: z.array(poolStatus),
});
export type MounterStatus = z.infer<typeof mounterStatus>;

/**
 * What the kernel of a node refers to, of one pool, at a position of its log. An inode is cached
 * from the reply that named it to the kernel until its FORGET; a file is open until its last
 * descriptor and mapping are gone. After a crash a count may be too high, never too low.
 */
export const poolReferences = z.strictObject({
  fsUuid: z.string(),
  /** Every DELETE below this index was applied before anything was counted. */
  logPosition: position,
  logGeneration: position,
  /** Live files and directories by volume, the first component of their paths; the first few. */
  volumes: z.array(z.strictObject({ volume: z.string(), cachedInodes: count, openFiles: count })),
  volumeCount: count,
  /**
   * Deleted files whose memory must not be used again; the first few. Without a volume where the
   * log does not say whose it was: it may be anybody's.
   */
  deleted: z.array(
    z.strictObject({
      volume: z.string().optional(),
      ino: count,
      extents: z.array(z.strictObject({ devindex: count, offset: count, lengthBytes: count })),
      lookups: count,
      openFiles: count,
    }),
  ),
  deletedCount: count,
});
export type PoolReferences = z.infer<typeof poolReferences>;

/**
 * `pool`: waits until the pool is mounted and its server has followed the log to `atLeast`. `path`,
 * relative to the pool: asks which files there cannot be served.
 * `references`: waits in the same way, then says what the kernel refers to, at `path` or in all of
 * the pool.
 * `hand-over`, of another keeper: descriptors of `pools` to the socket `receiver` in the mount
 * root; answered when their servers have ended. `serving`, then, on the same connection: they are
 * served again, answered when the old keeper has let go. See hand-over.ts.
 * `custody`, of a custodian: that it takes the pools over, answered when it has. See custodian.ts.
 */
export const request = z.discriminatedUnion('op', [
  z.strictObject({
    v: z.literal(PROTOCOL_VERSION),
    id: z.number().int(),
    op: z.enum(['pool', 'references']),
    pool: z.string(),
    atLeast: position,
    /** Which generation of the log `atLeast` is of; a later one has all of it. */
    generation: position.default(0),
    path: z.string().optional(),
  }),
  z.strictObject({ v: z.literal(PROTOCOL_VERSION), id: z.number().int(), op: z.literal('status') }),
  z.strictObject({
    v: z.literal(PROTOCOL_VERSION),
    id: z.number().int(),
    op: z.literal('hand-over'),
    receiver: z.string().regex(/^[\w-]+\.sock$/),
    pools: z.array(z.string()),
  }),
  z.strictObject({
    v: z.literal(PROTOCOL_VERSION),
    id: z.number().int(),
    op: z.literal('serving'),
  }),
  z.strictObject({
    v: z.literal(PROTOCOL_VERSION),
    id: z.number().int(),
    op: z.literal('custody'),
    mountRoot: z.string(),
    pools: z.array(z.string()),
  }),
]);
export type Request = z.infer<typeof request>;

export const reply = z.discriminatedUnion('ok', [
  z.strictObject({ id: z.number().int(), ok: z.literal(true), result: z.unknown() }),
  z.strictObject({
    id: z.number().int(),
    ok: z.literal(false),
    error: z.strictObject({ code: z.string(), message: z.string() }),
  }),
]);
export type Reply = z.infer<typeof reply>;

/** The message on a line; INVALID where that is no JSON. */
export function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Fault('INVALID', `mounter protocol: a line is no JSON (${messageOf(error)})`);
  }
}

/** The request in a message; UNSUPPORTED for another protocol version, INVALID for what is none. */
export function decodeRequest(message: unknown): Request {
  const version = (message as { v?: unknown } | null)?.v;
  if (version !== PROTOCOL_VERSION) {
    const found = typeof version === 'number' ? version : `one of type ${typeof version}`;
    throw new Fault(
      'UNSUPPORTED',
      `mounter protocol: found version ${found}, expected ${PROTOCOL_VERSION}; ` +
        'run node plugin and mounter of one release',
    );
  }
  const parsed = request.safeParse(message);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Fault('INVALID', `request ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return parsed.data;
}

/** The fault that a peer reported; a code that this build does not know becomes IO. */
export function faultOf(error: { code: string; message: string }): Fault {
  const code = Object.hasOwn(CODES, error.code) ? error.code : 'IO';
  return new Fault(code as FaultCode, error.message);
}

const CODES = {
  INVALID: 1,
  NOT_FOUND: 1,
  EXISTS: 1,
  NO_SPACE: 1,
  LOG_FULL: 1,
  NOT_FAMFS: 1,
  CORRUPT: 1,
  UNSUPPORTED: 1,
  READ_ONLY: 1,
  PERMISSION: 1,
  PRECONDITION: 1,
  BUSY: 1,
  MEMORY_ERROR: 1,
  UNAVAILABLE: 1,
  IO: 1,
  INTERNAL: 1,
} as const satisfies Record<FaultCode, 1>;
