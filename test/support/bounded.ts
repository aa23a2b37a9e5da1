/** The promise's value; fails when it takes too long, so that a test that hangs still cleans up. */
export async function bounded<T>(
  what: string,
  promise: Promise<T>,
  patienceMs = 20_000,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `${what}: not within ${patienceMs} ms`;
    timer = setTimeout(() => reject(new Error(message)), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
