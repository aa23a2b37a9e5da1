import { Fault } from '../base/errors.ts';
import { isPowerOfTwo } from '../base/numbers.ts';
import { ALLOCATION_BYTES, FreeSpace } from './allocator.ts';
import { type Extent, fmapCapacity, fmapExtents } from './extents.ts';
import {
  type AddDaxdevEntry,
  type DecodedEntry,
  type DeleteEntry,
  decodeLogEntry,
  EntryBatch,
  type FileEntry,
  type LogEntry,
  type MkdirEntry,
} from './log-entry.ts';
import { logCapacity } from './log-header.ts';
import { DEVICE_BYTES_MAX, DEVICES_MAX, type FileNode, Namespace, type Node } from './namespace.ts';
import type { Superblock } from './superblock.ts';

/** Something wrong with the log, by the index of the entry that has it. */
export interface Problem {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

/** A file whose memory is in quarantine. */
export interface DeadFile {
  readonly node: FileNode;
  /** Index of its DELETE entry. */
  readonly deletedAt: number;
}

/** A device of a pool, as superblock and log have it. */
export interface PoolDevice {
  readonly deviceUuid: string;
  readonly sizeBytes: number;
}

export interface ReplicaOptions {
  /** Told of each node that a DELETE takes away. */
  readonly onRemove?: (node: Node) => void;
  /** How many devices new files may be on: see `FreeSpace`. */
  readonly openDevices?: number;
}

const PROBLEMS_KEPT = 1000;

/**
 * What one host has applied of a pool's log: files, directories, free memory.
 *
 * Invariants, whatever bytes the log holds:
 * - Everything here is a function of entries [0, position) and of the superblock.
 * - No two files, live or deleted, share memory; no file is outside its device, or in superblock or
 *   log; every path stays inside the pool; the parent of each node is a live directory.
 * - Memory that any accepted or rejected entry names is not free: another implementation may have
 *   taken the entry, and a host may have the file mapped.
 * - After damage nothing more is applied: what follows it cannot be trusted to be in order.
 */
export class Replica {
  readonly namespace = new Namespace();
  readonly space: FreeSpace;
  /** How many entries the log holds at most. */
  readonly capacity: number;
  readonly problems: Problem[] = [];
  /** By devindex: the primary, then what ADD_DAXDEV entries added. */
  readonly devices: PoolDevice[] = [];
  readonly #allocUnitBytes: number;
  readonly #onRemove: (node: Node) => void;
  readonly #dead: DeadFile[] = [];
  /** A replay copies batch after batch to the same bytes. */
  #lastBatch: EntryBatch | undefined;
  #position = 0;
  #applied = 0;
  #problemCount = 0;
  #damage: Problem | undefined;

  constructor(superblock: Superblock, options: ReplicaOptions = {}) {
    const logEnd = superblock.logOffset + superblock.logLengthBytes;
    this.capacity = logCapacity(superblock.logLengthBytes);
    this.space = new FreeSpace(options.openDevices);
    this.#allocUnitBytes = superblock.allocUnitBytes;
    this.#onRemove = options.onRemove ?? (() => {});
    this.#addDevice(logEnd, superblock.deviceUuid, superblock.deviceSizeBytes);
  }

  /** Index of the next entry to apply. */
  get position(): number {
    return this.#position;
  }

  /** Entries that took effect. */
  get applied(): number {
    return this.#applied;
  }

  /** Entries that were passed over: rejected, or of a type that nobody defines. */
  get skipped(): number {
    return this.#position - this.#applied;
  }

  /** All problems, also those that `problems` has no room for. */
  get problemCount(): number {
    return this.#problemCount;
  }

  /** Where replay stopped, if the log is damaged there. */
  get damage(): Problem | undefined {
    return this.#damage;
  }

  /** Deleted files, in the order in which they went. */
  get dead(): readonly DeadFile[] {
    return this.#dead;
  }

  /** Memory of deleted files: not handed out again, since somebody may still have it mapped. */
  deadExtents(): readonly Extent[] {
    return this.#dead.flatMap(({ node }) => fmapExtents(node.fmap));
  }

  /** Passes over slots that are void, whatever stands there. */
  skipVoid(count: number): void {
    this.#position += count;
    this.#applied += count;
  }

