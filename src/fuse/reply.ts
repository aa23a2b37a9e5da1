import { Fault } from '../base/errors.ts';
import { setU64 } from '../base/numbers.ts';
import type { Segment } from '../native/mapping.ts';
import { STATX_BASIC_STATS } from './abi-constants.ts';
import * as abi from './abi-structs.ts';
import { EFBIG, EINVAL, ENAMETOOLONG, type Errno } from './errno.ts';
import {
  DAXDEV_NAME_MAX_BYTES,
  DAXDEV_OUT_BYTES,
  type FileMap,
  FMAP_HEADER_BYTES,
  fileMapBytes,
  PULL_MAP_MAX_BYTES,
  PUSH_MAP_MAX_BYTES,
  putDaxdev,
  putFileMap,
  putFileMapHeader,
} from './fmap.ts';
import type { Attr, OpenReply, Statfs } from './operations.ts';

const HEAD = abi.OUT_HEADER.size;
/** Room for the longest payload of our own making: a value of an extended attribute is ≤ 64 KiB. */
const PAYLOAD_BYTES = 64 * 1024;
const SECTOR_BYTES = 512;
const BLOCK_BYTES = 4096;
/** One inode number never names two files at a time, so there is one generation of each. */
const GENERATION = 1;

/** How long the kernel may trust what it is told, as the wire has it. */
interface Validity {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/**
 * The buffer that every reply is written into. Each `put` writes one payload behind the header's
 * place and returns its length in bytes; all of its bytes are written, since the last reply's are
 * still there.
 */
export class ReplyBuffer {
  bytes = new Uint8Array(HEAD + PAYLOAD_BYTES);
  /** What follows `bytes` in the reply; READ's alone. */
  segments: readonly Segment[] | undefined = undefined;
  segmentBytes = 0;
  #view = new DataView(this.bytes.buffer);
  #text = Buffer.from(this.bytes.buffer);
  readonly #entryValid: Validity;
  readonly #attrValid: Validity;

  constructor(entryValidSeconds: number, attrValidSeconds: number) {
    this.#entryValid = validity(entryValidSeconds);
    this.#attrValid = validity(attrValidSeconds);
  }

  clear(): void {
    this.segments = undefined;
    this.segmentBytes = 0;
  }

  /** Writes the header of a reply to `request`, whose `unique` is echoed as it came. */
  head(request: DataView, payloadBytes: number, error: number): Uint8Array {
    const view = this.#view;
    view.setUint32(abi.OUT_HEADER.len, HEAD + payloadBytes + this.segmentBytes, true);
    view.setInt32(abi.OUT_HEADER.error, error, true);
    const unique = abi.IN_HEADER.unique;
    view.setUint32(abi.OUT_HEADER.unique, request.getUint32(unique, true), true);
    view.setUint32(abi.OUT_HEADER.unique + 4, request.getUint32(unique + 4, true), true);
    return this.bytes.subarray(0, HEAD + payloadBytes);
  }

  /** READ's data, at most `lengthBytes` of it: more would be refused by the kernel. */
  putSegments(segments: readonly Segment[], lengthBytes: number): number {
    let total = 0;
    for (const segment of segments) total += segment.lengthBytes;
    if (total > lengthBytes) {
      throw new Fault('INTERNAL', `READ: found ${total} bytes, expected at most ${lengthBytes}`);
    }
    if (total === 0) return 0;
    this.segments = segments;
    this.segmentBytes = total;
    return 0;
  }

  putEntry(attr: Attr): number {
    this.#entry(HEAD, attr, attr.ino);
    return abi.ENTRY_OUT.size;
  }

