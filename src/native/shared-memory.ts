/**
 * The one seam that everything on the log goes through. Offsets and lengths are bytes; a range
 * outside `[0, lengthBytes)` is INVALID. Other hosts may cache the same memory incoherently, so a
 * read drops this host's cache lines first and a write ends in memory, not in a cache.
 */
export interface SharedMemory extends Disposable {
  readonly lengthBytes: number;

  /** Invalidates the lines of the range, then copies it out. MEMORY_ERROR instead of a SIGBUS. */
  read(offset: number, lengthBytes: number): Uint8Array;

  /** Stores the bytes, writes their lines back to memory, fences. MEMORY_ERROR as above. */
  write(offset: number, bytes: Uint8Array): void;

  /** One aligned 8-byte store, written back and fenced; readers see the old or the new word. */
  publish(offset: number, value: bigint): void;
}
