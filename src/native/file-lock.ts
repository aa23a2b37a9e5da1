import { closeSync, constants, openSync } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';
import { native } from './addon.ts';

/** flock(2), exclusive, of a file, directory or device; the kernel drops it with its process. */
export class FileLock implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  #isTaken = false;
  #isClosed = false;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** The lock, or undefined when another descriptor holds it. */
  static tryLock(path: string): FileLock | undefined {
    const lock = FileLock.open(path);
    let isTaken = false;
    try {
      isTaken = lock.tryTake();
      return isTaken ? lock : undefined;
    } finally {
      if (!isTaken) lock[Symbol.dispose]();
    }
  }

  /** A lock to be taken many times, which spares opening and closing the file each time. */
  static open(path: string): FileLock {
    try {
      return new FileLock(path, openSync(path, constants.O_RDONLY));
    } catch (error) {
      const code = codeOf(error);
      throw new Fault(
        code === 'ENOENT' ? 'NOT_FOUND' : 'IO',
        `${path}: cannot be locked (${code})`,
      );
    }
  }

  /** False when it is held: by another descriptor, or through this one, which flock would grant. */
  tryTake(): boolean {
    if (this.#isTaken || this.#isClosed) return false;
    this.#isTaken = native(this.#path, (raw) => raw.tryLock(this.#fd));
    return this.#isTaken;
  }

  /** Gives back what `tryTake` took; nothing where that is nothing. */
  release(): void {
    if (!this.#isTaken || this.#isClosed) return;
    native(this.#path, (raw) => raw.unlock(this.#fd));
    this.#isTaken = false;
  }

  /** Idempotent. Gives it back and closes the file: it can be taken no more. */
  [Symbol.dispose](): void {
    if (!this.#isClosed) closeSync(this.#fd);
    this.#isClosed = true;
  }
}
