import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { HEADER_BYTES, ImageMemory, LOG_START, type LogImage, SLOT_BYTES } from './media.ts';

/** An image that can be written: what was stored lies over it. */
export class PatchedMemory implements SharedMemory {
  readonly lengthBytes: number;
  readonly #under: ImageMemory;
  readonly #patches: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  constructor(image: LogImage) {
    this.#under = new ImageMemory(image);
    this.lengthBytes = image.memoryBytes;
  }

  get stores(): number {
    return this.#patches.length;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = this.#under.read(offset, lengthBytes);
    for (const patch of this.#patches) {
      const from = Math.max(offset, patch.offset);
      const to = Math.min(offset + lengthBytes, patch.offset + patch.bytes.length);
      if (from >= to) continue;
      bytes.set(patch.bytes.subarray(from - patch.offset, to - patch.offset), from - offset);
    }
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#under.read(offset, bytes.length); // the range is checked there
    this.#patches.push({ offset, bytes: bytes.slice() });
  }

  publish(offset: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.write(offset, bytes);
  }

  /** One host, and no cache. */
  flush(): void {}

  /** What is there now, `slots` entries of the log with it. */
  image(slots: number, superblock: Uint8Array): LogImage {
    const first = LOG_START + HEADER_BYTES;
    return {
      superblock,
      header: this.read(LOG_START, HEADER_BYTES),
      entries: Array.from({ length: slots }, (_, at) =>
        this.read(first + at * SLOT_BYTES, SLOT_BYTES),
      ),
      memoryBytes: this.lengthBytes,
    };
  }

  [Symbol.dispose](): void {}
}
