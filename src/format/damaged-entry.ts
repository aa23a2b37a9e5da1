import {
  CRC_OFFSET,
  decodeLogEntry,
  type FileMemory,
  fileMemoryIn,
  isBareOfMemory,
  type LogEntry,
  renumbered,
} from './log-entry.ts';
import { ENTRY_BYTES } from './log-header.ts';

/** What can be told of an entry that replay stops at. */
export interface DamagedEntry {
  /** Why replay stops: ENTRY_CRC or ENTRY_SEQNUM. */
  readonly code: string;
  readonly message: string;
  /**
   * Its crc is right, as it stands or with its place's number: a writer wrote just these bytes, and
   * only the number is wrong.
   */
  readonly isWhole: boolean;
  /** What its bytes say, crc and number passed over; undefined when they are no entry. */
  readonly entry: LogEntry | undefined;
  /** Size and memory as its bytes say them, also where its path cannot be read. */
  readonly file: FileMemory | undefined;
  /** True where it surely owned no memory; false where it did, or where that cannot be told. */
  readonly isBare: boolean;
}

/** Reads what stands at `index`; undefined when it is no damage, whatever else it is. */
export function readDamaged(bytes: Uint8Array, index: number): DamagedEntry | undefined {
  const decoded = decodeLogEntry(bytes, index);
  if (decoded.ok || !decoded.damage) return undefined;
  const { code, message } = decoded;
  const right = renumbered(bytes, index);
  const isWhole = code === 'ENTRY_SEQNUM' || hasSameCrc(bytes, right);
  const passed = decodeLogEntry(right, index);
  const entry = passed.ok ? passed.entry : undefined;
  const file = fileMemoryIn(bytes);
  const isWholeOther = isWhole && entry !== undefined && entry.type !== 'file';
  return { code, message, isWhole, entry, file, isBare: isWholeOther || isBareOfMemory(bytes) };
}

function hasSameCrc(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one.subarray(CRC_OFFSET, ENTRY_BYTES), other.subarray(CRC_OFFSET)) === 0;
}
