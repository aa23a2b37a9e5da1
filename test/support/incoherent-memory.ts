/**
 * Memory that several hosts share and cache incoherently, for proofs of what is done on it.
 *
 * THE FAULT MODEL
 *
 * 1. One memory, H hosts. Each host has a cache of 64-byte lines, shared by its processes, which
 *    see one another's stores at once. Between hosts nothing is coherent.
 * 2. Loads. A load may be served by a line that the host has cached, however stale. A host may also
 *    fetch any line at any moment without any load, and drop and fetch it again. So a load of a
 *    line sees the memory as it was at some moment since the host last invalidated that line, not
 *    before what it saw of that line already. A line that it never invalidated may date from boot.
 * 3. Stores stay in the host's cache. A store to part of a line takes the rest of it from what a
 *    load would see, and the line goes back to memory whole.
 * 4. A stored-to ("dirty") line may be written back at any moment (eviction), lines in any order,
 *    also in the middle of one copyIn; or never.
 * 5. An aligned 8-byte word is stored and loaded whole. Anything longer may tear at every word: a
 *    copyIn stores its words in any order, a copyOut loads them at different moments.
 * 6. writeBack only begins. The lines reach memory at any later step, in any order, and at the
 *    latest when the same process fences. invalidate writes dirty lines back, then drops the lines;
 *    it is fenced on both sides.
 * 7. Power loss of a host, at any step of any of its processes, also between the steps inside one
 *    SharedMemory call: its dirty lines are gone, its processes too; it restarts with a cold cache.
 *    The memory does not lose power.
 * 8. Kill of a process, at any step: its host goes on, and the lines that it left dirty stay in
 *    that host's cache and may be evicted at any later moment, minutes later too.
 *    What follows from 8 for a takeover by another host is decision 0014: the old host is fenced
 *    first (`losePower`, or `clean`), or nothing is promised.
 *
 * Not modelled: memory that fails (MEMORY_ERROR) or flips bits; two writers at a time.
 *
 * HOW IT RUNS
 *
 * Real code runs on it, synchronously. Before every raw step the model may evict lines, and calls
 * `onStep`, where a test lets other hosts act: between any two steps of a writer.
 * For the steps of a writer between any two steps of a reader there is a second device. Time is the
 * number of lines that reached memory, and every state of the memory is kept. A host that has
 * nothing dirty changes nothing that anybody could see, so it need not run when its time comes: it
 * runs late, on a clock of its own that moves at each of its steps by a random part of what it is
 * behind. One call of a reader can so be spread over a hundred steps of the writer. A host with a
 * writer, or with dirty lines, is always at the present.
 *
 * All choices come from the one `Random` given.
 */
import { Fault } from '../../src/base/errors.ts';
import { IncoherentHost } from './incoherent-host.ts';
import type { Random } from './random.ts';

export const LINE_BYTES = 64;

/** A line's bytes from the moment `since` on. */
interface Version {
  readonly since: number;
  readonly bytes: Uint8Array;
}

const ZERO_LINE = new Uint8Array(LINE_BYTES);
const BLANK: readonly Version[] = [{ since: 0, bytes: ZERO_LINE }];

export class IncoherentMemory {
  readonly lengthBytes: number;
  readonly random: Random;
  readonly hosts: readonly IncoherentHost[];
  /** How likely it is, before a step, that one more dirty line of a host is evicted. */
  evictionChance = 0;
  /** Before every raw step of any process, with nothing half done. */
  onStep: () => void = () => {};
  /** After each line that reached memory. */
  onWritten: (offset: number) => void = () => {};
  readonly #lines = new Map<number, Version[]>();
  #now = 0;

  constructor(lengthBytes: number, hosts: number, random: Random) {
    this.lengthBytes = lengthBytes;
    this.random = random;
    this.hosts = Array.from({ length: hosts }, () => new IncoherentHost(this));
  }

  /** Number of lines that reached memory. */
  get now(): number {
    return this.#now;
  }

  host(at: number): IncoherentHost {
    return this.hosts[at % this.hosts.length] as IncoherentHost;
  }

  /** What is in memory, at the moment `when`, whatever any cache holds. */
  peek(offset: number, lengthBytes: number, when = this.#now): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    for (const { line, from, to } of linesOf(offset, lengthBytes)) {
      bytes.set(this.lineAt(line, when).subarray(from, to), line * LINE_BYTES + from - offset);
    }
    return bytes;
  }

  /** An aligned word. */
  peekWord(offset: number, when = this.#now): number {
    const { buffer, byteOffset } = this.lineAt(Math.floor(offset / LINE_BYTES), when);
    return Number(new DataView(buffer, byteOffset).getBigUint64(offset % LINE_BYTES, true));
  }

  /** Every host reaches the present: what one of them learned, it has told the others. */
  catchUp(): void {
    for (const host of this.hosts) host.catchUp();
  }

  /** For hosts: the line as it was at `when`. */
  lineAt(line: number, when: number): Uint8Array {
    const versions = this.versions(line);
    return versions[versionAt(versions, when)]?.bytes ?? ZERO_LINE;
  }

  /** For hosts: all states of the line, oldest first. */
  versions(line: number): readonly Version[] {
    return this.#lines.get(line) ?? BLANK;
  }

  /** For hosts: a line reaches memory. */
  put(line: number, bytes: Uint8Array): void {
    this.#now++;
    const versions = this.#lines.get(line) ?? [...BLANK];
    versions.push({ since: this.#now, bytes: bytes.slice() });
    this.#lines.set(line, versions);
    this.onWritten(line * LINE_BYTES);
  }

  /** For processes: what may happen before a step. */
  beforeStep(): void {
    for (const host of this.hosts) host.evictSome(this.evictionChance);
    this.onStep();
  }

  checkRange(offset: number, lengthBytes: number): void {
    const isInside = offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= this.lengthBytes;
    if (isInside && Number.isInteger(offset) && Number.isInteger(lengthBytes)) return;
    throw new Fault('INVALID', `incoherent memory: ${lengthBytes} bytes at ${offset} are outside`);
  }
}

/** The position of the version that stands at `when`. */
export function versionAt(versions: readonly Version[], when: number): number {
  let at = versions.length - 1;
  while (at > 0 && (versions[at]?.since ?? 0) > when) at--;
  return at;
}

/** Bytes [from, to) of a line. */
export interface Piece {
  readonly line: number;
  readonly from: number;
  readonly to: number;
}

/** The lines of a range, and which bytes of each. */
export function linesOf(offset: number, lengthBytes: number): Piece[] {
  const end = offset + lengthBytes;
  const pieces: Piece[] = [];
  for (let at = offset; at < end; ) {
    const line = Math.floor(at / LINE_BYTES);
    const start = line * LINE_BYTES;
    const to = Math.min(end, start + LINE_BYTES);
    pieces.push({ line, from: at - start, to: to - start });
    at = to;
  }
  return pieces;
}
