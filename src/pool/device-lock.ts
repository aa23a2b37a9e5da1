import { setTimeout as delay } from 'node:timers/promises';
import { Fault } from '../base/errors.ts';
import { FileLock } from '../native/file-lock.ts';
import type { WriterLock } from './log-writer.ts';

const PATIENCE_MS = 10_000;
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

/**
 * flock(2) on the device: serialises the writers of one host (a controller, the command line). The
 * kernel drops it when its holder dies, so it cannot be left behind. It says nothing to other
 * hosts: there the master's uuid in the superblock rules.
 */
export class DeviceLock implements WriterLock, Disposable {
  readonly #path: string;
  /** Stays open between holds: an append holds the lock for less time than an open takes. */
  #file: FileLock | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** BUSY when another process holds it for longer than ten seconds. */
  async acquire(): Promise<Disposable> {
    this.#file ??= FileLock.open(this.#path);
    const file = this.#file;
    const deadline = Date.now() + PATIENCE_MS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      if (file.tryTake()) return new Hold(file);
      if (Date.now() > deadline) {
        throw new Fault(
          'BUSY',
          `${this.#path}: another process has held the writer's lock for ${PATIENCE_MS} ms; ` +
            'retry when it is done',
        );
      }
      await delay(pauseMs);
    }
  }

  /** Undefined while another process holds it, or this one. */
  tryAcquire(): Disposable | undefined {
    this.#file ??= FileLock.open(this.#path);
    return this.#file.tryTake() ? new Hold(this.#file) : undefined;
  }

  /** Idempotent. A hold ends with it. */
  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }
}

/** A class, since an object literal with a computed key is built by a slow path: 0.7 µs. */
class Hold implements Disposable {
  readonly #file: FileLock;

  constructor(file: FileLock) {
    this.#file = file;
  }

  [Symbol.dispose](): void {
    this.#file.release();
  }
}
