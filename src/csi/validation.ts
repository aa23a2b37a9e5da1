import type protobuf from 'protobufjs';
import { Fault } from '../base/errors.ts';

const STRING_BYTES = 128;
const NODE_ID_BYTES = 256;
const PATH_BYTES = 4096; // PATH_MAX of Linux
const MAP_BYTES = 4096;

/** Fields whose comment in csi.proto says "overrides the general CSI size limit". */
const OWN_LIMITS: Readonly<Record<string, number>> = {
  node_id: NODE_ID_BYTES,
  target_path: PATH_BYTES,
  staging_target_path: PATH_BYTES,
  volume_path: PATH_BYTES,
};

/** What the CSI specification bans from names: control characters but tab, LF and CR. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/**
 * The general limits of CSI on any request, by its reflected type: strings of at most 128 bytes
 * (paths 4096, node ids 256) without control characters, maps and lists of strings of at most 4 KiB
 * together. INVALID names the field by its path. Secrets are never quoted nor looked into.
 */
export function checkLimits(type: protobuf.Type, message: object, prefix = ''): void {
  for (const field of type.fieldsArray) {
    const value = (message as Record<string, unknown>)[field.name];
    if (value === undefined || value === null || isSecret(field)) continue;
    const path = `${prefix}${field.name}`;
    const { resolvedType } = field.resolve();
    if (field.map) {
      checkStrings(path, Object.entries(value).flat());
      for (const [key, text] of Object.entries(value)) {
        checkText(path, key);
        checkText(`${path}.${key}`, text);
      }
    } else if (field.repeated && field.type === 'string') {
      checkStrings(path, value as string[]);
      for (const text of value as string[]) checkText(path, text);
    } else if (field.type === 'string') {
      checkSize(path, value as string, OWN_LIMITS[field.name] ?? STRING_BYTES);
      checkText(path, value as string);
    } else if (resolvedType && 'fieldsArray' in resolvedType) {
      const items = field.repeated ? (value as object[]) : [value];
      items.forEach((item, at) => {
        checkLimits(resolvedType, item, field.repeated ? `${path}[${at}].` : `${path}.`);
      });
    }
  }
}

/** True for a field that csi.proto marks with the option `csi_secret`. */
export function isSecret(field: protobuf.Field): boolean {
  return field.options?.['(csi_secret)'] === true;
}

function checkSize(path: string, text: string, limitBytes: number): void {
  const found = Buffer.byteLength(text);
  if (found > limitBytes) {
    throw new Fault('INVALID', `${path}: found ${found} bytes, expected at most ${limitBytes}`);
  }
}

function checkText(path: string, text: string): void {
  const found = CONTROL.exec(text)?.[0];
  if (found !== undefined) {
    const code = (found.codePointAt(0) ?? 0).toString(16).padStart(4, '0');
    throw new Fault(
      'INVALID',
      `${path}: found the control character U+${code}, expected text without any`,
    );
  }
}

function checkStrings(path: string, texts: readonly string[]): void {
  const found = texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0);
  if (found > MAP_BYTES) {
    throw new Fault(
      'INVALID',
      `${path}: found ${found} bytes in all, expected at most ${MAP_BYTES}`,
    );
  }
}

/** The field's text; INVALID when it is empty, which is how the wire says "not set". */
export function required(field: string, value: string, expected: string): string {
  if (value === '') throw new Fault('INVALID', `${field}: missing, expected ${expected}`);
  return value;
}

/**
 * An int64 of the wire as a checked number: the one way in for 64-bit quantities. Zero means "not
 * set". INVALID names the field when it is negative or above 2^53 − 1.
 */
export function quantity(field: string, wire: string): number {
  const value = Number(wire);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Fault(
      'INVALID',
      `${field}: found ${wire}, expected a number from 0 to ${Number.MAX_SAFE_INTEGER} (2^53 - 1)`,
    );
  }
  return value;
}
