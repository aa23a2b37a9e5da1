/**
 * The one source of chance of a fuzz case: sfc32 (Doty-Humphrey), seeded by the run's seed and the
 * case's number, so that every case can be made again by itself.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream: number) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = Math.floor(stream / 0x1_0000_0000) | 0;
    for (let warmUp = 0; warmUp < 12; warmUp++) this.u32();
  }

  u32(): number {
    const word = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + word) | 0;
    return word >>> 0;
  }

  /** An integer in [0, limit); `limit` is at most 2^53. */
  below(limit: number): number {
    if (limit <= 0x1_0000_0000) return this.u32() % limit;
    return (this.u32() * 0x20_0000 + (this.u32() >>> 11)) % limit;
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True once in `many`. */
  oneIn(many: number): boolean {
    return this.u32() % many === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** One of the values, each as often as its weight says. */
  weighted<T>(items: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.below(items.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of items) {
      if (at < weight) return value;
      at -= weight;
    }
    throw new Error('weighted: nothing to choose from');
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.u32();
      for (let byte = 0; byte < 4 && at + byte < length; byte++) {
        bytes[at + byte] = word >>> (8 * byte);
      }
    }
    return bytes;
  }
}
