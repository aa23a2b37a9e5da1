import { FATTR, FOPEN, OPCODE } from '../../src/fuse/abi-constants.ts';
import { ATTR_OUT, ENTRY_OUT, OPEN_OUT, STATFS_OUT } from '../../src/fuse/abi-structs.ts';
import { errno } from './devices.ts';
import type { Inode } from './inodes.ts';
import type { Kernel } from './kernel.ts';
import { devicesOf, fetchMap, loadFrom, placesIn, type Sees, storeTo } from './mapped.ts';
import {
  type Caller,
  createIn,
  flushIn,
  fsyncIn,
  ioIn,
  joined,
  openIn,
  readAttributes,
  readDirectory,
  readEntry,
  readOpen,
  releaseIn,
  setattrIn,
  struct,
} from './messages.ts';
import { isMapped, type Mapping, type OpenFile } from './open-file.ts';
import {
  cached,
  fill,
  markDirty,
  readDirect,
  setCached,
  writeBack,
  writeDirect,
} from './page-cache.ts';
import { accept, locked, payloadOf, unpin, walk, walkToParent } from './paths.ts';
import type { Program } from './task.ts';
import type { Place } from './wire-map.ts';

const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_LARGEFILE = 0o100000;
const O_DIRECTORY = 0o200000;
export const O_RDONLY = 0;
export const O_RDWR = 2;
const CREATE_MODE = 0o100644;
const UMASK = 0o022;
const READDIR_BYTES = 4096;
const ENOSYS = -38;

export interface ProcessOptions {
  readonly pid?: number;
  /** A pod has a root of its own: it sees no device of the host. Default `host`. */
  readonly root?: 'host' | 'pod';
}

let lastPid = 100;

/** A process of the node: its system calls on the mount, each a program to run. */
export class Process {
  readonly kernel: Kernel;
  readonly caller: Caller;
  readonly lockOwner: bigint;
  readonly sees: Sees;

  constructor(kernel: Kernel, { pid, root = 'host' }: ProcessOptions = {}) {
    this.kernel = kernel;
    this.caller = { uid: 0, gid: 0, pid: pid ?? ++lastPid };
    this.lockOwner = 0x1000_0000_0000_0000n + BigInt(this.caller.pid);
    this.sees = () => root === 'host';
  }

  *stat(path: string): Program<{ ino: number; sizeBytes: number; mode: number }> {
    const inode = yield* walk(this.kernel, this.caller, path);
    try {
      yield* this.#revalidate(inode);
      return { ino: inode.ino, sizeBytes: inode.sizeBytes, mode: inode.mode };
    } finally {
      unpin(this.kernel, inode);
    }
  }

  *open(path: string, flags: number = O_RDONLY): Program<OpenFile> {
    const inode = yield* walk(this.kernel, this.caller, path);
    try {
      if (inode.isDirectory) throw errno('EISDIR');
      const file = yield* this.#openInode(inode, flags);
      if (flags & O_TRUNC) yield* this.ftruncate(file, 0);
      return file;
    } finally {
      unpin(this.kernel, inode);
    }
  }

