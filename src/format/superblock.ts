import { crc32 } from 'node:zlib';
import { Fault } from '../base/errors.ts';
import { layout } from '../base/layout.ts';
import { getU64, isPowerOfTwo, MiB, setU64 } from '../base/numbers.ts';
import { formatUuid, parseUuid } from '../base/uuid.ts';
import { LOG_LENGTH_MIN, LOG_OFFSET } from './log-header.ts';

/**
 * The superblock, at byte 0 of a device; format.md, "Superblock". Little-endian.
 *
 * | field | written by | a torn write gives |
 * |---|---|---|
 * | magic … systemUuid | mkfs, once | CORRUPT: the crc covers bytes [0, 96) |
 * | systemUuid, crc | `adopt`, word by word | CORRUPT, until it is run again: `masterWords` |
 * | flags … deviceName | mkfs, once | wrong text for people, or a wrong size: outside the crc |
 *
 * A secondary device has one too: as the primary's but for deviceUuid, flags, size and name.
 */
const F = layout('superblock', 200, {
  magic: [0, 8],
  version: [8, 8],
  logOffset: [16, 8],
  logLength: [24, 8],
  allocUnit: [32, 8],
  omfMajor: [40, 4],
  omfMinor: [44, 4],
  fsUuid: [48, 16],
  deviceUuid: [64, 16],
  systemUuid: [80, 16],
  crc: [96, 8],
  flags: [104, 4],
  pad: [108, 4],
  deviceSize: [112, 8],
  unusedUuid: [120, 16],
  deviceName: [136, 64],
});

export const SUPERBLOCK_BYTES = F.size;
export const OMF_MAJOR = 2;
export const OMF_MINOR = 2;
export const FLAG_PRIMARY = 1;
/** Of a device that ADD_DAXDEV adds: its superblock says whose it is, and there is no log on it. */
export const FLAG_SECONDARY = 2;

const MAGIC = 0x87b282ffn;
const VERSION = 48;
/** In UTF-8, without the NUL. */
export const DEVICE_NAME_BYTES_MAX = 63;
const ALLOC_UNITS: readonly number[] = [4096, 2 * MiB];

/** A decoded superblock: lengths and sizes in bytes, uuids as text. */
export interface Superblock {
  readonly logOffset: number;
  readonly logLengthBytes: number;
  readonly allocUnitBytes: number;
  readonly omfMajor: number;
  readonly omfMinor: number;
  readonly fsUuid: string;
  readonly deviceUuid: string;
  /** The master: the one identity that may append to the log. */
  readonly systemUuid: string;
  readonly flags: number;
  readonly deviceSizeBytes: number;
  readonly deviceName: string;
}

/** INVALID when the device's name is longer than 63 bytes or a uuid is none. */
export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const bytes = new Uint8Array(F.size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(F.magic, MAGIC, true);
  setU64(view, F.version, VERSION);
  setU64(view, F.logOffset, superblock.logOffset);
  setU64(view, F.logLength, superblock.logLengthBytes);
  setU64(view, F.allocUnit, superblock.allocUnitBytes);
  view.setUint32(F.omfMajor, superblock.omfMajor, true);
  view.setUint32(F.omfMinor, superblock.omfMinor, true);
  bytes.set(parseUuid('fs uuid', superblock.fsUuid), F.fsUuid);
  bytes.set(parseUuid('device uuid', superblock.deviceUuid), F.deviceUuid);
  bytes.set(parseUuid('system uuid', superblock.systemUuid), F.systemUuid);
  setU64(view, F.crc, crc32(bytes.subarray(0, F.crc)));
  view.setUint32(F.flags, superblock.flags, true);
  setU64(view, F.deviceSize, superblock.deviceSizeBytes);
  const name = new TextEncoder().encode(superblock.deviceName);
  if (name.length > DEVICE_NAME_BYTES_MAX) {
    throw new Fault(
      'INVALID',
      `device name: found ${name.length} bytes, expected at most ${DEVICE_NAME_BYTES_MAX}; ` +
        'give a shorter --device-name',
    );
  }
  bytes.set(name, F.deviceName);
  return bytes;
}

/** One aligned word of a superblock. */
export interface SuperblockWord {
  readonly offset: number;
  readonly value: bigint;
}

/**
 * What makes another system the master, word by word in this order: the crc that the bytes shall
 * have, then the uuid. Cut short in between, the crc fits no master but that one.
 */
