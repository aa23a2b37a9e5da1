import { LOG_OFFSET } from '../../src/format/log-header.ts';
import { type Mutant, Mutated, NoFlush, ofReader, ofWriter } from './mutants.ts';

/** The old superblock keeps its magic until the new one is written over it. */
class KeepsOldMagic extends Mutated {
  override publish(offset: number, value: bigint): void {
    if (value !== 0n) super.publish(offset, value);
  }
}

/** The superblock is there before the log that it names. */
class HeaderLast extends Mutated {
  #header: Uint8Array | undefined;

  override write(offset: number, bytes: Uint8Array): void {
    if (offset === LOG_OFFSET) this.#header = bytes;
    else super.write(offset, bytes);
  }

  override publish(offset: number, value: bigint): void {
    super.publish(offset, value);
    if (value !== 0n && this.#header !== undefined) super.write(LOG_OFFSET, this.#header);
  }
}

/** The magic is no word of its own: it goes with all the rest of the superblock. */
class MagicWithTheRest extends Mutated {
  #rest: Uint8Array | undefined;

  override write(offset: number, bytes: Uint8Array): void {
    if (offset === LOG_OFFSET) super.write(offset, bytes);
    else this.#rest = bytes;
  }

  override publish(offset: number, value: bigint): void {
    if (value === 0n || this.#rest === undefined) {
      super.publish(offset, value);
      return;
    }
    const image = new Uint8Array(8 + this.#rest.length);
    new DataView(image.buffer).setBigUint64(0, value, true);
    image.set(this.#rest, 8);
    super.write(offset, image);
  }
}

/** Nothing waits: the header may still be under way when the magic is in memory. */
class UnfencedWrite extends Mutated {
  override write(offset: number, bytes: Uint8Array): void {
    this.raw.copyIn(offset, bytes);
    this.raw.writeBack(offset, bytes.length);
  }
}

/** A follower that does not look at the superblock again. */
class OpensOnce extends Mutated {
  #identity: Uint8Array | undefined;

  override read(offset: number, lengthBytes: number): Uint8Array {
    const isIdentity = offset === 0 && lengthBytes === 64;
    if (!isIdentity) return super.read(offset, lengthBytes);
    this.#identity ??= super.read(offset, lengthBytes);
    return this.#identity;
  }
}

export const MKFS_MUTANTS: readonly Mutant[] = [
  {
    name: 'mkfs: the old magic stays till the end',
    breaks: 'atomic',
    ...ofWriter(KeepsOldMagic),
  },
  { name: "mkfs: the log's header after the magic", breaks: 'atomic', ...ofWriter(HeaderLast) },
  { name: 'mkfs: the magic with all the rest', breaks: 'atomic', ...ofWriter(MagicWithTheRest) },
  { name: 'mkfs: no fence after the header', breaks: 'atomic', ...ofWriter(UnfencedWrite) },
  { name: 'mkfs: no flush', breaks: 'atomic', ...ofWriter(NoFlush) },
  {
    name: 'follower: no second look at the superblock',
    breaks: 'strangers',
    ...ofReader(OpensOnce),
  },
];
