/**
 * The same read for those who ask at nearly the same time, as the metrics of one scrape do: an
 * answer is given again for so long after it was asked for.
 */
export function recent<T>(read: () => Promise<T>, ageMs: number): () => Promise<T> {
  let last: { promise: Promise<T>; at: number } | undefined;
  return () => {
    const at = performance.now();
    if (last === undefined || at - last.at > ageMs) last = { promise: read(), at };
    return last.promise;
  };
}