export function masterWords(bytes: Uint8Array, systemUuid: string): SuperblockWord[] {
  const named = withMaster(bytes, systemUuid);
  const view = new DataView(named.buffer);
  const crc = { offset: F.crc, value: BigInt(crc32(named.subarray(0, F.crc))) };
  const uuid = [F.systemUuid, F.systemUuid + 8].map((offset) => {
    return { offset, value: view.getBigUint64(offset, true) };
  });
  return [crc, ...uuid];
}

/** The same bytes, but for the master's uuid. */
export function withMaster(bytes: Uint8Array, systemUuid: string): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(parseUuid('system uuid', systemUuid), F.systemUuid);
  return copy;
}

/**
 * Checks magic, then crc, then version and geometry, in the order in which each can be trusted.
 * NOT_FAMFS: another magic, or too short; CORRUPT: a wrong crc or an impossible geometry;
 * UNSUPPORTED: another version or major, or an allocation unit that no reader takes.
 */
export function decodeSuperblock(bytes: Uint8Array): Superblock {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < F.size || view.getBigUint64(F.magic, true) !== MAGIC) {
    const found = bytes.length < 8 ? `${bytes.length} bytes` : hex(view.getBigUint64(0, true));
    throw new Fault(
      'NOT_FAMFS',
      `superblock: magic is ${found}, expected ${hex(MAGIC)}; this is no famfs device, or its ` +
        'first bytes are lost',
    );
  }
  const crc = view.getBigUint64(F.crc, true);
  const computed = BigInt(crc32(bytes.subarray(0, F.crc)));
  if (crc !== computed) {
    throw new Fault('CORRUPT', `superblock: crc is ${hex(crc)}, its bytes give ${hex(computed)}`);
  }
  const version = view.getBigUint64(F.version, true);
  const omfMajor = view.getUint32(F.omfMajor, true);
  if (version !== BigInt(VERSION) || omfMajor !== OMF_MAJOR) {
    throw new Fault(
      'UNSUPPORTED',
      `superblock: version ${version}, OMF major ${omfMajor}; this build serves version ` +
        `${VERSION}, OMF major ${OMF_MAJOR}`,
    );
  }
  const superblock = {
    logOffset: getU64(view, F.logOffset, 'superblock log_offset'),
    logLengthBytes: getU64(view, F.logLength, 'superblock log_len'),
    allocUnitBytes: getU64(view, F.allocUnit, 'superblock alloc_unit'),
    omfMajor,
    omfMinor: view.getUint32(F.omfMinor, true),
    fsUuid: formatUuid(bytes.subarray(F.fsUuid)),
    deviceUuid: formatUuid(bytes.subarray(F.deviceUuid)),
    systemUuid: formatUuid(bytes.subarray(F.systemUuid)),
    flags: view.getUint32(F.flags, true),
    deviceSizeBytes: getU64(view, F.deviceSize, 'superblock device size'),
    deviceName: textUpToNul(bytes.subarray(F.deviceName, F.size)),
  };
  checkGeometry(superblock);
  return superblock;
}

function checkGeometry(superblock: Superblock): void {
  const { logOffset, logLengthBytes, allocUnitBytes, deviceSizeBytes, flags } = superblock;
  if (!ALLOC_UNITS.includes(allocUnitBytes)) {
    const text = `superblock: alloc_unit is ${allocUnitBytes}, expected 4096 or ${2 * MiB}`;
    throw new Fault('UNSUPPORTED', text);
  }
  const isLength = isPowerOfTwo(logLengthBytes) && logLengthBytes >= LOG_LENGTH_MIN;
  if (logOffset !== LOG_OFFSET || !isLength) {
    throw new Fault(
      'CORRUPT',
      `superblock: the log is at ${logOffset}, ${logLengthBytes} bytes; expected it at ` +
        `${LOG_OFFSET}, a power of two of at least ${LOG_LENGTH_MIN}`,
    );
  }
  // A secondary says how long the log of its pool is, which is on the primary.
  if (flags !== FLAG_SECONDARY && deviceSizeBytes < logOffset + logLengthBytes) {
    throw new Fault(
      'CORRUPT',
      `superblock: the device has ${deviceSizeBytes} bytes, its log ends at ` +
        `${logOffset + logLengthBytes}`,
    );
  }
}

function hex(word: bigint): string {
  return `0x${word.toString(16)}`;
}

function textUpToNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(
    end < 0 ? bytes : bytes.subarray(0, end),
  );
}
