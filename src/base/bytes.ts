/** Whether there is nothing but zeroes, as in memory that nobody wrote to. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
