import { Fault } from '../../src/base/errors.ts';
import type { RawMemory } from '../../src/native/shared-memory.ts';
import { AGES, type IncoherentHost } from './incoherent-host.ts';
import { LINE_BYTES, linesOf, type Piece } from './incoherent-memory.ts';

export type EndOfProcess = 'power' | 'kill';

/** Thrown out of the step at which a process, or its host, ended; and by every step after it. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded';
}

/** Raw steps that a process made, and the lines that they touched. */
export interface StepCount {
  readonly step: string;
  readonly lines: number;
}

const WORD_BYTES = 8;
/** How often the stores of one copyIn to one line are not made all at once. */
const SPLIT_CHANCE = 0.3;

/** The memory as one process of a host has it; see the fault model in incoherent-memory.ts. */
export class IncoherentProcess implements RawMemory {
  readonly lengthBytes: number;
  readonly kind: 'reads' | 'writes';
  /** What it did, if `isCounting`. */
  readonly counted: StepCount[] = [];
  isCounting = false;
  /** For its host: lines whose write-back was begun and waits for a fence. */
  readonly begun = new Set<number>();
  readonly #host: IncoherentHost;
  #ended: EndOfProcess | undefined;
  #steps = 0;
  #endAt = Number.POSITIVE_INFINITY;
  #endBy: EndOfProcess = 'kill';

  constructor(host: IncoherentHost, kind: 'reads' | 'writes') {
    this.#host = host;
    this.kind = kind;
    this.lengthBytes = host.memory.lengthBytes;
  }

  get isEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Elementary steps so far: raw steps, and in them each store and each line that is fenced. */
  get steps(): number {
    return this.#steps;
  }

  /** It ends before its step number `step`, counted from its start. */
  endAt(step: number, by: EndOfProcess): void {
    this.#endAt = step;
    this.#endBy = by;
  }

  /** For its host, and for a process that just stops. */
  end(by: EndOfProcess): void {
    this.#ended ??= by;
    this.#host.forget(this);
  }

  copyOut(offset: number, into: Uint8Array): void {
    this.#begin('copyOut', offset, into.length);
    const age = this.#host.memory.random.pick(AGES);
    for (const piece of linesOf(offset, into.length)) {
      this.#host.load(piece, into, piece.line * LINE_BYTES + piece.from - offset, age);
    }
  }

  copyIn(offset: number, bytes: Uint8Array): void {
    this.#begin('copyIn', offset, bytes.length);
    const { random } = this.#host.memory;
    for (const { line, from, to } of random.shuffled(this.#pieces(offset, bytes.length))) {
      this.#step();
      const at = line * LINE_BYTES + from - offset;
      this.#host.store(line, from, bytes.subarray(at, at + to - from));
    }
  }

  store(offset: number, word: bigint): void {
    if (offset % WORD_BYTES !== 0) {
      throw new Fault('INVALID', `incoherent memory: a word at ${offset}, not a multiple of 8`);
    }
    this.#begin('store', offset, WORD_BYTES);
    const bytes = new Uint8Array(WORD_BYTES);
    new DataView(bytes.buffer).setBigUint64(0, word, true);
    this.#host.store(lineOf(offset), offset % LINE_BYTES, bytes);
  }

  writeBack(offset: number, lengthBytes: number): void {
    this.#begin('writeBack', offset, lengthBytes);
    const end = lineOf(offset + lengthBytes - 1) + 1;
    for (const line of this.#host.dirtyIn(lineOf(offset), end)) this.begun.add(line);
  }

  invalidate(offset: number, lengthBytes: number): void {
    this.#begin('invalidate', offset, lengthBytes);
    this.#completeBegun();
    if (lengthBytes === 0) return;
    const [first, end] = [lineOf(offset), lineOf(offset + lengthBytes - 1) + 1];
    for (const line of this.#host.memory.random.shuffled(this.#host.dirtyIn(first, end))) {
      this.#step();
      this.#host.writeBack(line);
    }
    this.#host.drop(first, end);
  }

  fence(): void {
    this.#begin('fence', 0, 0);
    this.#completeBegun();
  }

  [Symbol.dispose](): void {
    this.end('kill');
  }

  #completeBegun(): void {
    for (const line of this.#host.memory.random.shuffled(this.begun)) {
      this.#step();
      this.#host.writeBack(line);
    }
  }

  /** Lines of the range; some of them in two pieces, cut between words. */
  *#pieces(offset: number, lengthBytes: number): Iterable<Piece> {
    const { random } = this.#host.memory;
    for (const { line, from, to } of linesOf(offset, lengthBytes)) {
      const cut = Math.ceil((from + 1 + random.below(to - from)) / WORD_BYTES) * WORD_BYTES;
      if (cut < to && random.chance(SPLIT_CHANCE)) {
        yield { line, from, to: cut };
        yield { line, from: cut, to };
      } else {
        yield { line, from, to };
      }
    }
  }

  #begin(step: string, offset: number, lengthBytes: number): void {
    this.#host.memory.checkRange(offset, lengthBytes);
    if (this.isCounting) {
      const lines = lengthBytes && lineOf(offset + lengthBytes - 1) + 1 - lineOf(offset);
      this.counted.push({ step, lines });
    }
    this.#step();
  }

  #step(): void {
    this.#checkEnded();
    if (this.#steps++ >= this.#endAt) {
      if (this.#endBy === 'power') this.#host.losePower();
      else this.end('kill');
    }
    this.#checkEnded();
    this.#host.memory.beforeStep();
    this.#checkEnded();
    this.#host.advance();
  }

  #checkEnded(): void {
    if (this.#ended === undefined) return;
    throw new ProcessEnded(`this process ended (${this.#ended})`);
  }
}

function lineOf(offset: number): number {
  return Math.floor(offset / LINE_BYTES);
}