  /** Applies `count` entries that stand one after the other in `bytes`, up to the first damage. */
  applyBatch(bytes: Uint8Array, count: number): void {
    const batch = this.#lastBatch?.bytes === bytes ? this.#lastBatch : new EntryBatch(bytes);
    this.#lastBatch = batch;
    for (let slot = 0; slot < count && this.#damage === undefined; slot++) {
      this.#apply(batch.decode(slot, this.#position));
    }
  }

  /** Applies the entry at `position`, 544 bytes of whatever content. Never throws. */
  apply(bytes: Uint8Array): void {
    this.#apply(decodeLogEntry(bytes, this.#position));
  }

  #apply(decoded: DecodedEntry): void {
    if (!decoded.ok && decoded.damage) {
      this.#damage = this.#report(decoded.code, decoded.message);
      return;
    }
    if (!decoded.ok) this.#reserveNamed(decoded.named);
    const problem = decoded.ok ? this.#applyDecoded(decoded.entry) : decoded;
    if (problem === undefined) this.#applied++;
    else this.#report(problem.code, problem.message);
    this.#position++;
  }

  /** As `apply`, for a writer's own entry: INTERNAL if the replica does not take it. */
  applyEntry(bytes: Uint8Array): void {
    const before = this.#problemCount;
    this.apply(bytes);
    if (this.#problemCount > before) {
      const { code, message } = this.problems.at(-1) ?? { code: '', message: '' };
      throw new Fault('INTERNAL', `own log entry ${this.#position - 1}: ${code}: ${message}`);
    }
  }

  /** After damage: says how much of a log that goes on to `nextIndex` is not served. */
  noteLost(nextIndex: number): void {
    const lost = nextIndex - this.#position;
    this.#report('ENTRIES_LOST', `${lost} entries from here on are not served; repair the log`);
  }

