import { crc32 } from 'node:zlib';
import {
  CONTROL_BYTES,
  CONTROL_OFFSET,
  OWNER_BYTES,
  OWNER_OFFSET,
  RECORD_BYTES,
  SPARE,
} from '../../src/format/control-area.ts';
import { Mutated } from './mutants.ts';
import type { OwnerProperty, Wrongs } from './owners-world.ts';

/** A way to do it wrongly, and a property that it must break. */
export interface OwnerMutant extends Wrongs {
  readonly name: string;
  readonly breaks: OwnerProperty;
}

/** Offset of the flags in a slot's record; docs/format.md. */
const FLAGS_AT = 320;
const GENERATION_AT = 24;
const CRC_AT = 504;

function isRecord(offset: number, bytes: Uint8Array): boolean {
  const isInArea = offset > CONTROL_OFFSET && offset < CONTROL_OFFSET + CONTROL_BYTES;
  return isInArea && bytes.length === RECORD_BYTES;
}

function isRewriting(record: Uint8Array): boolean {
  return ((record[FLAGS_AT] ?? 0) & 1) === 1;
}

/** Once it has claimed the log, it takes itself for the owner for ever. */
class NoEpochCheck extends Mutated {
  #mine: Uint8Array | undefined;

  override read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = super.read(offset, lengthBytes);
    if (offset !== OWNER_OFFSET || lengthBytes !== OWNER_BYTES) return bytes;
    return this.#mine ?? bytes;
  }

  override publish(offset: number, value: bigint): void {
    super.publish(offset, value);
    if (offset === OWNER_OFFSET) this.#mine = super.read(OWNER_OFFSET, OWNER_BYTES).slice();
  }

  override write(offset: number, bytes: Uint8Array): void {
    super.write(offset, bytes);
    if (offset === OWNER_OFFSET) this.#mine = bytes.slice(0, OWNER_BYTES);
  }
}

/** Who rewrites the log keeps what it writes from to itself: nobody else can go on. */
class NoImage extends Mutated {
  #image: Uint8Array | undefined;

  override write(offset: number, bytes: Uint8Array): void {
    if (offset === SPARE.offset) this.#image = bytes.slice();
    else super.write(offset, bytes);
  }

  override read(offset: number, lengthBytes: number): Uint8Array {
    const isOwn = offset === SPARE.offset && this.#image?.length === lengthBytes;
    return isOwn && this.#image ? this.#image : super.read(offset, lengthBytes);
  }
}

/** Says that its host has nothing left to write back, and leaves what it has. */
class ClosesDirty extends Mutated {
  override flush(): void {}
}

/** Readers learn last that the log is another one. */
class GenerationLast extends Mutated {
  override write(offset: number, bytes: Uint8Array): void {
    if (!isRecord(offset, bytes) || !isRewriting(bytes)) {
      super.write(offset, bytes);
      return;
    }
    const early = bytes.slice();
    const view = new DataView(early.buffer);
    view.setBigUint64(GENERATION_AT, view.getBigUint64(GENERATION_AT, true) - 1n, true);
    view.setBigUint64(FLAGS_AT, view.getBigUint64(FLAGS_AT, true) & ~1n, true);
    view.setBigUint64(CRC_AT, BigInt(crc32(early.subarray(0, CRC_AT))), true);
    super.write(offset, early);
  }
}

export const OWNER_MUTANTS: readonly OwnerMutant[] = [
  {
    name: 'no epoch check',
    breaks: 'durable',
    writer: (raw) => new NoEpochCheck(raw),
  },
  { name: 'no image to redo from', breaks: 'successor', writer: (raw) => new NoImage(raw) },
  { name: 'closed, not written back', breaks: 'whole', writer: (raw) => new ClosesDirty(raw) },
  { name: 'generation published last', breaks: 'whole', writer: (raw) => new GenerationLast(raw) },
  { name: 'nothing is released', breaks: 'room', isReleased: () => false },
  { name: 'no acknowledgement needed', breaks: 'exclusive', isReleased: () => true },
  {
    name: 'acknowledged before FORGET',
    breaks: 'exclusive',
    isReleased: ({ deletedAt }, positions) => positions.every((position) => position > deletedAt),
  },
];
