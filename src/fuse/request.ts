import { isUtf8 } from 'node:buffer';
import { getU64OrInfinity } from '../base/numbers.ts';
import { FATTR, FATTR_TIMES } from './abi-constants.ts';
import { IN_HEADER, SETATTR_IN, WRITE_IN } from './abi-structs.ts';
import { EINVAL, type Errno } from './errno.ts';
import type { SetattrChange } from './operations.ts';

/**
 * One request of the kernel, read field by field from the bytes it came in; valid as long as they
 * are. `at` counts bytes from the body, which is what follows the header; the caller has compared
 * `bodyBytes` with the struct whose fields it reads.
 */
export class FuseRequest {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Where the body ends: extensions, which no served opcode uses, are left out. */
  readonly #end: number;
  /** What `refuse` was told: why this request makes no sense. */
  problem: string | undefined = undefined;

  /** `bytes` is one message, at least a header long. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length - 8 * this.view.getUint16(IN_HEADER.totalExtlen, true);
  }

  /** The message's length as its header tells it. */
  get lengthBytes(): number {
    return this.view.getUint32(IN_HEADER.len, true);
  }

  /** False where `unique` is 0, which no request has. */
  get hasUnique(): boolean {
    const { unique } = IN_HEADER;
    return (this.view.getUint32(unique, true) | this.view.getUint32(unique + 4, true)) !== 0;
  }

  get opcode(): number {
    return this.view.getUint32(IN_HEADER.opcode, true);
  }

  /** Infinity above 2^53 − 1, like every 64-bit quantity here: no number of ours is that large. */
  get nodeid(): number {
    return getU64OrInfinity(this.view, IN_HEADER.nodeid);
  }

  get caller(): { uid: number; gid: number } {
    return {
      uid: this.view.getUint32(IN_HEADER.uid, true),
      gid: this.view.getUint32(IN_HEADER.gid, true),
    };
  }

  /** Negative where the header's extension length is larger than the message. */
  get bodyBytes(): number {
    return this.#end - IN_HEADER.size;
  }

  u32(at: number): number {
    return this.view.getUint32(IN_HEADER.size + at, true);
  }

  u64(at: number): number {
    return getU64OrInfinity(this.view, IN_HEADER.size + at);
  }

  /** Notes why the request makes no sense, and returns the error to answer it with. */
  refuse(problem: string): Errno {
    this.problem = problem;
    return EINVAL;
  }

  /**
   * The name that is the rest of the body, NUL at its end. `notText` is the error for bytes that
   * are no UTF-8: such a name can be asked for, and exists nowhere.
   */
  name(at: number, notText: Errno): string | Errno {
    const start = IN_HEADER.size + at;
    const last = this.#end - 1;
    let ascii = true;
    for (let i = start; i < last; i++) {
      const byte = this.bytes[i] as number;
      if (byte === 0) return this.refuse('found a NUL inside the name');
      if (byte > 0x7f) ascii = false;
    }
    if (last <= start || this.bytes[last] !== 0) {
      return this.refuse('found no name that ends with a NUL');
    }
    const name = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, last - start);
    if (ascii) return name.toString('latin1');
    return isUtf8(name) ? name.toString('utf8') : notText;
  }

  /** The data of WRITE, a view of the request, or undefined if its length is not what is told. */
  writeData(): Uint8Array | undefined {
    const start = IN_HEADER.size + WRITE_IN.size;
    const lengthBytes = this.u32(WRITE_IN.lengthBytes);
    return start + lengthBytes === this.#end ? this.bytes.subarray(start, this.#end) : undefined;
  }

  setattrChange(): SetattrChange {
    const valid = this.u32(SETATTR_IN.valid);
    return {
      sizeBytes: valid & FATTR.SIZE ? this.u64(SETATTR_IN.sizeBytes) : undefined,
      mode: valid & FATTR.MODE ? this.u32(SETATTR_IN.mode) : undefined,
      uid: valid & FATTR.UID ? this.u32(SETATTR_IN.uid) : undefined,
      gid: valid & FATTR.GID ? this.u32(SETATTR_IN.gid) : undefined,
      times: (valid & FATTR_TIMES) !== 0,
    };
  }
}
