import { describe, expect, test } from '@jest/globals';
import type { Errno } from '../../src/fuse/errno.ts';
import type { FileMap } from '../../src/fuse/fmap.ts';
import { negotiate } from '../../src/fuse/init.ts';
import { invalidateEntry } from '../../src/fuse/notify.ts';
import type { Attr } from '../../src/fuse/operations.ts';
import { Responder } from '../../src/fuse/responder.ts';
import { type MemoryFile, MemoryFileSystem } from './memory-file-system.ts';
import { flatten, toHex } from './messages.ts';
import { type Exchange, readTranscript } from './transcript.ts';

const INIT = 26;
const LOOKUP = 1;
const OPEN = 14;
const EPERM = -1;

/**
 * What the recorded server answered and this one does not, by design: the error that stands in its
 * place. CREATE: names come from the log alone.
 */
const ANSWERED_OTHERWISE = new Map([[35, EPERM]]);

/** `[offset, size]` of fields of a reply that are not compared, each for the reason given. */
type Fields = readonly (readonly [at: number, size: number])[];

/** Fields of fuse_init_out that are this server's choice: flags, max_write, max_pages, flags2. */
const INIT_FIELDS: Fields = [
  [16 + 12, 4],
  [16 + 20, 4],
  [16 + 28, 2],
  [16 + 32, 4],
];
/** fuse_entry_out.attr.blocks: the recorded server rounded down, stat(2) counts what is used. */
const ENTRY_FIELDS: Fields = [[16 + 40 + 16, 8]];

/** fuse_open_out.backing_id: the recorded server filled it in; it counts for PASSTHROUGH alone. */
const OPEN_FIELDS: Fields = [[16 + 12, 4]];

const NOT_COMPARED = new Map([
  [INIT, INIT_FIELDS],
  [LOOKUP, ENTRY_FIELDS],
  [OPEN, OPEN_FIELDS],
]);

const attr = (ino: number, sizeBytes: number, mode = 0o100666): Attr => ({
  ino,
  sizeBytes,
  mode,
  nlink: 1,
  uid: 0,
  gid: 0,
  timeSeconds: 0,
});

const MiB = 1024 * 1024;
/** The story's files. No name leads to `c`: in the story CREATE made it, which is refused here. */
const FILES: readonly MemoryFile[] = [
  { name: 'f', attr: attr(2, 8 * MiB) },
  { name: 'g', attr: attr(3, 12 * MiB) },
  { name: 'two', attr: attr(4, 8 * MiB) },
  { name: 'odd', attr: attr(5, 0x301001) },
  { name: 'e_err', attr: attr(6, 4 * MiB) },
  { name: 'x32', attr: attr(0x15, 64 * MiB) },
  { name: 's16', attr: attr(0x1a, 64 * MiB) },
  { name: 'many', attr: attr(0x1c, 4000 * MiB) },
  { name: '/created in the story', attr: attr(0x64, 4 * MiB) },
];

type Place = readonly [offset: number, lengthBytes: number];
const simple = (sizeBytes: number, ...at: readonly Place[]) => ({
  type: 'simple' as const,
  sizeBytes,
  extents: at.map(([offset, lengthBytes]) => ({ devindex: 0, offset, lengthBytes })),
});
const striped = (sizeBytes: number, ...at: readonly Place[]) => ({
  type: 'interleaved' as const,
  sizeBytes,
  chunkBytes: 2 * MiB,
  strips: at.map(([offset, lengthBytes]) => ({ devindex: 0, offset, lengthBytes })),
});
const count = (n: number) => Array.from({ length: n }, (_, at) => at);

/** Where the story's files are. */
const MAPS: readonly (readonly [ino: number, map: FileMap | Errno])[] = [
  [2, simple(8 * MiB, [64 * MiB, 8 * MiB])],
  [3, striped(12 * MiB, [128 * MiB, 6 * MiB], [160 * MiB, 6 * MiB])],
  [4, simple(8 * MiB, [200 * MiB, 4 * MiB], [300 * MiB, 4 * MiB])],
  [5, simple(0x301001, [400 * MiB, 4 * MiB])],
  [6, EPERM as Errno],
  [0x15, simple(64 * MiB, ...count(32).map((at) => [(1062 - 2 * at) * MiB, 2 * MiB] as const))],
  [0x1a, striped(64 * MiB, ...count(16).map((at) => [(1200 + 8 * at) * MiB, 4 * MiB] as const))],
  [0x1c, simple(4000 * MiB, ...count(2000).map((at) => [2 * at * MiB, 2 * MiB] as const))],
  [0x64, simple(4 * MiB, [1400 * MiB, 4 * MiB])],
];

