import type { Generation } from '../fs/data-path.ts';
import type { GivenDevice } from '../pool/secondary-devices.ts';
import type { ServerAssignment, ServerReply, ServerRequest } from './server-messages.ts';

/** What the server's main thread hands to its FUSE thread. */
export interface WorkerInput {
  readonly assignment: ServerAssignment;
  readonly fuseFd: number;
  readonly wakeFd: number;
}

/**
 * Main thread → FUSE thread while a dax mount starts: files of the mount can be opened only by a
 * thread that does not answer for them.
 */
export type BootRequest =
  | { readonly op: 'generation'; readonly generation: Generation }
  | { readonly op: 'log'; readonly lengthBytes: number }
  | {
      readonly op: 'pool';
      readonly superblockFd: number;
      readonly logFd: number;
      /** With their superblocks, as they were read through the mount. */
      readonly secondaries: readonly GivenDevice[];
    };

export type WorkerRequest = ServerRequest | BootRequest;

/**
 * FUSE thread → main thread: a boot request has taken effect; the kernel is to drop a name, which
 * the thread that answers must not tell it (src/fuse/notify.ts); or a message for the keeper.
 */
export type WorkerReply =
  | ServerReply
  | { readonly op: 'booted' }
  | { readonly op: 'removed'; readonly parent: number; readonly name: string };
