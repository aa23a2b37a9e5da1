const SEPARATOR = '.';
const RADIX = 36;

/** Inode numbers as a text that an object has room for: the steps from one to the next. */
export function encodeInodes(inodes: readonly number[]): string {
  const sorted = [...inodes].sort((one, other) => one - other);
  return sorted.map((ino, at) => (ino - (sorted[at - 1] ?? 0)).toString(RADIX)).join(SEPARATOR);
}

/** The inverse; undefined for a text that is none. */
export function decodeInodes(text: string): number[] | undefined {
  if (text === '') return [];
  const inodes: number[] = [];
  let ino = 0;
  for (const step of text.split(SEPARATOR)) {
    if (!/^[0-9a-z]{1,11}$/.test(step)) return undefined;
    ino += Number.parseInt(step, RADIX);
    if (!Number.isSafeInteger(ino)) return undefined;
    inodes.push(ino);
  }
  return inodes;
}
