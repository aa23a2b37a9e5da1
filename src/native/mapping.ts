import { closeSync, constants, fstatSync, openSync, readFileSync, statfsSync } from 'node:fs';
import { codeOf, Fault, type FaultCode } from '../base/errors.ts';
import { addon, type MappingHandle, native, nativeFault } from './addon.ts';
import { AddonMemory } from './addon-memory.ts';
import { OrderedMemory, type SharedMemory } from './shared-memory.ts';

/** Types in statfs(2) of the file systems whose files may be memory of other hosts too. */
const FUSE_SUPER_MAGIC = 0x65735546;
const FAMFS_SUPER_MAGIC = 0x87b282ff;

/** Bytes of a mapping, in the order in which a reply carries them. */
export interface Segment {
  readonly memory: Mapping;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface MappingOptions {
  readonly writable: boolean;
  /** Default: all of the file, or of the dax device. */
  readonly lengthBytes?: number;
}

interface MappingFacts {
  readonly isDevice: boolean;
  readonly isOwn: boolean;
  readonly lengthBytes: number;
}

/**
 * A file or dax device, mapped MAP_SHARED. Offsets and lengths are bytes; a range outside the
 * mapping, or any use after it was disposed, is INVALID. Memory that fails is MEMORY_ERROR.
 *
 * There is no ArrayBuffer over the memory: a load through one is not guarded, so failed memory, or
 * a view that outlives the mapping, would kill the process; and in Node 20 a Uint8Array ends at
 * 4 GiB. The addon gets handle, offset and length.
 */
export class Mapping implements SharedMemory {
  readonly path: string;
  readonly lengthBytes: number;
  readonly writable: boolean;
  /** A device: other hosts may cache it incoherently. A file is this host's own, and coherent. */
  readonly isDevice: boolean;
  readonly #handle: MappingHandle;
  /** A file of this host alone, such as one that stands for a device on an emulated fabric. */
  readonly #isOwn: boolean;
  /** The log's accesses: the addon's single steps, in the one order that is proven. */
  readonly #ordered: SharedMemory;

  private constructor(path: string, fd: number, writable: boolean, facts: MappingFacts) {
    this.path = path;
    this.writable = writable;
    this.isDevice = facts.isDevice;
    this.lengthBytes = facts.lengthBytes;
    this.#isOwn = facts.isOwn;
    this.#handle = native(path, (raw) => raw.map(fd, this.lengthBytes, this.writable));
    this.#ordered = new OrderedMemory(new AddonMemory(path, this.#handle, this.lengthBytes));
  }

