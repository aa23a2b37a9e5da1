import { isUtf8 } from 'node:buffer';
import { message } from '../fuse/messages.ts';
import { must, mustEqual } from './tally.ts';

/** Opcodes of fuse.h that the kernel wants no reply to. */
const UNANSWERED = new Set([2, 36, 41, 42]);
const HEADER_BYTES = 16;

/** What must hold of the reply to any message, well-formed or not. */
export function checkReply(request: Uint8Array, reply: Uint8Array | undefined): void {
  const asked = Buffer.from(request.buffer, request.byteOffset, request.byteLength);
  const isRequest = request.length >= 40 && asked.readBigUInt64LE(8) !== 0n;
  const isDue = isRequest && !UNANSWERED.has(asked.readUInt32LE(4));
  mustEqual(reply !== undefined, isDue, 'a reply was sent');
  if (reply === undefined) return;
  const answer = Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength);
  mustEqual(answer.readUInt32LE(0), reply.length, 'length of the reply');
  mustEqual(answer.readBigUInt64LE(8), asked.readBigUInt64LE(8), 'unique of the reply');
  const error = answer.readInt32LE(4);
  must(error <= 0 && error > -512, `error ${error} of the reply`);
  if (error !== 0) mustEqual(reply.length, HEADER_BYTES, 'length of an error reply');
  const isWhole = asked.readUInt32LE(0) === request.length;
  must(isWhole || error !== 0, 'a message of another length than it says was served');
}

/** A client of a Responder: typed questions, replies taken apart and checked. */
export class FuseClient {
  readonly #answer: (request: Uint8Array) => Uint8Array | undefined;

  constructor(answer: (request: Uint8Array) => Uint8Array | undefined) {
    this.#answer = answer;
  }

  /** The payload, or the error, a negative number. */
  ask(opcode: number, nodeid: number, body: Uint8Array = new Uint8Array()): Buffer | number {
    const request = message(opcode, nodeid, body);
    const reply = this.#answer(request);
    checkReply(request, reply);
    const bytes = Buffer.from(reply as Uint8Array);
    const error = bytes.readInt32LE(4);
    return error < 0 ? error : bytes.subarray(HEADER_BYTES);
  }

  /** As `ask`, where an error is a failure. */
  get(opcode: number, nodeid: number, body?: Uint8Array): Buffer {
    const payload = this.ask(opcode, nodeid, body);
    if (typeof payload === 'number') throw new Error(`opcode ${opcode}: error ${payload}`);
    return payload;
  }

  /** fuse_entry_out of a name: its node id, or the error. */
  lookup(parent: number, name: string): number {
    const payload = this.ask(1, parent, Buffer.from(`${name}\0`));
    return typeof payload === 'number' ? payload : entryOf(payload, name);
  }
}

/** The node id of a fuse_entry_out, which its attributes must agree with. */
export function entryOf(payload: Buffer, name: string): number {
  const nodeid = Number(payload.readBigUInt64LE(0));
  mustEqual(Number(payload.readBigUInt64LE(40)), nodeid, `inode and node id of ${name}`);
  must(Number.isSafeInteger(nodeid) && nodeid > 0, `node id ${nodeid} of ${name}`);
  return nodeid;
}

export interface Dirent {
  readonly name: string;
  readonly ino: number;
  readonly cookie: number;
  readonly isDirectory: boolean;
}

/** The entries of a READDIR or READDIRPLUS payload, every length checked. */
export function direntsOf(payload: Buffer, plus: boolean): Dirent[] {
  const dirents: Dirent[] = [];
  for (let at = 0; at < payload.length; ) {
    const base = at + (plus ? 128 : 0);
    must(base + 24 <= payload.length, 'a directory entry is cut off');
    const nameBytes = payload.readUInt32LE(base + 16);
    const end = base + 24 + nameBytes;
    must(end <= payload.length, 'a directory entry’s name is cut off');
    const name = payload.subarray(base + 24, end);
    checkName(name);
    const type = payload.readUInt32LE(base + 20);
    must(type === 4 || type === 8, `a directory entry of type ${type}`);
    const dirent = {
      name: name.toString('utf8'),
      ino: Number(payload.readBigUInt64LE(base)),
      cookie: Number(payload.readBigUInt64LE(base + 8)),
      isDirectory: type === 4,
    };
    const isDot = dirent.name === '.' || dirent.name === '..';
    if (plus && !isDot) entryOf(payload.subarray(at, at + 128), dirent.name);
    dirents.push(dirent);
    at = (end + 7) & ~7;
    must(at <= payload.length, 'a directory entry is not padded');
  }
  return dirents;
}

/** What the kernel answers EIO for, to whoever reads the directory (fs/fuse/readdir.c). */
function checkName(name: Buffer): void {
  must(name.length > 0 && name.length <= 255, `a name of ${name.length} bytes`);
  must(!name.includes(0) && !name.includes(0x2f), 'a name with a NUL or a slash');
  must(isUtf8(name), 'a name that is no UTF-8');
}
