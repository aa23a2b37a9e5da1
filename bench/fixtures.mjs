import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MiB, TiB } from '../dist/base/numbers.js';
import { encodeLogEntry } from '../dist/format/log-entry.js';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
  NEXT_SEQNUM_OFFSET,
} from '../dist/format/log-header.js';
import { addon } from '../dist/native/addon.js';
import { Mapping } from '../dist/native/mapping.js';
import { createEmulatedDevice } from '../dist/pool/emulated-device.js';
import { mkfs } from '../dist/pool/mkfs.js';

export const MASTER = '5ca1ab1e-0000-4000-8000-000000000001';
export const WRITE_BACK = addon().writeBackInstruction();
const FILE_BYTES = 2 * MiB;
const FILES_PER_DIRECTORY = 1000;
const BATCH = 1000;

/**
 * A pool on a sparse file in memory, 1 TiB unless told otherwise. `use` gets its path; the file is
 * gone when it returns or throws, also when it is async.
 */
export async function withPool({ sizeBytes = TiB, logLengthBytes = 8 * MiB }, use) {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'famfs-bench-'));
  try {
    const device = join(folder, 'device');
    createEmulatedDevice(device, sizeBytes);
    {
      const memory = Mapping.open(device, { writable: true });
      mkfs(memory, { deviceName: 'bench', systemUuid: MASTER, logLengthBytes });
      memory[Symbol.dispose]();
    }
    return await use(device);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As `withPool`, with that many entries in the log: a directory before each 1,000 files. */
export function withFilledPool(entryCount, options, use) {
  return withPool({ logLengthBytes: logFor(entryCount), ...options }, (device) => {
    const memory = Mapping.open(device, { writable: true });
    try {
      fill(memory, entryCount, options);
    } finally {
      memory[Symbol.dispose]();
    }
    return use(device);
  });
}

/** The shortest log that holds that many entries. */
function logFor(entryCount) {
  let lengthBytes = 8 * MiB;
  while (entryOffset(entryCount) > lengthBytes) lengthBytes *= 2;
  return lengthBytes;
}

function fill(memory, entryCount, { filesPerDirectory = FILES_PER_DIRECTORY, logLengthBytes }) {
  const firstOffset = LOG_OFFSET + (logLengthBytes ?? logFor(entryCount));
  for (let first = 0; first < entryCount; first += BATCH) {
    const count = Math.min(BATCH, entryCount - first);
    const bytes = new Uint8Array(count * ENTRY_BYTES);
    for (let at = 0; at < count; at++) {
      const entry = entryAt(first + at, firstOffset, filesPerDirectory);
      bytes.set(encodeLogEntry(first + at, entry), at * ENTRY_BYTES);
    }
    memory.write(LOG_OFFSET + entryOffset(first), bytes);
  }
  memory.publish(LOG_OFFSET + NEXT_SEQNUM_OFFSET, BigInt(entryCount));
  memory.publish(LOG_OFFSET + NEXT_INDEX_OFFSET, BigInt(entryCount));
}

const OWNER = { uid: 1000, gid: 1000 };

function entryAt(index, firstOffset, filesPerDirectory) {
  const group = Math.floor(index / (filesPerDirectory + 1));
  const within = index - group * (filesPerDirectory + 1) - 1;
  const directory = `volume-${String(group).padStart(6, '0')}`;
  if (within < 0) return { type: 'mkdir', path: directory, ...OWNER, mode: 0o755 };
  return fileEntry(`${directory}/file-${within}`, {
    devindex: 0,
    offset: firstOffset + index * FILE_BYTES,
    lengthBytes: FILE_BYTES,
  });
}

export function fileEntry(path, ...extents) {
  return fileWith(path, { type: 'simple', extents }, extents[0].lengthBytes);
}

export function fileWith(path, fmap, sizeBytes) {
  return { type: 'file', path, sizeBytes, flags: 2, ...OWNER, mode: 0o644, fmap };
}
