import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, Fault } from '../base/errors.ts';
import { MiB } from '../base/numbers.ts';
import { LOG_OFFSET } from '../format/log-header.ts';
import type { Superblock } from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';

const CHUNK_BYTES = 2 * MiB;

/** How much of a device a copy holds: all before and in its log, at the same offsets. */
export function backupBytes({ logLengthBytes }: Superblock): number {
  return LOG_OFFSET + logLengthBytes;
}

/**
 * Saves superblock and log to a new file, sparse where they are zero, and has it on its disk before
 * it returns. EXISTS if the path is taken, IO when it cannot be written: then nothing is left.
 */
export function saveLog(memory: SharedMemory, superblock: Superblock, path: string): void {
  const fd = create(path);
  try {
    const lengthBytes = backupBytes(superblock);
    ftruncateSync(fd, lengthBytes);
    for (let at = 0; at < lengthBytes; at += CHUNK_BYTES) {
      const chunk = memory.read(at, CHUNK_BYTES);
      if (chunk.some((byte) => byte !== 0)) writeAll(fd, chunk, at);
    }
    fsyncSync(fd);
    syncDirectory(dirname(path));
  } catch (error) {
    rmSync(path, { force: true });
    if (error instanceof Fault) throw error;
    throw new Fault('IO', `${path}: the copy could not be written (${codeOf(error)})`);
  } finally {
    closeSync(fd);
  }
}

function create(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') {
      throw new Fault('EXISTS', `${path}: exists already; a copy never replaces a file`);
    }
    throw new Fault('IO', `${path}: the copy could not be made (${code}); check its directory`);
  }
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A saved copy, to be read as if it were the device that it is of. */
export class LogBackup implements SharedMemory {
  readonly lengthBytes: number;
  readonly #path: string;
  readonly #fd: number;
  readonly #savedBytes: number;

  /** NOT_FOUND or IO when it cannot be opened. */
  constructor(path: string, deviceBytes: number) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      const code = codeOf(error);
      throw new Fault(code === 'ENOENT' ? 'NOT_FOUND' : 'IO', `${path}: cannot be read (${code})`);
    }
    this.#savedBytes = fstatSync(this.#fd).size;
    this.lengthBytes = deviceBytes;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    if (offset + lengthBytes > this.#savedBytes) {
      throw new Fault(
        'CORRUPT',
        `${this.#path}: has ${this.#savedBytes} bytes, a copy of this log is longer; give the ` +
          'file that famfs-csi repair --backup wrote',
      );
    }
    for (let done = 0; done < lengthBytes; ) {
      const got = readSync(this.#fd, bytes, done, lengthBytes - done, offset + done);
      if (got === 0) throw new Fault('IO', `${this.#path}: ended while it was read`);
      done += got;
    }
    return bytes;
  }

  write(): never {
    throw new Fault('READ_ONLY', `${this.#path}: a copy is never written`);
  }

  publish(): never {
    this.write();
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
