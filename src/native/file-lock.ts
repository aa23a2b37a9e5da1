import { closeSync, constants, openSync } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';
import { native } from './addon.ts';

/** flock(2), exclusive, of a file, directory or device; the kernel drops it with its process. */
export class FileLock implements Disposable {
  readonly #fd: number;
  #released = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** The lock, or undefined when another descriptor holds it. */
  static tryLock(path: string): FileLock | undefined {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY);
    } catch (error) {
      const code = codeOf(error);
      throw new Fault(
        code === 'ENOENT' ? 'NOT_FOUND' : 'IO',
        `${path}: cannot be locked (${code})`,
      );
    }
    let locked = false;
    try {
      locked = native(path, (raw) => raw.tryLock(fd));
      return locked ? new FileLock(fd) : undefined;
    } finally {
      if (!locked) closeSync(fd);
    }
  }

  /**
   * A copy of a lock's descriptor, from the process that has the lock: it is held until the last
   * copy is closed.
   */
  static adopt(fd: number): FileLock {
    return new FileLock(fd);
  }

  /** To be sent to another process, which then shares the lock. */
  get fd(): number {
    return this.#fd;
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#released) closeSync(this.#fd);
    this.#released = true;
  }
}
