import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';
import { addon, native, nativeFault } from './addon.ts';
import type { Segment } from './mapping.ts';

const DEFAULT_PATH = '/dev/fuse';

/** A descriptor of `/dev/fuse`: one FUSE connection's requests come out, its replies go in. */
export class FuseDevice implements Disposable {
  readonly fd: number;
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** A new descriptor, for a new mount. PERMISSION or NOT_FOUND with what to do. */
  static open(path: string = DEFAULT_PATH): FuseDevice {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDWR);
    } catch (error) {
      const code = codeOf(error);
      const missing = code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO';
      throw new Fault(
        missing ? 'NOT_FOUND' : 'PERMISSION',
        missing
          ? `${path}: is not there (${code}); load the kernel's module: modprobe fuse`
          : `${path}: cannot be opened (${code}); run as root, or give this user access to it`,
        { cause: error },
      );
    }
    return FuseDevice.adopt(fd);
  }

  /** Takes over a descriptor that was inherited or fetched from another process. */
  static adopt(fd: number): FuseDevice {
    native(`descriptor ${fd}`, (raw) => raw.prepare(fd));
    return new FuseDevice(fd);
  }

  /**
   * Waits for one request and reads it into `buffer`. Returns its length in bytes; 0 when woken or
   * after `timeoutMs`; 'gone' when the file system is unmounted.
   */
  receive(buffer: Uint8Array, wake: WakeEvent | undefined, timeoutMs: number): number | 'gone' {
    try {
      const received = addon().receive(this.fd, wake?.fd ?? -1, buffer, timeoutMs);
      return received < 0 ? 'gone' : received;
    } catch (error) {
      throw nativeFault('/dev/fuse', error);
    }
  }

  /**
   * Sends one message: `head`, then the segments straight from their mappings, in one writev. False
   * when the request was interrupted and nobody waits any more. MEMORY_ERROR when a segment's
   * memory fails: whoever waited got EIO from the kernel then.
   */
  send(head: Uint8Array, segments: readonly Segment[] = []): boolean {
    const handles = segments.map(({ memory }) => memory.handle);
    const ranges: number[] = [];
    for (const { memory, offset, lengthBytes } of segments) {
      if (memory.isDevice) memory.invalidate(offset, lengthBytes);
      ranges.push(offset, lengthBytes);
    }
    try {
      return addon().send(this.fd, head, handles, ranges);
    } catch (error) {
      throw nativeFault('/dev/fuse', error);
    }
  }

  /** FUSE_DEV_IOC_CLONE: makes this new descriptor another one of that device's connection. */
  cloneFrom(other: FuseDevice): void {
    native('/dev/fuse', (raw) => raw.cloneFrom(this.fd, other.fd));
  }

  /**
   * FUSE_DEV_IOC_DAXDEV_OPEN: registers the dax device open as `fd` under `index`. The error's
   * `cause.code` is the errno's name: ENOTTY on a kernel that learns devices by upcall, or stock.
   */
  openDaxdev(fd: number, index: number): void {
    native(`dax device ${index}`, (raw) => raw.openDaxdev(this.fd, fd, index));
  }

  /** Idempotent. When the last descriptor of a connection closes, its mount is dead. */
  [Symbol.dispose](): void {
    if (!this.#closed) closeSync(this.fd);
    this.#closed = true;
  }
}

/** An eventfd that ends a wait in `FuseDevice.receive` early, also from another thread. */
export class WakeEvent implements Disposable {
  readonly fd: number;
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  static create(): WakeEvent {
    return new WakeEvent(native('eventfd', (raw) => raw.eventfd()));
  }

  /** The same event in another thread, which does not own the descriptor. */
  static adopt(fd: number): WakeEvent {
    const event = new WakeEvent(fd);
    event.#closed = true;
    return event;
  }

  signal(): void {
    const one = new BigUint64Array([1n]);
    writeSync(this.fd, new Uint8Array(one.buffer));
  }

  /** Forgets the signals so far; fine when there were none. */
  drain(): void {
    try {
      readSync(this.fd, new Uint8Array(8));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
    }
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#closed) closeSync(this.fd);
    this.#closed = true;
  }
}

/** pidfd_getfd(2): a copy of another process's descriptor. Needs the right to ptrace it. */
export function fetchDescriptor(pid: number, fd: number): number {
  return native(`descriptor ${fd} of process ${pid}`, (raw) => raw.fetchDescriptor(pid, fd));
}