  putAttr(attr: Attr): number {
    const view = this.#view;
    setU64(view, HEAD + abi.ATTR_OUT.attrValid, this.#attrValid.seconds);
    view.setUint32(HEAD + abi.ATTR_OUT.attrValidNsec, this.#attrValid.nanoseconds, true);
    view.setUint32(HEAD + abi.ATTR_OUT.dummy, 0, true);
    this.#attr(HEAD + abi.ATTR_OUT.attr, attr);
    return abi.ATTR_OUT.size;
  }

  putStatx(attr: Attr): number {
    const view = this.#view;
    this.bytes.fill(0, HEAD, HEAD + abi.STATX_OUT.size);
    setU64(view, HEAD + abi.STATX_OUT.attrValid, this.#attrValid.seconds);
    view.setUint32(HEAD + abi.STATX_OUT.attrValidNsec, this.#attrValid.nanoseconds, true);
    const at = HEAD + abi.STATX_OUT.stat;
    view.setUint32(at + abi.STATX.mask, STATX_BASIC_STATS, true);
    view.setUint32(at + abi.STATX.blksize, BLOCK_BYTES, true);
    view.setUint32(at + abi.STATX.nlink, attr.nlink, true);
    view.setUint32(at + abi.STATX.uid, attr.uid, true);
    view.setUint32(at + abi.STATX.gid, attr.gid, true);
    view.setUint16(at + abi.STATX.mode, attr.mode, true);
    setU64(view, at + abi.STATX.ino, attr.ino);
    setU64(view, at + abi.STATX.sizeBytes, attr.sizeBytes);
    setU64(view, at + abi.STATX.blocks, Math.ceil(attr.sizeBytes / SECTOR_BYTES));
    setU64(view, at + abi.STATX.atime, attr.timeSeconds);
    setU64(view, at + abi.STATX.ctime, attr.timeSeconds);
    setU64(view, at + abi.STATX.mtime, attr.timeSeconds);
    return abi.STATX_OUT.size;
  }

  putOpen(reply: OpenReply): number {
    setU64(this.#view, HEAD + abi.OPEN_OUT.fh, reply.handle);
    this.#view.setUint32(HEAD + abi.OPEN_OUT.openFlags, reply.openFlags, true);
    this.#view.setUint32(HEAD + abi.OPEN_OUT.backingId, 0, true);
    return abi.OPEN_OUT.size;
  }

  /** fuse_write_out and fuse_getxattr_out: a u32 and a pad. */
  putU32(value: number): number {
    this.#view.setUint32(HEAD + abi.WRITE_OUT.lengthBytes, value, true);
    this.#view.setUint32(HEAD + abi.WRITE_OUT.padding, 0, true);
    return abi.WRITE_OUT.size;
  }

  putU64(value: number): number {
    setU64(this.#view, HEAD, value);
    return abi.LSEEK_OUT.size;
  }

  putStatfs(statfs: Statfs): number {
    const view = this.#view;
    this.bytes.fill(0, HEAD, HEAD + abi.STATFS_OUT.size);
    setU64(view, HEAD + abi.STATFS_OUT.blocks, statfs.blocks);
    setU64(view, HEAD + abi.STATFS_OUT.bfree, statfs.blocksFree);
    setU64(view, HEAD + abi.STATFS_OUT.bavail, statfs.blocksAvailable);
    setU64(view, HEAD + abi.STATFS_OUT.files, statfs.files);
    setU64(view, HEAD + abi.STATFS_OUT.ffree, statfs.filesFree);
    view.setUint32(HEAD + abi.STATFS_OUT.bsize, statfs.blockBytes, true);
    view.setUint32(HEAD + abi.STATFS_OUT.namelen, statfs.nameBytesMax, true);
    view.setUint32(HEAD + abi.STATFS_OUT.frsize, statfs.blockBytes, true);
    return abi.STATFS_OUT.size;
  }

  /** `value` must fit: the caller has compared its length with what the kernel has room for. */
  putBytes(value: Uint8Array): number {
    this.bytes.set(value, HEAD);
    return value.length;
  }

  /**
   * GET_FMAP. `roomBytes` is what a push kernel asks with: a map that is longer is answered by its
   * header alone, and the kernel asks once more. Undefined is a pull kernel: one page, or EFBIG.
   */
  putFileMap(map: FileMap, roomBytes: number | undefined): number | Errno {
    const wholeBytes = fileMapBytes(map);
    const push = roomBytes !== undefined;
    if (wholeBytes > (push ? PUSH_MAP_MAX_BYTES : PULL_MAP_MAX_BYTES)) return EFBIG;
    if (push && wholeBytes > roomBytes) {
      putFileMapHeader(this.#view, HEAD, map, push);
      return FMAP_HEADER_BYTES;
    }
    this.#grow(wholeBytes);
    putFileMap(this.#view, HEAD, map, push);
    return wholeBytes;
  }

  putDaxdev(index: number, path: string): number | Errno {
    if (Buffer.byteLength(path) > DAXDEV_NAME_MAX_BYTES) return ENAMETOOLONG;
    putDaxdev(this.bytes, HEAD, index, path);
    return DAXDEV_OUT_BYTES;
  }

  /** Maps alone outgrow the buffer: 2,700 extents and more. */
  #grow(payloadBytes: number): void {
    if (HEAD + payloadBytes <= this.bytes.length) return;
    this.bytes = new Uint8Array(HEAD + payloadBytes);
    this.#view = new DataView(this.bytes.buffer);
    this.#text = Buffer.from(this.bytes.buffer);
  }

  /** The most payload that a reply can have, where the kernel has room for `lengthBytes`. */
  room(lengthBytes: number): number {
    return Math.min(lengthBytes, PAYLOAD_BYTES);
  }

  /** Starts the reply to READDIR or READDIRPLUS: no more than `lengthBytes` of entries. */
  directory(lengthBytes: number, plus: boolean): DirectoryWriter {
    const end = HEAD + this.room(lengthBytes);
    let at = HEAD;
    let full = false;
    const direntAt = plus ? abi.DIRENTPLUS.dirent : 0;
    return {
      add: (name, attr, nextCookie, isDot) => {
        const nameBytes = Buffer.byteLength(name);
        const nameAt = at + direntAt + abi.DIRENT.size;
        const next = (nameAt + nameBytes + 7) & ~7;
        if (next > end) {
          full = true;
          return false;
        }
        // A node id of 0 says: no reference given, look it up if you need it.
        if (plus) this.#entry(at, attr, isDot ? 0 : attr.ino);
        this.#dirent(at + direntAt, attr, nextCookie, nameBytes);
        this.#text.write(name, nameAt, 'utf8');
        this.bytes.fill(0, nameAt + nameBytes, next);
        at = next;
        return true;
      },
      // An empty reply means the end of the directory, so room for not even one is an error.
      finish: () => (full && at === HEAD ? EINVAL : at - HEAD),
    };
  }

  #dirent(at: number, attr: Attr, nextCookie: number, nameBytes: number): void {
    setU64(this.#view, at + abi.DIRENT.ino, attr.ino);
    setU64(this.#view, at + abi.DIRENT.off, nextCookie);
    this.#view.setUint32(at + abi.DIRENT.namelen, nameBytes, true);
    this.#view.setUint32(at + abi.DIRENT.type, (attr.mode >>> 12) & 0o17, true);
  }

  #entry(at: number, attr: Attr, nodeid: number): void {
    const view = this.#view;
    setU64(view, at + abi.ENTRY_OUT.nodeid, nodeid);
    setU64(view, at + abi.ENTRY_OUT.generation, GENERATION);
    setU64(view, at + abi.ENTRY_OUT.entryValid, this.#entryValid.seconds);
    setU64(view, at + abi.ENTRY_OUT.attrValid, this.#attrValid.seconds);
    view.setUint32(at + abi.ENTRY_OUT.entryValidNsec, this.#entryValid.nanoseconds, true);
    view.setUint32(at + abi.ENTRY_OUT.attrValidNsec, this.#attrValid.nanoseconds, true);
    this.#attr(at + abi.ENTRY_OUT.attr, attr);
  }

  #attr(at: number, attr: Attr): void {
    const view = this.#view;
    setU64(view, at + abi.ATTR.ino, attr.ino);
    setU64(view, at + abi.ATTR.sizeBytes, attr.sizeBytes);
    setU64(view, at + abi.ATTR.blocks, Math.ceil(attr.sizeBytes / SECTOR_BYTES));
    setU64(view, at + abi.ATTR.atime, attr.timeSeconds);
    setU64(view, at + abi.ATTR.mtime, attr.timeSeconds);
    setU64(view, at + abi.ATTR.ctime, attr.timeSeconds);
    view.setUint32(at + abi.ATTR.atimensec, 0, true);
    view.setUint32(at + abi.ATTR.mtimensec, 0, true);
    view.setUint32(at + abi.ATTR.ctimensec, 0, true);
    view.setUint32(at + abi.ATTR.mode, attr.mode, true);
    view.setUint32(at + abi.ATTR.nlink, attr.nlink, true);
    view.setUint32(at + abi.ATTR.uid, attr.uid, true);
    view.setUint32(at + abi.ATTR.gid, attr.gid, true);
    view.setUint32(at + abi.ATTR.rdev, 0, true);
    view.setUint32(at + abi.ATTR.blksize, BLOCK_BYTES, true);
    view.setUint32(at + abi.ATTR.flags, 0, true);
  }
}

/** `add` says false where there is no more room; `finish` gives the payload's length, or EINVAL. */
export interface DirectoryWriter {
  add(name: string, attr: Attr, nextCookie: number, isDot: boolean): boolean;
  finish(): number | Errno;
}

function validity(seconds: number): Validity {
  const whole = Math.floor(seconds);
  return { seconds: whole, nanoseconds: Math.floor((seconds - whole) * 1e9) };
}
