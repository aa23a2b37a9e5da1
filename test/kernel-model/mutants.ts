import { MiB } from '../../src/base/numbers.ts';
import { INIT_FLAG, OPCODE } from '../../src/fuse/abi-constants.ts';
import { INIT_OUT } from '../../src/fuse/abi-structs.ts';
import { invalidateEntry, invalidateInode } from '../../src/fuse/notify.ts';
import type { SessionDevice } from '../../src/fuse/session.ts';
import type { Segment } from '../../src/native/mapping.ts';
import { flatten } from '../fuse/messages.ts';
import type { KernelName } from './generations.ts';
import type { Kernel } from './kernel.ts';
import { struct, viewOf } from './messages.ts';
import { at, FILES_AT, ModelPool, simple } from './model-pool.ts';
import { O_RDWR, Process } from './process.ts';
import type { RuleId } from './rules.ts';
import type { Program } from './task.ts';

/** Replies begin with a header of 16 bytes; a map's fields are behind it. */
const BODY = 16;
const EXTENT = BODY + 32;
const ENOSYS = -38;

/** Bytes of a reply, to be changed: undefined leaves it as it is. */
type Change = (reply: Uint8Array) => Uint8Array | undefined;

/** A server that breaks one rule: the right one, but for one reply. */
export interface Mutant {
  readonly rule: RuleId;
  readonly kernel: KernelName;
  /** What it does, to be read with the rule's text. */
  readonly what: string;
  /** Replies to this opcode are changed. */
  readonly opcode?: number;
  readonly change?: Change;
  /** Before the answer to this message, it writes something. */
  readonly writes?: { before: number; message: Uint8Array };
  readonly run: (process: Process, kernel: Kernel) => Program<unknown>;
}

/** `data` (two extents), `striped` (two strips), `long` (200 chunks) and `other`, all in `vol`. */
export function mutantPool(): ModelPool {
  const pool = new ModelPool();
  pool.directory('vol');
  pool.file('vol/data', simple(at(FILES_AT, 4 * MiB), at(FILES_AT + 8 * MiB, 4 * MiB)));
  pool.file('vol/other', simple(at(FILES_AT + 16 * MiB, 8 * MiB)));
  const chunkBytes = 2 * MiB;
  const striped = [at(FILES_AT + 32 * MiB, 4 * MiB), at(FILES_AT + 40 * MiB, 4 * MiB)];
  pool.file('vol/striped', { type: 'interleaved', chunkBytes, strips: striped });
  const long = [at(FILES_AT + 64 * MiB, 200 * MiB), at(FILES_AT + 512 * MiB, 200 * MiB)];
  pool.file('vol/long', { type: 'interleaved', chunkBytes, strips: long });
  return pool;
}

/** A device between kernel and server that changes what the mutant changes. */
export class MutantDevice implements SessionDevice {
  readonly #kernel: Kernel;
  readonly #mutant: Mutant;
  #opcode = 0;

  constructor(kernel: Kernel, mutant: Mutant) {
    this.#kernel = kernel;
    this.#mutant = mutant;
  }

