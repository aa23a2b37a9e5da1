import { createHash } from 'node:crypto';

const MAX_LENGTH = 40; // with "/" and a file name of 38 bytes: the 79 bytes of a path in the log
const VOLUME_ID = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}$/;

/** True for what can be the name of a volume's directory: one component, never hidden. */
export function isVolumeId(text: string): boolean {
  return VOLUME_ID.test(text);
}

/**
 * The id of the volume of that name: the name itself where it can be a directory's name, else a
 * hash of it, so that a retry finds what the first try made.
 */
export function volumeIdOf(name: string): string {
  if (isVolumeId(name)) return name;
  const prefix = 'h-';
  const hash = createHash('sha256').update(name).digest('hex');
  return prefix + hash.slice(0, MAX_LENGTH - prefix.length);
}