/** The recorded server took data and kept none: every byte that it gave was an R. */
class StoryFileSystem extends MemoryFileSystem {
  override write(_ino: number, _offset: number, bytes: Uint8Array): number {
    return bytes.length;
  }
}

function storyFileSystem(): MemoryFileSystem {
  const fs = new StoryFileSystem({
    root: attr(1, 4096, 0o040755),
    files: FILES,
    memory: new Uint8Array(256 * 1024).fill(0x52),
    validSeconds: [3600, 3600],
  });
  for (const [ino, map] of MAPS) fs.maps.set(ino, map);
  fs.daxdevs.push('/dev/dax0.0');
  fs.statfsReply = {
    blockBytes: 0,
    blocks: 0,
    blocksFree: 0,
    blocksAvailable: 0,
    files: 0,
    filesFree: 0,
    nameBytesMax: 0,
  };
  return fs;
}

function errorTo(request: Uint8Array, error: number): Uint8Array {
  const reply = Buffer.alloc(16);
  reply.writeUInt32LE(16, 0);
  reply.writeInt32LE(error as Errno, 4);
  reply.set(request.subarray(8, 16), 8);
  return reply;
}

function without(fields: Fields, bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  for (const [at, size] of fields) copy.fill(0, at, at + size);
  return copy;
}

/** Holds one reply of ours to the recorded one; says which opcode and line differ. */
function compare(exchange: Exchange & { kind: 'request' }, ours: Uint8Array | undefined): void {
  const { bytes, reply, line } = exchange;
  const opcode = Buffer.from(bytes).readUInt32LE(4);
  const at = (found: Uint8Array | undefined) => `line ${line}, opcode ${opcode}: ${toHex(found)}`;
  const otherwise = ANSWERED_OTHERWISE.get(opcode);
  if (otherwise !== undefined) {
    expect(reply).toBeDefined();
    expect(at(ours)).toBe(at(errorTo(bytes, otherwise)));
  } else if (reply === undefined) {
    // FORGET gets none; the last READ of the stock kernel's story was not recorded.
    expect([2, 15]).toContain(opcode);
    expect(ours === undefined).toBe(opcode === 2);
  } else {
    const mine = ours ?? new Uint8Array();
    const fields = mine.length > 16 ? (NOT_COMPARED.get(opcode) ?? []) : [];
    const length = reply.isWhole ? mine.length : reply.bytes.length;
    expect(at(without(fields, mine.subarray(0, length)))).toBe(at(without(fields, reply.bytes)));
  }
}

describe('transcripts of real kernels', () => {
  test.each([
    ['pull.txt', 58 + 1],
    ['push.txt', 53 + 1],
    ['push2.txt', 53 + 1],
    ['stock-bit43.txt', 5],
  ])('%s: answers every message as the recorded server did', (name, count) => {
    const failures: unknown[] = [];
    const fs = storyFileSystem();
    const responder = new Responder(fs, {
      malformed: (problem) => failures.push(problem),
      failed: (operation, error) => failures.push(operation, error),
    });
    const exchanges = readTranscript(name);
    // Requests, and the one notification; so nothing of the file is passed over.
    expect(exchanges.length).toBe(count);
    for (const exchange of exchanges) {
      if (exchange.kind === 'notification') {
        expect(toHex(invalidateEntry(1, 'f'))).toBe(toHex(exchange.bytes));
        continue;
      }
      const isInit = Buffer.from(exchange.bytes).readUInt32LE(4) === INIT;
      const ours = isInit
        ? negotiate(exchange.bytes, { requestDaxFmap: true }).reply
        : flatten(responder.answer(exchange.bytes));
      compare(exchange, ours);
    }
    expect(failures).toEqual([]);
  });

  test('asks a famfs kernel for bit 43 only when told to', () => {
    const init = readTranscript('push2.txt')[0]?.bytes ?? new Uint8Array();
    expect(negotiate(init).negotiated).toMatchObject({ daxFmap: false, canResend: true });
    expect(negotiate(init, { requestDaxFmap: true }).negotiated).toMatchObject({
      daxFmap: true,
      offeredFlags2: 0xdff,
      maxWriteBytes: 1024 * 1024,
      minor: 46,
    });
  });
});