  /** NOT_FOUND, PERMISSION, BUSY or IO where the path cannot be opened and mapped. */
  static open(path: string, options: MappingOptions): Mapping {
    const fd = openForMapping(path, options.writable);
    try {
      return new Mapping(path, fd, options.writable, measure(path, fd, options.lengthBytes));
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Maps an open file of known length without a look at it: a server that asked about a file of
   * the mount that it serves would wait for itself. `name` is for messages; `fd` stays the
   * caller's.
   */
  static adopt(
    fd: number,
    name: string,
    options: { readonly writable: boolean; readonly lengthBytes: number },
  ): Mapping {
    const { writable, lengthBytes } = options;
    return new Mapping(name, fd, writable, { isDevice: false, isOwn: false, lengthBytes });
  }

  /** For the reply path: what the addon needs of a segment. */
  get handle(): MappingHandle {
    return this.#handle;
  }

  read(offset: number, lengthBytes: number, scratch?: Uint8Array): Uint8Array {
    this.#checkLength(offset, lengthBytes);
    return this.#ordered.read(offset, lengthBytes, scratch);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#ordered.write(offset, bytes);
  }

  publish(offset: number, value: bigint): void {
    this.#ordered.publish(offset, value);
  }

  flush(offset: number, lengthBytes: number): void {
    this.#checkLength(offset, lengthBytes);
    if (!this.#isOwn) {
      this.#ordered.flush(offset, lengthBytes);
      return;
    }
    // No other host caches it; and to touch the holes of a sparse file would fill them. Only the
    // range's ends are checked.
    this.#ordered.flush(offset, 0);
    this.#ordered.flush(offset + lengthBytes, 0);
  }

  /** Drops the line, then one aligned 8-byte load. */
  load(offset: number): bigint {
    return this.#call(offset, () => addon().load(this.#handle, offset));
  }

  /** Stores file data; into memory, past the cache, where other hosts may not share the cache. */
  copyIn(offset: number, bytes: Uint8Array): void {
    this.#call(offset, () => addon().copyIn(this.#handle, offset, bytes, this.isDevice));
  }

  /** Reads file data into `into`, past the cache where other hosts may not share it. */
  copyOut(offset: number, into: Uint8Array): void {
    this.#call(offset, () => addon().copyOut(this.#handle, offset, into, this.isDevice));
  }

  /** Writes the lines of the range back to memory and fences; returns how many lines. */
  writeBack(offset: number, lengthBytes: number): number {
    const count = this.#call(offset, () => addon().writeBack(this.#handle, offset, lengthBytes));
    addon().fence();
    return count;
  }

  /** Drops the lines of the range, fenced on both sides; returns how many lines. */
  invalidate(offset: number, lengthBytes: number): number {
    return this.#call(offset, () => addon().invalidate(this.#handle, offset, lengthBytes));
  }

  /** msync(MS_SYNC), for programs that map a file of a mount. */
  sync(offset: number, lengthBytes: number): void {
    this.#call(offset, () => addon().sync(this.#handle, offset, lengthBytes));
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    addon().unmap(this.#handle);
  }

  /** Before an array of that length is made; the addon sees only the array. */
  #checkLength(offset: number, lengthBytes: number): void {
    if (Number.isInteger(lengthBytes) && lengthBytes >= 0 && lengthBytes <= this.lengthBytes)
      return;
    throw new Fault(
      'INVALID',
      `${this.path} at ${offset} of ${this.lengthBytes}: found the length ${lengthBytes}, ` +
        'expected one that ends in the mapping',
    );
  }

  #call<T>(offset: number, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw nativeFault(`${this.path} at ${offset} of ${this.lengthBytes}`, error);
    }
  }
}

function measure(path: string, fd: number, wanted: number | undefined): MappingFacts {
  const stat = fstatSync(fd);
  const isDevice = stat.isCharacterDevice();
  const available = isDevice ? deviceBytes(path, stat.rdev) : stat.size;
  const lengthBytes = wanted ?? available;
  if (lengthBytes === 0 || lengthBytes > available) {
    const text = `has ${available} bytes, ${wanted ?? 'at least 1'} are to be mapped`;
    throw new Fault('INVALID', `${path}: ${text}`);
  }
  return { isDevice, isOwn: !isDevice && !isOnSharedMemory(path), lengthBytes };
}

const OPEN_FAULTS: Readonly<Record<string, FaultCode>> = {
  EACCES: 'PERMISSION',
  EPERM: 'PERMISSION',
  EBUSY: 'BUSY',
};

function isOnSharedMemory(path: string): boolean {
  const { type } = statfsSync(path);
  return type === FUSE_SUPER_MAGIC || type === FAMFS_SUPER_MAGIC;
}

function openForMapping(path: string, writable: boolean): number {
  let fd: number;
  try {
    // Not blocking: a FIFO would wait for somebody at its other end.
    fd = openSync(path, (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENXIO' || code === 'ENODEV') {
      throw new Fault('NOT_FOUND', `${path}: no such device or file (${code})`);
    }
    if (code === 'EISDIR') throw wrongKind(path, 'a directory');
    const access = writable ? 'reading and writing' : 'reading';
    const kind = OPEN_FAULTS[code ?? ''] ?? 'IO';
    throw new Fault(kind, `${path}: cannot be opened for ${access} (${code})`, { cause: error });
  }
  const stat = fstatSync(fd);
  if (stat.isFile() || stat.isCharacterDevice()) return fd;
  closeSync(fd);
  if (stat.isDirectory()) throw wrongKind(path, 'a directory');
  throw wrongKind(path, stat.isBlockDevice() ? 'a block device' : 'neither file nor device');
}

function wrongKind(path: string, what: string): Fault {
  const text = `${path}: is ${what}, expected a dax device such as /dev/dax0.0, or a file`;
  return new Fault('INVALID', text);
}

/** Size of a dax device: sysfs has it, stat(2) does not. */
function deviceBytes(path: string, rdev: number): number {
  const file = `${deviceFolder(rdev)}/size`;
  try {
    return Number(readFileSync(file, 'utf8').trim());
  } catch (error) {
    throw new Fault(
      'INVALID',
      `${path}: is a character device without a size (${file}: ${codeOf(error)}); give a dax ` +
        'device such as /dev/dax0.0, or a file',
    );
  }
}

/** Where sysfs has a character device. */
export function deviceFolder(rdev: number): string {
  const major = (rdev >> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
  return `/sys/dev/char/${major}:${minor}`;
}
