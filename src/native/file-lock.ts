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

  /**
   * A copy of a lock's descriptor, from the process that has the lock: it is held until the last
   * copy is closed.
   */
  static adopt(fd: number): FileLock {
    const lock = new FileLock(`descriptor ${fd}`, fd);
    lock.#isTaken = true;
    return lock;
  }

  /** To be sent to another process, which then shares the lock. */
  get fd(): number {
    return this.#fd;
  }

  /** False when it is held: by another descriptor, or through this one, which flock would grant. */
  tryTake(): boolean {
    if (this.#isTaken || this.#isClosed) return false;
    this.#isTaken = native(this.#path, (raw) => raw.tryLock(this.#fd));
    return this.#isTaken;
  }

  /** Gives back what `tryTake` took, for all copies; nothing where that is nothing. */
  release(): void {
    if (!this.#isTaken || this.#isClosed) return;
    native(this.#path, (raw) => raw.unlock(this.#fd));
    this.#isTaken = false;
  }

  /** Idempotent. Closes the file, which gives it back unless there are copies; it takes no more. */
  [Symbol.dispose](): void {
    if (!this.#isClosed) closeSync(this.#fd);
    this.#isClosed = true;
  }
}
