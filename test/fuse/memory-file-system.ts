import {
  EINVAL,
  EISDIR,
  ENODATA,
  ENODEV,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  ENXIO,
  EPERM,
  type Errno,
} from '../../src/fuse/errno.ts';
import type { FileMap } from '../../src/fuse/fmap.ts';
import type {
  Attr,
  EmitEntry,
  OpenReply,
  Operations,
  SetattrChange,
  Statfs,
} from '../../src/fuse/operations.ts';
import type { Mapping, Segment } from '../../src/native/mapping.ts';

const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;

export interface MemoryFile {
  readonly name: string;
  readonly attr: Attr;
}

/** A mapping in name only: bytes of this process, with what a test reads of them. */
export function fakeMapping(bytes: Uint8Array): Mapping {
  const copyOut = (offset: number, into: Uint8Array): void => {
    into.set(bytes.subarray(offset, offset + into.length));
  };
  return { copyOut } as unknown as Mapping;
}

/** One flat directory of files over one block of memory; every call's name is kept in `calls`. */
export class MemoryFileSystem implements Operations {
  readonly entryValidSeconds: number;
  readonly attrValidSeconds: number;
  readonly calls: string[] = [];
  /** References that the kernel holds, by inode. */
  readonly references = new Map<number, number>();
  readonly memory: Uint8Array;
  /** What GET_FMAP of an inode answers; of another: ENOSYS, as on the buffered path. */
  readonly maps = new Map<number, FileMap | Errno>();
  readonly daxdevs: string[] = [];
  openReply: OpenReply = { handle: 7, openFlags: 0 };
  statfsReply: Statfs = {
    blockBytes: 4096,
    blocks: 1000,
    blocksFree: 400,
    blocksAvailable: 300,
    files: 20,
    filesFree: 10,
    nameBytesMax: 79,
  };
  readonly #files: readonly MemoryFile[];
  readonly #root: Attr;
  readonly #mapping: Mapping;

  constructor(options: {
    root: Attr;
    files: readonly MemoryFile[];
    memory?: Uint8Array;
    validSeconds?: [entry: number, attr: number];
  }) {
    this.#root = options.root;
    this.#files = options.files;
    this.memory = options.memory ?? new Uint8Array(8192);
    this.#mapping = fakeMapping(this.memory);
    [this.entryValidSeconds, this.attrValidSeconds] = options.validSeconds ?? [1, 3600];
  }

  lookup(parent: number, name: string): Attr | Errno {
    this.calls.push(`lookup ${parent} ${name}`);
    if (parent !== this.#root.ino) return ENOTDIR;
    return this.#files.find((file) => file.name === name)?.attr ?? ENOENT;
  }

  lookedUp(ino: number): void {
    this.references.set(ino, (this.references.get(ino) ?? 0) + 1);
  }

  forget(ino: number, count: number): void {
    this.calls.push(`forget ${ino} ${count}`);
    this.references.set(ino, (this.references.get(ino) ?? 0) - count);
  }

  getattr(ino: number): Attr | Errno {
    this.calls.push(`getattr ${ino}`);
    return this.#attr(ino) ?? ENOENT;
  }

  setattr(ino: number, change: SetattrChange): Attr | Errno {
    this.calls.push(`setattr ${ino} ${JSON.stringify(change)}`);
    return change.sizeBytes === undefined ? (this.#attr(ino) ?? ENOENT) : EPERM;
  }

  access(ino: number, mask: number, caller: { uid: number; gid: number }): Errno | 0 {
    this.calls.push(`access ${ino} ${mask} ${caller.uid}:${caller.gid}`);
    return this.#attr(ino) === undefined ? ENOENT : 0;
  }

  open(ino: number, flags: number): OpenReply | Errno {
    this.calls.push(`open ${ino} 0x${flags.toString(16)}`);
    return this.#attr(ino) === undefined ? ENOENT : this.openReply;
  }

  release(ino: number, handle: number): void {
    this.calls.push(`release ${ino} ${handle}`);
  }

  /** Two segments wherever there is something to split, so that both are seen. */
  read(ino: number, offset: number, lengthBytes: number): readonly Segment[] | Errno {
    const attr = this.#attr(ino);
    if (attr === undefined) return ENOENT;
    if ((attr.mode & TYPE_MASK) === DIRECTORY) return EISDIR;
    const wanted = Math.min(lengthBytes, attr.sizeBytes - offset);
    if (wanted <= 0) return [];
    const first = Math.ceil(wanted / 2);
    const at = offset % this.memory.length;
    const memory = this.#mapping;
    return [
      { memory, offset: at, lengthBytes: first },
      { memory, offset: at + first, lengthBytes: wanted - first },
    ];
  }

  write(ino: number, offset: number, bytes: Uint8Array): number | Errno {
    this.calls.push(`write ${ino} ${offset} ${bytes.length}`);
    if (this.#attr(ino) === undefined) return ENOENT;
    this.memory.set(bytes.subarray(0, this.memory.length), 0);
    return bytes.length;
  }

  flush(ino: number): Errno | 0 {
    this.calls.push(`flush ${ino}`);
    return this.#attr(ino) === undefined ? ENOENT : 0;
  }

  fsync(ino: number): Errno | 0 {
    this.calls.push(`fsync ${ino}`);
    return this.#attr(ino) === undefined ? ENOENT : 0;
  }

  lseek(ino: number, offset: number, whence: number): number | Errno {
    const attr = this.#attr(ino);
    if (attr === undefined) return ENOENT;
    if (offset >= attr.sizeBytes) return ENXIO;
    if (whence === 3) return offset;
    return whence === 4 ? attr.sizeBytes : EINVAL;
  }

  opendir(ino: number): OpenReply | Errno {
    return ino === this.#root.ino ? this.openReply : ENOTDIR;
  }

  releasedir(ino: number, handle: number): void {
    this.calls.push(`releasedir ${ino} ${handle}`);
  }

  readdir(ino: number, cookie: number, emit: EmitEntry): Errno | 0 {
    if (ino !== this.#root.ino) return ENOTDIR;
    const dots = ['.', '..'].map((name) => ({ name, attr: this.#root }));
    const entries = [...dots, ...this.#files];
    for (let at = cookie; at < entries.length; at++) {
      const entry = entries[at] as MemoryFile;
      if (!emit(entry.name, entry.attr, at + 1)) break;
    }
    return 0;
  }

  statfs(): Statfs {
    return this.statfsReply;
  }

  getxattr(ino: number, name: string): Uint8Array | Errno {
    if (this.#attr(ino) === undefined) return ENOENT;
    return name === 'user.colour' ? Buffer.from('blue') : ENODATA;
  }

  listxattr(ino: number): readonly string[] | Errno {
    return this.#attr(ino) === undefined ? ENOENT : ['user.colour', 'user.taste'];
  }

  getFmap(ino: number): FileMap | Errno {
    return this.maps.get(ino) ?? ENOSYS;
  }

  getDaxdev(devindex: number): string | Errno {
    return this.daxdevs[devindex] ?? ENODEV;
  }

  #attr(ino: number): Attr | undefined {
    if (ino === this.#root.ino) return this.#root;
    return this.#files.find((file) => file.attr.ino === ino)?.attr;
  }
}
