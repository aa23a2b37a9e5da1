import { join } from 'node:path';
import { Fault } from '../base/errors.ts';
import { LOG_OFFSET } from '../format/log-header.ts';
import { decodeSuperblock, SUPERBLOCK_BYTES, type Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import type { SharedMemory } from '../native/shared-memory.ts';

/** The pool's own files on a mount of it; on a dax path they are the one way to its log. */
export const META_DIRECTORY = '.meta';
export const META_SUPERBLOCK = '.superblock';
export const META_LOG = '.log';

/** The name of a device's superblock there. */
export function metaSuperblock(devindex: number): string {
  return devindex === 0 ? META_SUPERBLOCK : `${META_SUPERBLOCK}.${devindex}`;
}

/** What the superblock says, from the open file; MEMORY_ERROR where the kernel cannot reach it. */
export function readSuperblockFile(fd: number, pool: string): Superblock {
  using memory = Mapping.adopt(fd, `superblock of pool ${pool}`, {
    writable: false,
    lengthBytes: SUPERBLOCK_BYTES,
  });
  return decodeSuperblock(memory.read(0, SUPERBLOCK_BYTES));
}

/**
 * Superblock and log of a pool whose device the kernel holds for its mount: two files, at the
 * offsets that they have on the device. Nothing behind the log can be reached.
 */
export class MetaMemory implements SharedMemory {
  /** What the superblock says the device has: the device itself cannot be asked. */
  readonly lengthBytes: number;
  readonly writable: boolean;
  readonly #superblock: Mapping;
  readonly #log: Mapping;

  private constructor(superblock: Mapping, log: Mapping, lengthBytes: number) {
    this.#superblock = superblock;
    this.#log = log;
    this.lengthBytes = lengthBytes;
    this.writable = log.writable;
  }

  /**
   * Maps `.superblock`, learns the log's length from it, maps `.log`. NOT_FAMFS, CORRUPT or
   * UNSUPPORTED as the superblock is; CORRUPT where the log's file has another length.
   */
  static open(directory: string, options: { writable: boolean }): MetaMemory {
    const superblock = Mapping.open(join(directory, META_SUPERBLOCK), options);
    return MetaMemory.#over(superblock, (lengthBytes) => {
      const log = Mapping.open(join(directory, META_LOG), options);
      if (log.lengthBytes === lengthBytes) return log;
      log[Symbol.dispose]();
      throw new Fault(
        'CORRUPT',
        `${log.path}: has ${log.lengthBytes} bytes, the superblock says ${lengthBytes}; ` +
          'the pool was formatted anew under its mount: unmount it everywhere and mount again',
      );
    });
  }

  /**
   * The same over files that are open already, by a thread that must not ask the kernel about them.
   * The descriptors stay the caller's.
   */
  static adopt(superblockFd: number, logFd: number, pool: string): MetaMemory {
    const superblock = Mapping.adopt(superblockFd, `superblock of pool ${pool}`, {
      writable: true,
      lengthBytes: LOG_OFFSET,
    });
    return MetaMemory.#over(superblock, (lengthBytes) =>
      Mapping.adopt(logFd, `log of pool ${pool}`, { writable: true, lengthBytes }),
    );
  }

  /**
   * The same for who formats the device: there is no superblock yet, and the log's file is as long
   * as any log may be.
   */
  static whole(
    superblockFd: number,
    logFd: number,
    device: string,
    { logBytes, lengthBytes }: { readonly logBytes: number; readonly lengthBytes: number },
  ): MetaMemory {
    const options = { writable: true, lengthBytes: LOG_OFFSET };
    const superblock = Mapping.adopt(superblockFd, `superblock of ${device}`, options);
    try {
      const log = Mapping.adopt(logFd, `log of ${device}`, { ...options, lengthBytes: logBytes });
      return new MetaMemory(superblock, log, lengthBytes);
    } catch (error) {
      superblock[Symbol.dispose]();
      throw error;
    }
  }

  /** The superblock's mapping becomes its own, or is closed when the log cannot be mapped. */
  static #over(superblock: Mapping, mapLog: (lengthBytes: number) => Mapping): MetaMemory {
    try {
      const facts = decodeSuperblock(superblock.read(0, SUPERBLOCK_BYTES));
      return new MetaMemory(superblock, mapLog(facts.logLengthBytes), facts.deviceSizeBytes);
    } catch (error) {
      superblock[Symbol.dispose]();
      throw error;
    }
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const { memory, at } = this.#place(offset);
    return memory.read(at, lengthBytes);
  }

  write(offset: number, bytes: Uint8Array): void {
    const { memory, at } = this.#place(offset);
    memory.write(at, bytes);
  }

  publish(offset: number, value: bigint): void {
    const { memory, at } = this.#place(offset);
    memory.publish(at, value);
  }

  /** Of a range that goes on behind the log, what is mapped. */
  flush(offset: number, lengthBytes: number): void {
    const end = Math.min(offset + lengthBytes, LOG_OFFSET + this.#log.lengthBytes);
    if (offset < LOG_OFFSET) {
      this.#superblock.flush(offset, Math.min(end, LOG_OFFSET) - offset);
    }
    const from = Math.max(offset, LOG_OFFSET);
    if (end > from) this.#log.flush(from - LOG_OFFSET, end - from);
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    this.#superblock[Symbol.dispose]();
    this.#log[Symbol.dispose]();
  }

  #place(offset: number): { memory: Mapping; at: number } {
    return offset < LOG_OFFSET
      ? { memory: this.#superblock, at: offset }
      : { memory: this.#log, at: offset - LOG_OFFSET };
  }
}
