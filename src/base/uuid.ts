import { Fault } from './errors.ts';

const TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** 16 bytes in RFC 4122 text order → `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

/** The inverse of `formatUuid`; INVALID names `what` and the text found. */
export function parseUuid(what: string, text: string): Uint8Array {
  const lower = text.trim().toLowerCase();
  if (!TEXT.test(lower)) {
    throw new Fault('INVALID', `${what}: found "${text}", expected a uuid like ${formatUuid(NIL)}`);
  }
  return new Uint8Array(Buffer.from(lower.replaceAll('-', ''), 'hex'));
}

const NIL = new Uint8Array(16);
