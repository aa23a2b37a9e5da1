import { GiB, MiB } from '../../src/base/numbers.ts';
import type { Extent, Fmap } from '../../src/format/extents.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
} from '../../src/format/log-header.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  SUPERBLOCK_BYTES,
} from '../../src/format/superblock.ts';
import { FamfsFileSystem, type FamfsOptions } from '../../src/fs/famfs-file-system.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import type { PoolMemory } from '../../src/pool/pool-memory.ts';
import { HeapMemory } from '../support/heap-memory.ts';

const SYSTEM_UUID = '00000000-0000-4000-8000-00000000aaaa';
/** First byte behind superblock and log that a file may have. */
export const FILES_AT = LOG_OFFSET + 8 * MiB;

export const at = (offset: number, lengthBytes: number, devindex = 0): Extent => ({
  devindex,
  offset,
  lengthBytes,
});

export const simple = (...extents: readonly Extent[]): Fmap => ({ type: 'simple', extents });

/** A pool, in heap memory, whose log a test writes entry by entry; there is one writer. */
export class ModelPool {
  readonly memory: SharedMemory;
  #nextIndex = 0;

  /** `memory`: in place of the heap's. */
  constructor(
    options: { memory?: SharedMemory; lengthBytes?: number; allocUnitBytes?: number } = {},
  ) {
    this.memory = options.memory ?? new HeapMemory(options.lengthBytes ?? 64 * GiB);
    mkfs(this.memory, { deviceName: 'model', systemUuid: SYSTEM_UUID });
    const { allocUnitBytes } = options;
    if (allocUnitBytes === undefined) return;
    const superblock = decodeSuperblock(this.memory.read(0, SUPERBLOCK_BYTES));
    this.memory.write(0, encodeSuperblock({ ...superblock, allocUnitBytes }));
  }

  /** Appends one entry, which the log then reveals; returns its index. */
  append(entry: NewEntry): number {
    const index = this.#nextIndex++;
    const bytes = encodeLogEntry(index, entry);
    if (bytes.length !== ENTRY_BYTES) throw new Error('an entry of another length');
    this.memory.write(LOG_OFFSET + entryOffset(index), bytes);
    this.memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, BigInt(this.#nextIndex));
    return index;
  }

  directory(path: string): number {
    return this.append({ type: 'mkdir', path, uid: 0, gid: 0, mode: 0o755 });
  }

  /** A file of all that its extents hold, or of `sizeBytes`. */
  file(path: string, fmap: Fmap, sizeBytes?: number): number {
    const extents = fmap.type === 'simple' ? fmap.extents : fmap.strips;
    const all = extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const owner = { flags: 2, uid: 0, gid: 0, mode: 0o666 };
    return this.append({ type: 'file', path, sizeBytes: sizeBytes ?? all, ...owner, fmap });
  }

  remove(path: string, targetIndex: number): void {
    this.append({ type: 'delete', path, targetIndex });
  }

  /** What a server that starts now serves. Every device of the pool is on this host. */
  fileSystem(options: Partial<FamfsOptions> = {}): FamfsFileSystem {
    const heap = this.memory as HeapMemory;
    const memory: PoolMemory = Object.assign(heap.reopened(), { writable: false });
    const fs = new FamfsFileSystem({
      name: 'model',
      device: '/dev/dax0.0',
      writable: false,
      memory,
      daxdevPath: (devindex) => `/dev/dax${devindex}.0`,
      onError: () => {},
      ...options,
    });
    const [problem] = fs.pool.replica.problems;
    if (problem !== undefined) throw new Error(`the model's log: ${problem.message}`);
    return fs;
  }
}