  /** open(2) with O_CREAT of a name that may be new. */
  *create(path: string): Program<OpenFile> {
    const { kernel, caller } = this;
    const { parent, name } = yield* walkToParent(kernel, caller, path);
    try {
      return yield* locked(parent, 'exclusive', () => this.#create(parent, name));
    } finally {
      unpin(kernel, parent);
    }
  }

  /** close(2) of a descriptor; the file lives on while it is mapped. */
  *close(file: OpenFile): Program<void> {
    const { inode, fh, caller, lockOwner } = file;
    if (this.kernel.famfs === undefined) yield* writeBack(file);
    const nodeid = inode.ino;
    try {
      if (file.openFlags & FOPEN.NOFLUSH) return;
      payloadOf(yield { opcode: OPCODE.FLUSH, nodeid, body: flushIn(fh, lockOwner), caller });
    } finally {
      this.#drop(file);
    }
  }

  /** mmap(2): no message. */
  mmap(file: OpenFile): Mapping {
    file.uses++;
    const devices = [...new Set(devicesOf(file))];
    for (const device of devices) device.mappings++;
    return {
      file,
      unmap: () => {
        for (const device of devices) device.mappings--;
        this.#drop(file);
      },
    };
  }

  /** A load from a mapping: SIGBUS where there is no memory. */
  *load({ file }: Mapping, offset: number, length = 1): Program<Uint8Array> {
    if (isMapped(file)) return loadFrom(file, offset, length, 'fault');
    yield* fill(file, offset, length);
    return cached(file, offset, length);
  }

  *store({ file }: Mapping, offset: number, bytes: Uint8Array): Program<void> {
    if (isMapped(file)) {
      storeTo(file, offset, bytes, 'fault');
      return;
    }
    yield* fill(file, offset, bytes.length);
    setCached(file, offset, bytes);
    markDirty(file, offset, bytes.length);
  }

  /** Where the bytes of a mapped file are, by index and offset of device. */
  placesOf(file: OpenFile, offset: number, length: number): Place[] {
    const places = placesIn(this.kernel, file.inode, offset, length, 'fault');
    return places.map(({ devindex, offset: at, length: bytes }) => ({
      devindex,
      offset: at,
      length: bytes,
    }));
  }

  *pread(file: OpenFile, offset: number, length: number): Program<Uint8Array> {
    if (file.openFlags & FOPEN.DIRECT_IO && !isMapped(file)) {
      return yield* readDirect(file, offset, length);
    }
    yield* this.#revalidate(file.inode);
    const wanted = Math.max(0, Math.min(length, file.inode.sizeBytes - offset));
    if (wanted === 0) return new Uint8Array();
    if (isMapped(file)) return loadFrom(file, offset, wanted, 'read');
    yield* fill(file, offset, wanted);
    return cached(file, offset, wanted);
  }

  *pwrite(file: OpenFile, offset: number, bytes: Uint8Array): Program<number> {
    if (!isMapped(file)) {
      const written = yield* writeDirect(file, offset, bytes);
      setCached(file, offset, bytes.subarray(0, written));
      return written;
    }
    const room = Math.max(0, Math.min(bytes.length, file.inode.sizeBytes - offset));
    if (room === 0 && bytes.length > 0) throw errno('EFBIG');
    storeTo(file, offset, bytes.subarray(0, room), 'read');
    return room;
  }

  /** msync(MS_SYNC) of a mapping, by which an ordinary file's dirty pages are written first. */
  *msync({ file }: Mapping): Program<void> {
    if (!isMapped(file)) yield* writeBack(file);
    yield* this.#fsync(file, true);
  }

  *fsync(file: OpenFile): Program<void> {
    if (!isMapped(file)) yield* writeBack(file);
    yield* this.#fsync(file, false);
  }

  /** ftruncate(2), and what O_TRUNC does. */
  *ftruncate(file: OpenFile, sizeBytes: number): Program<void> {
    const { inode, fh, caller } = file;
    const body = setattrIn(FATTR.SIZE | FATTR.FH, sizeBytes, fh);
    yield* this.#setattr(inode, { opcode: OPCODE.SETATTR, nodeid: inode.ino, body, caller });
  }

  /** utimensat(2) to now. */
  *touch(path: string): Program<void> {
    const { kernel, caller } = this;
    const inode = yield* walk(kernel, caller, path);
    const body = setattrIn(FATTR.ATIME | FATTR.ATIME_NOW | FATTR.MTIME | FATTR.MTIME_NOW, 0);
    try {
      yield* this.#setattr(inode, { opcode: OPCODE.SETATTR, nodeid: inode.ino, body, caller });
    } finally {
      unpin(kernel, inode);
    }
  }

  *unlink(path: string): Program<void> {
    const { kernel, caller } = this;
    const { parent, name } = yield* walkToParent(kernel, caller, path);
    try {
      yield* locked(parent, 'exclusive', function* () {
        const { UNLINK: opcode } = OPCODE;
        payloadOf(yield { opcode, nodeid: parent.ino, body: joined(name), caller });
        const dentry = parent.children.get(name);
        if (dentry !== undefined) kernel.inodes.unlink(dentry);
      });
    } finally {
      unpin(kernel, parent);
    }
  }

  *statfs(): Program<void> {
    const { caller } = this;
    const body = new Uint8Array();
    payloadOf(yield { opcode: OPCODE.STATFS, nodeid: 1, body, caller }, STATFS_OUT.size);
  }

  /** opendir, readdir to the end, closedir: `.` and `..` among the names. */
  *readdir(path: string): Program<string[]> {
    const { kernel, caller } = this;
    const inode = yield* walk(kernel, caller, path);
    const flags = O_DIRECTORY | O_LARGEFILE;
    try {
      const { OPENDIR, RELEASEDIR } = OPCODE;
      const opened = yield { opcode: OPENDIR, nodeid: inode.ino, body: openIn(flags), caller };
      const { fh } = readOpen(payloadOf(opened, OPEN_OUT.size));
      try {
        return yield* locked(inode, 'shared', () => this.#readEntries(inode, fh, flags));
      } finally {
        const body = releaseIn(fh, flags);
        kernel.background({ opcode: RELEASEDIR, nodeid: inode.ino, body, caller });
      }
    } finally {
      unpin(kernel, inode);
    }
  }

  *#openInode(inode: Inode, openFlags: number): Program<OpenFile> {
    const { kernel, caller } = this;
    const flags = (openFlags & ~(O_CREAT | O_TRUNC)) | O_LARGEFILE;
    let opened = { fh: 0n, openFlags: 0 };
    if (!kernel.hasNoOpen) {
      const { OPEN: opcode } = OPCODE;
      const answer = yield { opcode, nodeid: inode.ino, body: openIn(flags), caller };
      if (answer.error === ENOSYS) kernel.hasNoOpen = true;
      else opened = readOpen(payloadOf(answer, OPEN_OUT.size));
    }
    const file = this.#fileOf(inode, flags, opened, kernel.hasNoOpen);
    const { famfs } = kernel;
    try {
      if (famfs !== undefined && inode.map === undefined) {
        yield* fetchMap(kernel, famfs, inode, caller, this.sees);
      }
    } catch (error) {
      this.#drop(file);
      throw error;
    }
    if (famfs === undefined && !(opened.openFlags & FOPEN.KEEP_CACHE)) inode.pages.clear();
    return file;
  }

  *#create(parent: Inode, name: string): Program<OpenFile> {
    const { kernel, caller } = this;
    const { LOOKUP, CREATE: opcode } = OPCODE;
    const nodeid = parent.ino;
    const found = yield { opcode: LOOKUP, nodeid, body: joined(name), caller };
    if (found.error === 0) {
      const inode = accept(kernel, parent, name, readEntry(payloadOf(found, ENTRY_OUT.size)));
      return yield* this.#openInode(inode, O_RDWR);
    }
    const flags = O_RDWR | O_LARGEFILE;
    const body = createIn(flags | O_CREAT, CREATE_MODE, UMASK, name);
    const payload = payloadOf(
      yield { opcode, nodeid, body, caller },
      ENTRY_OUT.size + OPEN_OUT.size,
    );
    const inode = accept(kernel, parent, name, readEntry(payload));
    return this.#fileOf(inode, flags, readOpen(payload, ENTRY_OUT.size), false);
  }

