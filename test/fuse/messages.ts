import type { Reply } from '../../src/fuse/responder.ts';

/** Hex with `#` comments to the end of the line; spaces are for the eye. Also a template's tag. */
export function hex(text: string | TemplateStringsArray, ...values: string[]): Uint8Array {
  const joined = typeof text === 'string' ? text : String.raw({ raw: text }, ...values);
  const digits = joined.replaceAll(/#.*/g, '').replaceAll(/\s/g, '');
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new Error(`not hex: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** For `expect`: a difference in hex is easier to read than one of byte arrays. */
export function toHex(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');
}

export const UNIQUE = 0x1122;

/** A request's bytes: the header that the kernel would put before `body`. */
export function message(
  opcode: number,
  nodeid: number,
  body: Uint8Array = new Uint8Array(),
  unique = UNIQUE,
): Uint8Array {
  const bytes = Buffer.alloc(40 + body.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(opcode, 4);
  bytes.writeBigUInt64LE(BigInt(unique), 8);
  bytes.writeBigUInt64LE(BigInt(nodeid), 16);
  bytes.writeUInt32LE(1000, 24); // uid
  bytes.writeUInt32LE(100, 28); // gid
  bytes.writeUInt32LE(42, 32); // pid
  bytes.set(body, 40);
  return new Uint8Array(bytes);
}

/** The reply that is due to a `message`. */
export function replyOf(error: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = Buffer.alloc(16 + payload.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeInt32LE(error, 4);
  bytes.writeBigUInt64LE(BigInt(UNIQUE), 8);
  bytes.set(payload, 16);
  return new Uint8Array(bytes);
}

/** All bytes of a reply in one, as the kernel would get them. */
export function flatten(reply: Reply | undefined): Uint8Array | undefined {
  if (reply === undefined) return undefined;
  const parts: Uint8Array[] = [reply.head];
  for (const { memory, offset, lengthBytes } of reply.segments ?? []) {
    const part = new Uint8Array(lengthBytes);
    memory.copyOut(offset, part);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