  receive(buffer: Uint8Array): number | 'gone' {
    const length = this.#kernel.receive(buffer);
    if (length === 'gone' || length === 0) return length;
    this.#opcode = viewOf(buffer).getUint32(4, true);
    const { writes } = this.#mutant;
    if (writes?.before === this.#opcode) this.#kernel.send(writes.message);
    return length;
  }

  send(head: Uint8Array, segments?: readonly Segment[]): boolean {
    const { opcode, change } = this.#mutant;
    if (this.#opcode !== opcode || change === undefined) return this.#kernel.send(head, segments);
    const whole = flatten(segments ? { head, segments } : { head }) as Uint8Array;
    const changed = change(whole.slice()) ?? whole;
    viewOf(changed).setUint32(0, changed.length, true);
    return this.#kernel.send(changed);
  }
}

const u32 =
  (offset: number, value: number): Change =>
  (reply) => {
    viewOf(reply).setUint32(offset, value, true);
    return reply;
  };
const u64 =
  (offset: number, change: (value: number) => number): Change =>
  (reply) => {
    const view = viewOf(reply);
    const value = change(Number(view.getBigUint64(offset, true)));
    view.setBigUint64(offset, BigInt(value), true);
    return reply;
  };
const cut =
  (bytes: number): Change =>
  (reply) =>
    reply.slice(0, bytes);
const padded =
  (bytes: number): Change =>
  (reply) => {
    const longer = new Uint8Array(bytes);
    longer.set(reply);
    return longer;
  };
const error =
  (number: number): Change =>
  (reply) => {
    viewOf(reply).setInt32(4, number, true);
    return reply.slice(0, BODY);
  };
const payload =
  (...parts: readonly Uint8Array[]): Change =>
  (reply) =>
    new Uint8Array(Buffer.concat([reply.slice(0, BODY), ...parts]));

const header = (extType: number, nextents: number, fmapSize: number, fileSize: number) =>
  struct(32, [2, 2, 1], [4, 4, extType], [8, 4, nextents], [12, 4, fmapSize], [16, 8, fileSize]);
const extent = (offset: number, length: number) => struct(24, [8, 8, offset], [16, 8, length]);
const iext = (nstrips: number, chunkBytes: number, nbytes: number) =>
  struct(24, [0, 4, nstrips], [4, 4, chunkBytes], [8, 8, nbytes]);
const many = (count: number, one: (at: number) => Uint8Array) =>
  Array.from({ length: count }, (_, index) => one(index));

const open = (name: string) => (process: Process) => process.open(`/vol/${name}`, O_RDWR);

function* openTwo(process: Process): Program<void> {
  yield* process.close(yield* process.open('/vol/data', O_RDWR));
  yield* process.open('/vol/other', O_RDWR);
}

/** Opens, then asks for the same once more, when nothing that was told is valid any more. */
function* openAndStat(process: Process, kernel: Kernel): Program<void> {
  yield* process.open('/vol/data', O_RDWR);
  kernel.nowMs += 10_000_000;
  yield* process.stat('/vol/data');
}

function* openAndFstat(process: Process, kernel: Kernel): Program<void> {
  const file = yield* process.open('/vol/data', O_RDWR);
  kernel.nowMs += 10_000_000;
  yield* process.pread(file, 0, 1);
}

function* openAndTruncate(process: Process): Program<void> {
  const file = yield* process.open('/vol/data', O_RDWR);
  yield* process.ftruncate(file, 4096);
}

function* openAndRead(process: Process): Program<void> {
  yield* process.readdir('/vol');
  yield* process.open('/vol/data', O_RDWR);
  yield* process.statfs();
}

function* openInPod(_: Process, kernel: Kernel): Program<void> {
  yield* new Process(kernel, { root: 'pod' }).open('/vol/data');
}

function* mapAndUnbind(process: Process, kernel: Kernel): Program<void> {
  process.mmap(yield* process.open('/vol/data', O_RDWR));
  kernel.host.unbind('/dev/dax0.0', kernel.rules);
}

const GET_FMAP = { opcode: OPCODE.GET_FMAP };
const GET_DAXDEV = { opcode: OPCODE.GET_DAXDEV };
const INIT = { opcode: OPCODE.INIT };
/** `fuse_attr.size` in a LOOKUP reply and in a GETATTR or SETATTR reply. */
const LOOKUP_SIZE = BODY + 40 + 8;
const ATTR_SIZE = BODY + 16 + 8;
const DATA_INO = 16 + FILES_AT / 4096;

function asked(flag: number): Change {
  return (reply) => {
    const view = viewOf(reply);
    const flags = view.getUint32(BODY + INIT_OUT.flags, true);
    view.setUint32(BODY + INIT_OUT.flags, flags ^ flag, true);
    return reply;
  };
}

/** At least one server for each rule. */
export const MUTANTS: readonly Mutant[] = [
  {
    ...{ rule: 'init-ext', kernel: 'pull', what: 'INIT without INIT_EXT' },
    ...{ ...INIT, change: asked(INIT_FLAG.INIT_EXT), run: open('data') },
  },
  {
    ...{ rule: 'no-writeback-cache', kernel: 'push2', what: 'INIT with WRITEBACK_CACHE' },
    ...{ ...INIT, change: asked(INIT_FLAG.WRITEBACK_CACHE), run: open('data') },
  },
  {
    ...{ rule: 'map-for-every-file', kernel: 'pull', what: 'GET_FMAP answered ENOSYS' },
    ...{ ...GET_FMAP, change: error(ENOSYS), run: open('data') },
  },
  {
    ...{ rule: 'map-16-mib', kernel: 'push2', what: 'a map of 16 MiB and one extent' },
    ...GET_FMAP,
    change: payload(header(0, 700_000, 16 * MiB + 24, 8 * MiB)),
    run: open('data'),
  },
  {
    ...{ rule: 'two-step', kernel: 'push', what: 'a map larger than the room at once' },
    ...{ ...GET_FMAP, change: padded(5000), run: open('long') },
  },
  {
    ...{ rule: 'two-step', kernel: 'push', what: 'the header alone, whatever the room' },
    ...{ ...GET_FMAP, change: cut(BODY + 32), run: open('long') },
  },
  {
    ...{ rule: 'pull-page', kernel: 'pull', what: 'more than a page' },
    ...{ ...GET_FMAP, change: padded(BODY + 4104), run: open('data') },
  },
  {
    ...{ rule: 'extent-count', kernel: 'pull', what: 'no extent' },
    ...{ ...GET_FMAP, change: payload(header(0, 0, 0, 8 * MiB)), run: open('data') },
  },
  {
    ...{ rule: 'extent-count', kernel: 'pull', what: '33 extents' },
    ...GET_FMAP,
    change: payload(
      header(0, 33, 0, 8 * MiB),
      ...many(33, (index) => extent(FILES_AT + index * 2 * MiB, 2 * MiB)),
    ),
    run: open('data'),
  },
  {
    ...{ rule: 'map-header', kernel: 'push2', what: 'version 2 of the header' },
    ...{ ...GET_FMAP, change: u32(BODY, 2 << 16), run: open('data') },
  },
  {
    ...{ rule: 'simple-only', kernel: 'push', what: 'two strips for a push kernel' },
    ...GET_FMAP,
    change: payload(
      header(1, 1, 104, 8 * MiB),
      iext(2, 2 * MiB, 8 * MiB),
      ...many(2, (index) => extent(FILES_AT + 32 * MiB + index * 8 * MiB, 4 * MiB)),
    ),
    run: open('striped'),
  },
  {
    ...{ rule: 'whole-map', kernel: 'pull', what: 'a map that ends before its last extent' },
    ...{ ...GET_FMAP, change: cut(BODY + 32 + 24), run: open('data') },
  },
  {
    ...{ rule: 'fmap-size', kernel: 'push', what: 'fmap_size 0, as a pull kernel has it' },
    ...{ ...GET_FMAP, change: u32(BODY + 12, 0), run: open('data') },
  },
  {
    ...{ rule: 'strip-count', kernel: 'pull', what: '33 strips' },
    ...GET_FMAP,
    change: payload(
      header(1, 1, 0, 8 * MiB),
      iext(33, 2 * MiB, 8 * MiB),
      ...many(33, (index) => extent(FILES_AT + index * 2 * MiB, 2 * MiB)),
    ),
    run: open('striped'),
  },
  {
    ...{ rule: 'no-zero-chunk', kernel: 'push2', what: 'chunk_size 0' },
    ...{ ...GET_FMAP, change: u32(EXTENT + 4, 0), run: open('striped') },
  },
  {
    ...{ rule: 'no-zero-chunk', kernel: 'pull', what: 'no strip' },
    ...{ ...GET_FMAP, change: payload(header(1, 1, 0, 0), iext(0, 2 * MiB, 0)) },
    run: open('striped'),
  },
  {
    ...{ rule: 'aligned', kernel: 'pull', what: 'an offset in units of 4 KiB' },
    ...{ ...GET_FMAP, change: u64(EXTENT + 8, (offset) => offset + 4096), run: open('data') },
  },
  {
    ...{ rule: 'aligned', kernel: 'pull', what: 'a chunk of 4 KiB' },
    ...{ ...GET_FMAP, change: u32(EXTENT + 4, 4096), run: open('striped') },
  },
  {
    ...{ rule: 'aligned', kernel: 'push2', what: 'a length in units of 512 bytes' },
    ...{ ...GET_FMAP, change: u64(EXTENT + 16, (length) => length + 512), run: open('data') },
  },
  {
    ...{ rule: 'device-index', kernel: 'push', what: 'a second device for a push kernel' },
    ...{ ...GET_FMAP, change: u32(EXTENT, 1), run: open('data') },
  },
  {
    ...{ rule: 'device-index', kernel: 'push2', what: 'device 64' },
    ...{ ...GET_FMAP, change: u32(EXTENT, 64), run: open('data') },
  },
  {
    ...{ rule: 'covers-file', kernel: 'push2', what: 'extents shorter than the file' },
    ...{ ...GET_FMAP, change: u64(EXTENT + 16, (length) => length - 4096), run: open('data') },
  },
  {
    ...{ rule: 'strip-share', kernel: 'pull', what: 'one strip short, another long' },
    ...GET_FMAP,
    change: (reply) =>
      u64(EXTENT + 24 + 16, () => 2 * MiB)(u64(EXTENT + 48 + 16, () => 6 * MiB)(reply) ?? reply),
    run: open('striped'),
  },
  {
    ...{ rule: 'registered-first', kernel: 'push2', what: 'a device that was never given' },
    ...{ ...GET_FMAP, change: u32(EXTENT, 1), run: open('data') },
  },
  {
    ...{ rule: 'extents-apart', kernel: 'push2', what: 'one place for two files' },
    ...{ ...GET_FMAP, change: u64(EXTENT + 8, () => FILES_AT), run: openTwo },
  },
  {
    ...{ rule: 'extents-apart', kernel: 'pull', what: 'one place twice in a file' },
    ...{ ...GET_FMAP, change: u64(EXTENT + 24 + 8, () => FILES_AT), run: open('data') },
  },
  {
    ...{ rule: 'size-in-map', kernel: 'pull', what: 'another size in the map than in LOOKUP' },
    ...{ ...GET_FMAP, change: u64(BODY + 16, (size) => size - 1), run: open('data') },
  },
  {
    ...{ rule: 'size-stays', kernel: 'push2', what: 'LOOKUP with another size, later' },
    ...{ opcode: OPCODE.LOOKUP, change: growing(LOOKUP_SIZE), run: openAndStat },
  },
  {
    ...{ rule: 'size-stays', kernel: 'pull', what: 'GETATTR with another size' },
    ...{ opcode: OPCODE.GETATTR, change: u64(ATTR_SIZE, (size) => 2 * size), run: openAndFstat },
  },
  {
    ...{ rule: 'size-stays', kernel: 'push', what: 'ftruncate is let through' },
    ...{ opcode: OPCODE.SETATTR, change: truncated, run: openAndTruncate },
  },
  {
    ...{ rule: 'daxdev-280', kernel: 'pull', what: 'a name alone' },
    ...{ ...GET_DAXDEV, change: cut(BODY + 256), run: open('data') },
  },
  {
    ...{ rule: 'is-dax', kernel: 'pull', what: '/dev/null for a dax device' },
    ...GET_DAXDEV,
    change: (reply) => {
      reply.fill(0, BODY + 24);
      reply.set(Buffer.from('/dev/null'), BODY + 24);
      return reply;
    },
    run: open('data'),
  },
  {
    ...{ rule: 'mounter-opens-first', kernel: 'pull', what: 'no open before a pod’s' },
    run: openInPod,
  },
  {
    ...{ rule: 'no-inval-inode', kernel: 'push2', what: 'NOTIFY_INVAL_INODE for a mapped file' },
    writes: { before: OPCODE.STATFS, message: invalidateInode(DATA_INO, 0, 0) },
    run: openAndRead,
  },
  {
    ...{ rule: 'notify-elsewhere', kernel: 'stock', what: 'an invalidation before the answer' },
    writes: { before: OPCODE.READDIRPLUS, message: invalidateEntry(1, 'vol') },
    run: (process) => process.readdir('/'),
  },
  {
    ...{ rule: 'unbind-unmapped', kernel: 'pull', what: 'unbind under a mapping' },
    run: mapAndUnbind,
  },
];

/** The truth while the file is opened, which takes six messages; twice the size after that. */
function growing(offset: number): Change {
  return (reply) => {
    const seen = viewOf(reply).getBigUint64(8, true);
    return seen > 12n ? u64(offset, (size) => 2 * size)(reply) : reply;
  };
}

/** SETATTR as if it had worked: attributes of the inode with the new size. */
function truncated(reply: Uint8Array): Uint8Array {
  const body = struct(
    104,
    ...([
      [16, 8, DATA_INO],
      [24, 8, 4096],
      [76, 4, 0o100666],
    ] as const),
  );
  const head = reply.slice(0, BODY);
  viewOf(head).setInt32(4, 0, true);
  return new Uint8Array(Buffer.concat([head, body]));
}