  #fileOf(
    inode: Inode,
    flags: number,
    opened: { fh: bigint; openFlags: number },
    isSilent: boolean,
  ): OpenFile {
    const { kernel, caller, lockOwner } = this;
    inode.files++;
    return { kernel, inode, flags, ...opened, caller, lockOwner, isSilent, uses: 1 };
  }

  /** One descriptor or mapping less; the last one's end is the server's to know. */
  #drop(file: OpenFile): void {
    file.uses--;
    if (file.uses > 0) return;
    const { kernel, inode, fh, flags, caller } = file;
    const body = releaseIn(fh, flags);
    if (!file.isSilent) {
      kernel.background({ opcode: OPCODE.RELEASE, nodeid: inode.ino, body, caller });
    }
    kernel.fileGone(inode);
  }

  *#revalidate(inode: Inode): Program<void> {
    const { kernel, caller } = this;
    if (kernel.nowMs < inode.attributesUntilMs) return;
    const { GETATTR: opcode } = OPCODE;
    const answer = yield { opcode, nodeid: inode.ino, body: struct(16), caller };
    const attributes = readAttributes(payloadOf(answer, ATTR_OUT.size));
    kernel.inodes.told(inode, attributes, kernel.nowMs, 'GETATTR');
  }

  *#setattr(inode: Inode, upcall: Parameters<Kernel['background']>[0]): Program<void> {
    const { kernel } = this;
    yield* locked(inode, 'exclusive', function* () {
      const attributes = readAttributes(payloadOf(yield upcall, ATTR_OUT.size));
      kernel.inodes.told(inode, attributes, kernel.nowMs, 'SETATTR');
    });
  }

  *#fsync({ inode, fh, caller }: OpenFile, dataOnly: boolean): Program<void> {
    const { FSYNC: opcode } = OPCODE;
    payloadOf(yield { opcode, nodeid: inode.ino, body: fsyncIn(fh, dataOnly), caller });
  }

  *#readEntries(directory: Inode, fh: bigint, flags: number): Program<string[]> {
    const { kernel, caller } = this;
    const names: string[] = [];
    for (let offset = 0; ; ) {
      const io = { fh, offset, lengthBytes: READDIR_BYTES, ioFlags: 0, lockOwner: 0n, flags };
      const { READDIRPLUS: opcode } = OPCODE;
      const answer = yield { opcode, nodeid: directory.ino, body: ioIn(io), caller };
      const payload = payloadOf(answer);
      if (payload.length === 0) return names;
      for (const { name, next, entry } of readDirectory(payload, true)) {
        names.push(name);
        offset = next;
        const isDot = name === '.' || name === '..';
        if (entry !== undefined && entry.nodeid !== 0 && !isDot) {
          accept(kernel, directory, name, entry);
        }
      }
    }
  }
}
