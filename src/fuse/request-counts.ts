import { OPCODE } from './abi-constants.ts';
import { IN_HEADER } from './abi-structs.ts';

/** Requests by the kernel's name of their opcode; `other`: all that this server does not know. */
export type Requests = Readonly<Record<string, number>>;

const SLOTS = 64;
const OTHER = 0; // no opcode has this number
const NAMES = new Map<number, string>([
  [OTHER, 'other'],
  ...Object.entries(OPCODE).map(([name, opcode]) => [opcode, name] as const),
]);

/**
 * How many requests of each kind the kernel has sent to this server. On a dax path loads and
 * stores must send none: that is what pods are promised, and here it can be seen.
 */
export class RequestCounts {
  readonly #counts = new Float64Array(SLOTS);

  /** Counts a message as it was read from the device. */
  add(message: Uint8Array): void {
    if (message.length < IN_HEADER.size) return;
    const { buffer, byteOffset } = message;
    const opcode = new DataView(buffer, byteOffset).getUint32(IN_HEADER.opcode, true);
    const slot = NAMES.has(opcode) ? opcode : OTHER;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
  }

  /** Those that came at all. */
  read(): Requests {
    const all = [...this.#counts].map((count, slot) => [NAMES.get(slot) ?? '', count] as const);
    return Object.fromEntries(all.filter(([, count]) => count > 0));
  }
}