  #applyDecoded(entry: LogEntry): { code: string; message: string } | undefined {
    switch (entry.type) {
      case 'filler':
        return undefined;
      case 'file':
        return this.#applyFile(entry);
      case 'mkdir':
        return this.#applyMkdir(entry);
      case 'delete':
        return this.#applyDelete(entry);
      case 'add-daxdev':
        return this.#applyDaxdev(entry);
      case 'unknown':
        return { code: 'ENTRY_TYPE', message: `type is ${entry.code}, which nobody defines` };
    }
  }

  #applyFile(entry: FileEntry): { code: string; message: string } | undefined {
    const extents = fmapExtents(entry.fmap);
    const wrong = this.#wrongExtents(entry, extents);
    if (wrong !== undefined) {
      this.#reserveNamed(extents);
      return wrong;
    }
    for (const extent of extents) this.space.reserve(extent);
    const place = this.namespace.place(entry.path);
    if (place instanceof Fault) return placeProblem(place);
    this.namespace.addFile(place.parent, place.name, this.#position, entry);
    return undefined;
  }

  #applyMkdir(entry: MkdirEntry): { code: string; message: string } | undefined {
    const place = this.namespace.place(entry.path);
    if (place instanceof Fault) return placeProblem(place);
    this.namespace.addDirectory(place.parent, place.name, this.#position, entry);
    return undefined;
  }

  #applyDelete(entry: DeleteEntry): { code: string; message: string } | undefined {
    const { path, targetIndex } = entry;
    const node = this.namespace.lookup(path);
    if (path === '' || node === undefined || node.entryIndex !== targetIndex) {
      const found = node === undefined ? 'nothing' : `the ${node.kind} of entry ${node.entryIndex}`;
      return {
        code: 'DELETE_TARGET',
        message: `deletes entry ${targetIndex} at ${JSON.stringify(path)}, found ${found} there`,
      };
    }
    if (node.kind === 'directory' && node.childCount > 0) {
      const message = `deletes the directory ${JSON.stringify(path)}, which is not empty`;
      return { code: 'DELETE_NOT_EMPTY', message };
    }
    this.namespace.remove(node);
    if (node.kind === 'file') this.#dead.push({ node, deletedAt: this.#position });
    this.#onRemove(node);
    return undefined;
  }

  #applyDaxdev(entry: AddDaxdevEntry): { code: string; message: string } | undefined {
    const { devindex, sizeBytes } = entry;
    const next = this.space.deviceCount;
    if (devindex !== next || devindex >= DEVICES_MAX) {
      return { code: 'DAXDEV_INDEX', message: `adds device ${devindex}, expected ${next}` };
    }
    // Sums over all devices must stay exact: nothing in a pool is counted beyond 2^53 − 1.
    const mostBytes = Math.min(DEVICE_BYTES_MAX, Number.MAX_SAFE_INTEGER - this.space.sizeBytes);
    if (!(sizeBytes > ALLOCATION_BYTES && sizeBytes <= mostBytes)) {
      return { code: 'DAXDEV_SIZE', message: `adds a device of ${sizeBytes} bytes` };
    }
    // Two indices for one device would give its memory to two files.
    const { deviceUuid } = entry;
    const twin = this.devices.findIndex((other) => other.deviceUuid === deviceUuid);
    if (twin >= 0) {
      const message = `adds ${deviceUuid} as device ${devindex}, which is device ${twin}`;
      return { code: 'DAXDEV_UUID', message };
    }
    // A secondary device starts with a superblock of its own.
    this.#addDevice(ALLOCATION_BYTES, deviceUuid, sizeBytes);
    return undefined;
  }

  #addDevice(start: number, deviceUuid: string, sizeBytes: number): void {
    this.space.addDevice(start, sizeBytes);
    this.devices.push({ deviceUuid, sizeBytes });
  }

  /** What is wrong with a file's size and memory, or undefined. */
  #wrongExtents(
    { fmap, sizeBytes }: FileEntry,
    extents: readonly Extent[],
  ): { code: string; message: string } | undefined {
    const unit = this.#allocUnitBytes;
    if (fmap.type === 'interleaved') {
      const { chunkBytes } = fmap;
      if (!isPowerOfTwo(chunkBytes) || chunkBytes % unit !== 0) {
        const message = `chunk size is ${chunkBytes}, expected a power of two of ${unit} or more`;
        return { code: 'CHUNK_SIZE', message };
      }
    }
    for (const extent of extents) {
      if (!isAligned(extent, unit)) {
        const message = `${describe(extent)}: expected multiples of ${unit}`;
        return { code: 'EXTENT_ALIGN', message };
      }
      if (!this.space.contains(extent)) {
        return {
          code: 'EXTENT_RANGE',
          message: `${describe(extent)}: outside the memory for files`,
        };
      }
      if (!this.space.isFree(extent)) {
        return { code: 'EXTENT_OVERLAP', message: `${describe(extent)}: overlaps an earlier file` };
      }
    }
    const overlap = ownOverlap(extents);
    if (overlap !== undefined) {
      return { code: 'EXTENT_OVERLAP', message: `${describe(overlap)}: overlaps one of its own` };
    }
    const capacity = fmapCapacity(fmap);
    if (!(sizeBytes >= 1 && sizeBytes <= capacity)) {
      const message = `size is ${sizeBytes}, expected 1 to ${capacity}, what its extents hold`;
      return { code: 'FILE_SIZE', message };
    }
    return undefined;
  }

  /** Takes what a rejected file names, as far as it is free memory at all. */
  #reserveNamed(extents: readonly Extent[]): void {
    for (const extent of extents) this.space.reserveFreeParts(extent);
  }

  #report(code: string, message: string): Problem {
    const problem = { index: this.#position, code, message };
    this.#problemCount++;
    if (this.problems.length < PROBLEMS_KEPT) this.problems.push(problem);
    return problem;
  }
}

function placeProblem(fault: Fault): { code: string; message: string } {
  const code = { INVALID: 'PATH', NOT_FOUND: 'PARENT', EXISTS: 'DUPLICATE' }[fault.code as string];
  return { code: code ?? 'PATH', message: fault.message };
}

function isAligned({ offset, lengthBytes }: Extent, unit: number): boolean {
  // A unit is a power of two, so the quotients are exact; `%` of large numbers is a slow call.
  return lengthBytes > 0 && Number.isInteger(offset / unit) && Number.isInteger(lengthBytes / unit);
}

/** An extent that overlaps an earlier one of the same file; there are 16 at most. */
function ownOverlap(extents: readonly Extent[]): Extent | undefined {
  if (extents.length === 1) return undefined;
  return extents.find((one, at) => extents.slice(0, at).some((other) => overlaps(one, other)));
}

function overlaps(one: Extent, other: Extent): boolean {
  return (
    other.devindex === one.devindex &&
    other.offset < one.offset + one.lengthBytes &&
    one.offset < other.offset + other.lengthBytes
  );
}

function describe({ devindex, offset, lengthBytes }: Extent): string {
  return `extent of ${lengthBytes} bytes at ${offset} of device ${devindex}`;
}
