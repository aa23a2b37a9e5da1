import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { codeOf, Fault } from '../../base/errors.ts';
import { MiB } from '../../base/numbers.ts';
import { Mapping } from '../../native/mapping.ts';

const PIECE_BYTES = 4 * MiB;

/** What a pod's program did, as one line of JSON on its standard output. */
export interface ProgramReport {
  readonly bytes: number;
  readonly sha256: string;
}

/** The writer's program: maps the volume's file, copies the dataset in, and msyncs. */
export function copyIn(dataset: string, target: string): ProgramReport {
  using mapping = Mapping.open(target, { writable: true });
  const hash = createHash('sha256');
  const bytes = forEachPiece(dataset, (offset, piece) => {
    mapping.copyIn(offset, piece);
    hash.update(piece);
  });
  mapping.sync(0, bytes);
  return { bytes, sha256: hash.digest('hex') };
}

/** The reader's program: maps the file read-only and compares every byte with the dataset. */
export function verify(dataset: string, target: string): ProgramReport {
  using mapping = Mapping.open(target, { writable: false });
  const hash = createHash('sha256');
  const seen = Buffer.alloc(PIECE_BYTES);
  const bytes = forEachPiece(dataset, (offset, piece) => {
    const mapped = seen.subarray(0, piece.length);
    mapping.copyOut(offset, mapped);
    hash.update(mapped);
    if (Buffer.compare(mapped, piece) !== 0) {
      const at = offset + mapped.findIndex((byte, index) => byte !== piece[index]);
      throw new Fault('CORRUPT', `${target}: differs from ${dataset} at byte ${at}`);
    }
  });
  return { bytes, sha256: hash.digest('hex') };
}

/** Calls `use` with each piece of a file; the piece is valid until `use` returns. */
function forEachPiece(path: string, use: (offset: number, piece: Buffer) => void): number {
  const fd = openDataset(path);
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(PIECE_BYTES);
    let offset = 0;
    while (offset < size) {
      const count = readSync(fd, buffer, 0, Math.min(PIECE_BYTES, size - offset), offset);
      if (count === 0) throw new Fault('IO', `${path}: ends at ${offset}, expected ${size} bytes`);
      use(offset, buffer.subarray(0, count));
      offset += count;
    }
    return size;
  } finally {
    closeSync(fd);
  }
}

function openDataset(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new Fault('NOT_FOUND', `${path}: the dataset cannot be read any more (${codeOf(error)})`);
  }
}
