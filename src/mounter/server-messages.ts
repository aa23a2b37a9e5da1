import type { Generation } from '../fs/data-path.ts';
import type { Refusal } from '../fs/famfs-file-system.ts';
import type { ReferenceReport } from '../fs/reference-report.ts';
import type { Negotiated } from '../fuse/init.ts';
import type { Requests } from '../fuse/request-counts.ts';
import type { AssignedDevice } from './pool-devices.ts';
import type { Usage } from './usage.ts';

/** Where the `/dev/fuse` descriptor of the mount is in a server process: after stdio and IPC. */
export const SERVER_FUSE_FD = 4;
/** On a dax path: the root of the mount, attached or not, to read the log through. */
export const SERVER_ROOT_FD = 5;

/** What a server needs to serve a pool's mount; the descriptor itself is inherited. */
export interface ServerAssignment {
  readonly pool: string;
  /** By devindex. */
  readonly devices: readonly AssignedDevice[];
  /** `push2` until the kernel has refused an interleaved map: then it is `push`. */
  readonly generation: Generation;
  /** Group of `.meta` on a dax path. */
  readonly metaGid: number;
  /** File of the counts that outlive a server; as old as the mount. */
  readonly referencesPath: string;
  /** What the keeper agreed with the kernel: there is no second INIT for a successor. */
  readonly negotiated: Negotiated;
}

/**
 * The environment variable that hands a server its assignment, as JSON. Not a message: one from a
 * keeper that ends while the server still starts is lost, and the mount with it.
 */
export const ASSIGNMENT_VARIABLE = 'FAMFS_CSI_ASSIGNMENT';

/** What a keeper wants to know besides the log's position, once the log was followed. */
export interface Question {
  /** A path in the pool: which files below it cannot be served. */
  readonly servable?: string;
  /** A path in the pool, or all of it: what the kernel refers to there. */
  readonly referred?: { readonly path?: string | undefined };
  /** What the kernel holds, summed up. */
  readonly usage?: boolean;
}

/** Keeper → server. */
export type ServerRequest =
  | ({ readonly op: 'follow'; readonly id: number } & Question)
  | { readonly op: 'stop' };

/** What a server knows of its pool after it has followed the log. */
export interface ServerState {
  readonly fsUuid: string;
  readonly logPosition: number;
  /** Of the log that `logPosition` is of. */
  readonly logGeneration: number;
  /** Why the log is served only up to a point, where it is damaged. */
  readonly damage: string | undefined;
  /** Why devices of the pool cannot be used here; what is on them is refused. */
  readonly deviceProblems: readonly string[];
  /** The first memory error that this server met; it stays until another server serves. */
  readonly memoryError: string | undefined;
  /** What the kernel turned out to be. */
  readonly generation: Generation;
  /** Where that was asked: the first few files that cannot be served here. */
  readonly refusals?: readonly Refusal[];
  /** Where that was asked: what the kernel refers to, at `logPosition`. */
  readonly references?: ReferenceReport;
  /** What the kernel has asked of this server so far. */
  readonly requests: Requests;
  /** How long it took to read the log when this server began. */
  readonly replaySeconds: number;
  /** Where that was asked. */
  readonly usage?: Usage;
}

/** Server → keeper. */
export type ServerReply =
  | { readonly op: 'ready'; readonly state: ServerState }
  /** It will end: the pool cannot be served, for this reason. */
  | { readonly op: 'failed'; readonly message: string }
  | { readonly op: 'followed'; readonly id: number; readonly state: ServerState };
