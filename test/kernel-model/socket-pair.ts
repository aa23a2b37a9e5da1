import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FuseDevice, fetchDescriptor } from '../../src/native/fuse-device.ts';
import type { Kernel } from './kernel.ts';

/** Node has no socketpair(2): another process makes one, and its ends are fetched from it. */
const MAKER = `
import socket, sys
ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
print(*(end.fileno() for end in ends), flush=True)
sys.stdin.read()
`;

const BUFFER_BYTES = 2 * 1024 * 1024;

/** Two ends of a SOCK_SEQPACKET pair: like /dev/fuse, one read takes one message. */
export async function socketPair(): Promise<[number, number]> {
  const child: ChildProcess = spawn('python3', ['-c', MAKER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    if (child.stdout === null || child.pid === undefined) throw new Error('no python3');
    const lines = createInterface({ input: child.stdout });
    const line = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      void ended.then(() => reject(new Error('python3 made no socket pair')));
    });
    const [one = -1, other = -1] = line.split(' ').map(Number);
    return [fetchDescriptor(child.pid, one), fetchDescriptor(child.pid, other)];
  } finally {
    child.stdin?.end();
    await ended;
  }
}

/** Carries a kernel's messages over its end of a socket pair, and what comes back to it. */
export class SocketKernel implements Disposable {
  readonly #kernel: Kernel;
  readonly #end: FuseDevice;
  readonly #out = new Uint8Array(BUFFER_BYTES);
  readonly #in = new Uint8Array(BUFFER_BYTES);
  /** Replies that did not reach anybody, as /dev/fuse would have said ENOENT. */
  refused = 0;
  #hasBegun = false;

  constructor(kernel: Kernel, fd: number) {
    this.#kernel = kernel;
    this.#end = FuseDevice.adopt(fd);
  }

  /** Until the promise is settled, or for good where nothing comes of it in `patienceMs`. */
  async until<T>(what: string, promise: Promise<T>, patienceMs = 30_000): Promise<T> {
    let isSettled = false;
    const noted = promise.finally(() => {
      isSettled = true;
    });
    noted.catch(() => {});
    for (const deadline = Date.now() + patienceMs; !isSettled; await nextTurn()) {
      this.#carry();
      if (Date.now() > deadline) throw new Error(`${what}: nothing came in ${patienceMs} ms`);
    }
    return noted;
  }

  /** Until all is on its way: what the kernel sends after that comes later. */
  async sendAll(): Promise<void> {
    for (; this.#kernel.hasWork; await nextTurn()) this.#carry();
  }

  [Symbol.dispose](): void {
    closeSync(this.#end.fd);
  }

  /**
   * What is in the socket counts as read, so nothing goes in before the server has begun: it begins
   * with RESEND, which would have all of that come twice.
   */
  #carry(): void {
    const length = this.#hasBegun ? this.#kernel.receive(this.#out) : 0;
    if (typeof length === 'number' && length > 0) this.#end.send(this.#out.subarray(0, length));
    const came = this.#end.receive(this.#in, undefined, 0);
    if (typeof came !== 'number' || came === 0) return;
    this.#hasBegun = true;
    if (!this.#kernel.write(this.#in.slice(0, came), 'answering')) this.refused++;
  }
}
