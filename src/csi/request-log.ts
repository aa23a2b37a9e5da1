import type protobuf from 'protobufjs';
import { isSecret } from './validation.ts';

const STRIPPED = '***stripped***';

/**
 * A copy of a request for the log: without what was not set, and with every field that csi.proto
 * marks `csi_secret` replaced as a whole, whatever its name and its keys are.
 */
export function loggable(type: protobuf.Type, message: object): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const value = (message as Record<string, unknown>)[field.name];
    if (isUnset(value)) continue;
    const { resolvedType } = field.resolve();
    if (isSecret(field)) {
      copy[field.name] = STRIPPED;
    } else if (!field.map && resolvedType && 'fieldsArray' in resolvedType) {
      copy[field.name] = field.repeated
        ? (value as object[]).map((item) => loggable(resolvedType, item))
        : loggable(resolvedType, value as object);
    } else {
      copy[field.name] = value;
    }
  }
  return copy;
}

function isUnset(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  if (value === 0 || value === '0') return true;
  if (Array.isArray(value)) return value.length === 0;
  return false;
}
