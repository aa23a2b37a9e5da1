import type { Inode } from './inodes.ts';
import type { Kernel } from './kernel.ts';
import type { Caller } from './messages.ts';

/** An open file, shared by descriptors and mappings. */
export interface OpenFile {
  readonly kernel: Kernel;
  readonly inode: Inode;
  readonly fh: bigint;
  readonly flags: number;
  readonly openFlags: number;
  readonly caller: Caller;
  readonly lockOwner: bigint;
  /** No OPEN was sent, so no RELEASE is. */
  readonly isSilent: boolean;
  /** Descriptors and mappings; the last one's end leads to RELEASE. */
  uses: number;
}

/** A mapping of a whole file. */
export interface Mapping {
  readonly file: OpenFile;
  /** munmap(2): no message, but for RELEASE where it was the last of the file. */
  unmap(): void;
}

/**
 * Whether loads and stores go to the memory itself. A file that CREATE opened is an ordinary FUSE
 * file until the inode gets a map by a later OPEN.
 */
export function isMapped({ kernel, inode }: OpenFile): boolean {
  return kernel.famfs !== undefined && inode.map !== undefined;
}
