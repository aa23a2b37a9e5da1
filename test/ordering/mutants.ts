import { decodeLogEntry } from '../../src/format/log-entry.ts';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../../src/format/log-header.ts';
import { OrderedMemory, type RawMemory } from '../../src/native/shared-memory.ts';
import type { Property } from './oracle.ts';
import { PRODUCTION } from './reader.ts';
import type { Orderings } from './world.ts';

const WORD_BYTES = 8;
const LINE_BYTES = 64;
const SEQNUM_AT = LOG_OFFSET + NEXT_SEQNUM_OFFSET;
const INDEX_AT = LOG_OFFSET + NEXT_INDEX_OFFSET;
const FIRST_ENTRY = LOG_OFFSET + entryOffset(0);

/** A way to order the steps wrongly, and a property that it must break. */
export interface Mutant extends Orderings {
  readonly name: string;
  readonly breaks: Property;
}

/** Production's ordering with one thing changed, over the same raw steps. */
export abstract class Mutated extends OrderedMemory {
  protected readonly raw: RawMemory;

  constructor(raw: RawMemory) {
    super(raw);
    this.raw = raw;
  }
}

class NoWriteBack extends Mutated {
  override write(offset: number, bytes: Uint8Array): void {
    this.raw.copyIn(offset, bytes);
    this.raw.fence();
  }
}

class NoWriteBackOfWords extends Mutated {
  override publish(offset: number, value: bigint): void {
    this.raw.store(offset, value);
    this.raw.fence();
  }
}

class PublishFirst extends Mutated {
  #written: { offset: number; lengthBytes: number } | undefined;

  override write(offset: number, bytes: Uint8Array): void {
    this.raw.copyIn(offset, bytes);
    this.#written = { offset, lengthBytes: bytes.length };
  }

  override publish(offset: number, value: bigint): void {
    super.publish(offset, value);
    if (offset !== INDEX_AT || this.#written === undefined) return;
    this.raw.writeBack(this.#written.offset, this.#written.lengthBytes);
    this.raw.fence();
  }
}

class NoFence extends Mutated {
  override write(offset: number, bytes: Uint8Array): void {
    this.raw.copyIn(offset, bytes);
    this.raw.writeBack(offset, bytes.length);
  }

  override publish(offset: number, value: bigint): void {
    this.raw.store(offset, value);
    this.raw.writeBack(offset, WORD_BYTES);
  }
}

/** Lines counted from the start of the range, as if it began with one. */
class ShortWriteBack extends Mutated {
  override write(offset: number, bytes: Uint8Array): void {
    this.raw.copyIn(offset, bytes);
    const lengthBytes = Math.ceil(bytes.length / LINE_BYTES) * LINE_BYTES;
    this.raw.writeBack(offset - (offset % LINE_BYTES), lengthBytes);
    this.raw.fence();
  }
}

class SeqnumLast extends Mutated {
  #seqnum = 0n;

  override publish(offset: number, value: bigint): void {
    if (offset === SEQNUM_AT) {
      this.#seqnum = value;
      return;
    }
    super.publish(offset, value);
    super.publish(SEQNUM_AT, this.#seqnum);
  }
}

class StoreLast extends Mutated {
  #entries: { offset: number; bytes: Uint8Array } | undefined;

  override write(offset: number, bytes: Uint8Array): void {
    if (offset >= FIRST_ENTRY) this.#entries = { offset, bytes };
    else super.write(offset, bytes);
  }

  override publish(offset: number, value: bigint): void {
    super.publish(offset, value);
    if (offset === INDEX_AT && this.#entries !== undefined) {
      super.write(this.#entries.offset, this.#entries.bytes);
    }
  }
}

class StaleEntries extends Mutated {
  override read(offset: number, lengthBytes: number): Uint8Array {
    return offset < FIRST_ENTRY
      ? super.read(offset, lengthBytes)
      : copyOf(this.raw, offset, lengthBytes);
  }
}

class StaleIndex extends Mutated {
  override read(offset: number, lengthBytes: number): Uint8Array {
    return offset === INDEX_AT
      ? copyOf(this.raw, offset, lengthBytes)
      : super.read(offset, lengthBytes);
  }
}

class LateInvalidate extends Mutated {
  override read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = copyOf(this.raw, offset, lengthBytes);
    this.raw.invalidate(offset, lengthBytes);
    return bytes;
  }
}

class ShortInvalidate extends Mutated {
  override read(offset: number, lengthBytes: number): Uint8Array {
    const lines = Math.ceil(lengthBytes / LINE_BYTES);
    this.raw.invalidate(offset - (offset % LINE_BYTES), lines * LINE_BYTES);
    return copyOf(this.raw, offset, lengthBytes);
  }
}

/** Drops the index's line, and an entry's lines only where what is cached of it has a wrong crc. */
class TrustsValidEntry extends Mutated {
  override read(offset: number, lengthBytes: number): Uint8Array {
    if (offset < FIRST_ENTRY) return super.read(offset, lengthBytes);
    const bytes = copyOf(this.raw, offset, lengthBytes);
    for (let at = 0; at < lengthBytes; at += ENTRY_BYTES) {
      const index = (offset + at - FIRST_ENTRY) / ENTRY_BYTES;
      if (!decodeLogEntry(bytes.slice(at, at + ENTRY_BYTES), index).ok) {
        return super.read(offset, lengthBytes);
      }
    }
    return bytes;
  }
}

function copyOf(raw: RawMemory, offset: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  raw.copyOut(offset, bytes);
  return bytes;
}

/** Leaves what a killed predecessor stored in the host's cache. */
export class NoFlush extends Mutated {
  override flush(): void {}
}

type MutatedClass = new (raw: RawMemory) => OrderedMemory;

export function ofWriter(Class: MutatedClass): Orderings {
  return { writer: (raw) => new Class(raw), reader: PRODUCTION };
}

export function ofReader(Class: MutatedClass): Orderings {
  return { writer: PRODUCTION, reader: (raw) => new Class(raw) };
}

export const LOG_MUTANTS: readonly Mutant[] = [
  { name: 'writer: no write-back of entries', breaks: 'complete', ...ofWriter(NoWriteBack) },
  { name: 'writer: no write-back of words', breaks: 'arrives', ...ofWriter(NoWriteBackOfWords) },
  { name: 'writer: publish before write-back', breaks: 'complete', ...ofWriter(PublishFirst) },
  { name: 'writer: publish before the stores', breaks: 'complete', ...ofWriter(StoreLast) },
  { name: 'writer: no fence', breaks: 'complete', ...ofWriter(NoFence) },
  { name: 'writer: last line not written back', breaks: 'complete', ...ofWriter(ShortWriteBack) },
  { name: 'writer: next_seqnum after next_index', breaks: 'seqnum', ...ofWriter(SeqnumLast) },
  { name: 'reader: no invalidate of entries', breaks: 'complete', ...ofReader(StaleEntries) },
  { name: 'reader: no invalidate of next_index', breaks: 'arrives', ...ofReader(StaleIndex) },
  { name: 'reader: invalidate after the load', breaks: 'current', ...ofReader(LateInvalidate) },
  { name: 'reader: last line not invalidated', breaks: 'complete', ...ofReader(ShortInvalidate) },
  { name: 'reader: entry of before a takeover', breaks: 'single', ...ofReader(TrustsValidEntry) },
];

export const TAKEOVER_MUTANTS: readonly Mutant[] = [
  { name: 'writer: no flush on taking over', breaks: 'complete', ...ofWriter(NoFlush) },
];
