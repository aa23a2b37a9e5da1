import { addon, type MappingHandle, nativeFault } from './addon.ts';
import type { RawMemory } from './shared-memory.ts';

/**
 * The addon's single steps on a mapping. Its faults begin with `path`: INVALID for a range outside
 * the mapping and after it was closed, READ_ONLY, MEMORY_ERROR.
 */
export class AddonMemory implements RawMemory {
  readonly lengthBytes: number;
  readonly #path: string;
  readonly #handle: MappingHandle;

  constructor(path: string, handle: MappingHandle, lengthBytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.lengthBytes = lengthBytes;
  }

  copyOut(offset: number, into: Uint8Array): void {
    this.#at(offset, () => addon().copyOut(this.#handle, offset, into, false));
  }

  copyIn(offset: number, bytes: Uint8Array): void {
    this.#at(offset, () => addon().copyIn(this.#handle, offset, bytes, false));
  }

  store(offset: number, word: bigint): void {
    this.#at(offset, () => addon().store(this.#handle, offset, word));
  }

  writeBack(offset: number, lengthBytes: number): void {
    this.#at(offset, () => addon().writeBack(this.#handle, offset, lengthBytes));
  }

  invalidate(offset: number, lengthBytes: number): void {
    this.#at(offset, () => addon().invalidate(this.#handle, offset, lengthBytes));
  }

  fence(): void {
    addon().fence();
  }

  /** The mapping's owner closes it; closing it here too is harmless. */
  [Symbol.dispose](): void {
    addon().unmap(this.#handle);
  }

  #at<T>(offset: number, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw nativeFault(`${this.#path} at ${offset} of ${this.lengthBytes}`, error);
    }
  }
}
