import { closeSync, rmSync } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';
import { KiB } from '../base/numbers.ts';
import { native } from './addon.ts';

/** SCM_MAX_FD: what one message carries. */
export const DESCRIPTORS_MAX = 253;
const MESSAGE_MAX_BYTES = 128 * KiB;

export interface DescriptorMessage {
  readonly text: string;
  /** The receiver's own copies, closed on exec; it has to close them. */
  readonly fds: readonly number[];
}

/** A unix socket, for this user only, at which one message with descriptors is awaited. */
export class DescriptorReceiver implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  #closed = false;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** INVALID when the path is longer than the 107 bytes of a unix socket's. */
  static listen(path: string): DescriptorReceiver {
    return new DescriptorReceiver(
      path,
      native(path, (raw) => raw.listenDescriptors(path)),
    );
  }

  /**
   * The message of one sender; blocks the thread for `timeoutMs` at most. Undefined when none came.
   * It may be taken after its sender has ended: descriptors on their way are alive.
   */
  receive(timeoutMs: number): DescriptorMessage | undefined {
    const buffer = new Uint8Array(MESSAGE_MAX_BYTES);
    try {
      const { lengthBytes, fds } = native(this.#path, (raw) =>
        raw.receiveDescriptors(this.#fd, buffer, timeoutMs),
      );
      return { text: Buffer.from(buffer.subarray(0, lengthBytes)).toString('utf8'), fds };
    } catch (error) {
      // The second is of a sender that died before it sent.
      const code = codeOf((error as Error).cause);
      if (code === 'ETIMEDOUT' || code === 'ECONNRESET') return undefined;
      throw error;
    }
  }

  /** Idempotent. Descriptors that were sent and not received are closed by the kernel. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }
}

/** Sends copies of descriptors to who listens at `path`. IO when nobody does. */
export function sendDescriptors(path: string, { text, fds }: DescriptorMessage): void {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MESSAGE_MAX_BYTES) {
    throw new Fault('INVALID', `${path}: a message of ${bytes.length} bytes is too long`);
  }
  native(path, (raw) => raw.sendDescriptors(path, bytes, fds));
}
