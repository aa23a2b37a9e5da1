import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { IN_HEADER, OUT_HEADER } from '../../src/fuse/abi-structs.ts';
import {
  type Answer,
  encodeMessage,
  forgetIn,
  joined,
  NOBODY,
  struct,
  type Upcall,
  viewOf,
} from './messages.ts';

/** As FUSE counts: bit 0 marks an INTERRUPT, bit 63 a request that is sent again. */
const STEP = 2n;
const INTERRUPT_BIT = 1n;
const RESEND_BIT = 1n << 63n;
const EINTR = -4;
const ENOTCONN = -107;
const ECONNABORTED = -103;
const FORGET_ONE_BYTES = 16;

/** A request from the call that makes it to the answer, or to the end of hope for one. */
export interface Pending {
  readonly upcall: Upcall;
  unique: bigint;
  readonly done: (answer: Answer) => void;
}

const failed = (error: number): Answer => ({ error, payload: new Uint8Array() });

/** A FUSE connection's queues: what the server has yet to read, and what it has yet to answer. */
export class RequestQueue {
  #lastUnique = 0n;
  #isGone = false;
  readonly #pending: Pending[] = [];
  readonly #answering = new Map<bigint, Pending>();
  readonly #forgets: { ino: number; nlookup: number }[] = [];
  readonly #interrupts: bigint[] = [];

  /** Queues a request; `done` gets the answer. Where nobody will answer, it gets that at once. */
  push(upcall: Upcall, done: (answer: Answer) => void): Pending {
    const request = { upcall, unique: this.#nextUnique(), done };
    if (this.#isGone) done(failed(ENOTCONN));
    else this.#pending.push(request);
    return request;
  }

  pushForget(ino: number, nlookup: number): void {
    this.#forgets.push({ ino, nlookup });
  }

  get hasWork(): boolean {
    return this.#pending.length + this.#forgets.length + this.#interrupts.length > 0;
  }

  /** How many requests the server has read and not answered. */
  get inHand(): number {
    return this.#answering.size;
  }

  /** The next message for the server: interrupts, then requests, then what is forgotten. */
  read(roomBytes: number): Uint8Array | undefined {
    const interrupted = this.#interrupts.shift();
    if (interrupted !== undefined) return interruptOf(interrupted);
    const request = this.#pending.shift();
    if (request === undefined) return this.#readForgets(roomBytes);
    this.#answering.set(request.unique, request);
    return encodeMessage(request.unique, request.upcall);
  }

  /** Takes a reply; false, as write(2) says ENOENT: nobody waits for it. EINVAL is thrown. */
  answer(message: Uint8Array): boolean {
    const view = viewOf(message);
    const error = view.getInt32(OUT_HEADER.error, true);
    const payload = message.slice(OUT_HEADER.size);
    if (error > 0 || error <= -1000 || (error < 0 && payload.length > 0)) {
      throw Object.assign(new Error(`write to /dev/fuse: EINVAL, error ${error}`), {
        code: 'EINVAL',
      });
    }
    const unique = view.getBigUint64(OUT_HEADER.unique, true);
    const request = this.#answering.get(unique);
    if (request === undefined) return false;
    this.#answering.delete(unique);
    request.done({ error, payload });
    return true;
  }

  /** FUSE_NOTIFY_RESEND: what was read and not answered is to be read again, marked by bit 63. */
  resend(): void {
    const again = [...this.#answering.values()];
    this.#answering.clear();
    for (const request of again) request.unique |= RESEND_BIT;
    this.#pending.unshift(...again);
  }

  /**
   * A fatal signal to who waits. A request that nobody has read is gone; one that the server has is
   * waited for, and the server is told.
   */
  interrupt(request: Pending): void {
    const at = this.#pending.indexOf(request);
    if (at >= 0) {
      this.#pending.splice(at, 1);
      request.done(failed(EINTR));
    } else if (this.#answering.has(request.unique)) {
      this.#interrupts.push(request.unique);
    }
  }

  /**
   * The same after the server has read it, where the kernel has taken it back in between (a RESEND
   * of another server): who waits goes away, and the answer in the making finds nobody.
   */
  drop(unique: bigint): void {
    const request = this.#answering.get(unique);
    this.#answering.delete(unique);
    request?.done(failed(EINTR));
  }

  /** The connection ends: ECONNABORTED for what is under way, ENOTCONN for all that follows. */
  abort(): void {
    this.#isGone = true;
    const all = [...this.#pending.splice(0), ...this.#answering.values()];
    this.#answering.clear();
    this.#forgets.length = 0;
    for (const request of all) request.done(failed(ECONNABORTED));
  }

  /** One inode alone is a FORGET; several share a message, as many as there is room for. */
  #readForgets(roomBytes: number): Uint8Array | undefined {
    const [first] = this.#forgets;
    if (first === undefined) return undefined;
    if (this.#forgets.length === 1) {
      this.#forgets.length = 0;
      const { ino, nlookup } = first;
      const body = forgetIn(nlookup);
      return this.#message({ opcode: OPCODE.FORGET, nodeid: ino, body, caller: NOBODY });
    }
    const most = Math.floor((roomBytes - IN_HEADER.size - 8) / FORGET_ONE_BYTES);
    const taken = this.#forgets.splice(0, most);
    const body = joined(
      struct(8, [0, 4, taken.length]),
      ...taken.map(({ ino, nlookup }) => struct(FORGET_ONE_BYTES, [0, 8, ino], [8, 8, nlookup])),
    );
    return this.#message({ opcode: OPCODE.BATCH_FORGET, nodeid: 0, body, caller: NOBODY });
  }

  #message(upcall: Upcall): Uint8Array {
    return encodeMessage(this.#nextUnique(), upcall);
  }

  #nextUnique(): bigint {
    this.#lastUnique += STEP;
    return this.#lastUnique;
  }
}

function interruptOf(unique: bigint): Uint8Array {
  const upcall = {
    opcode: OPCODE.INTERRUPT,
    nodeid: 0,
    body: struct(8, [0, 8, unique]),
    caller: NOBODY,
  };
  return encodeMessage(unique | INTERRUPT_BIT, upcall);
}
