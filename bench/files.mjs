// What both file systems of the comparison hold, so that the same load fits both.

/** Name of the file whose lookup is measured, by its number. */
export function nameOf(number) {
  return `name-${String(number).padStart(5, '0')}`;
}

/** Bytes that differ from page to page, in place. */
export function fillPattern(bytes) {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(at, 0x9e3779b1);
}
