import { OPCODE } from './abi-constants.ts';
import * as abi from './abi-structs.ts';
import {
  EFBIG,
  EINVAL,
  ENODATA,
  ENOENT,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  type Errno,
} from './errno.ts';
import { GET_FMAP_IN } from './fmap.ts';
import type { Operations } from './operations.ts';
import type { ReplyBuffer } from './reply.ts';
import type { FuseRequest } from './request.ts';

/** What is known of one opcode. */
export interface OpcodeRecord {
  /** As in the kernel's header, for messages. */
  readonly name: string;
  /** The least length of a body: its fixed struct. A newer kernel may append to it. */
  readonly bodyBytes: number;
  /** False: the kernel takes no reply, not even an error. */
  readonly hasReply: boolean;
  /** Decodes, calls, encodes. Returns the payload's length in bytes, or the error to answer. */
  readonly serve: (ops: Operations, request: FuseRequest, reply: ReplyBuffer) => number | Errno;
  /** The error that every request of this opcode gets, whatever it says and whatever is there. */
  readonly always?: Errno;
}

type Serve = OpcodeRecord['serve'];

const isErrno = (value: unknown): value is Errno => typeof value === 'number' && value < 0;

const lookup: Serve = (ops, request, reply) => {
  const name = request.name(0, ENOENT);
  if (isErrno(name)) return name;
  const attr = ops.lookup(request.nodeid, name);
  if (isErrno(attr)) return attr;
  const payloadBytes = reply.putEntry(attr);
  ops.lookedUp(attr.ino);
  return payloadBytes;
};

const forget: Serve = (ops, request) => {
  const count = request.u64(abi.FORGET_IN.nlookup);
  if (!Number.isFinite(count)) return request.refuse('found a count of 2^53 or more');
  ops.forget(request.nodeid, count);
  return 0;
};

const batchForget: Serve = (ops, request) => {
  const count = request.u32(abi.BATCH_FORGET_IN.count);
  const room = request.bodyBytes - abi.BATCH_FORGET_IN.size;
  if (count * abi.FORGET_ONE.size > room) {
    return request.refuse(`found ${room} bytes for ${count} inodes`);
  }
  for (let i = 0; i < count; i++) {
    const at = abi.BATCH_FORGET_IN.size + i * abi.FORGET_ONE.size;
    const ino = request.u64(at + abi.FORGET_ONE.nodeid);
    const nlookup = request.u64(at + abi.FORGET_ONE.nlookup);
    if (Number.isFinite(ino) && Number.isFinite(nlookup)) ops.forget(ino, nlookup);
    else request.refuse('found an inode or a count of 2^53 or more');
  }
  return 0;
};

const getattr: Serve = (ops, request, reply) => {
  const attr = ops.getattr(request.nodeid);
  return isErrno(attr) ? attr : reply.putAttr(attr);
};

const statx: Serve = (ops, request, reply) => {
  const attr = ops.getattr(request.nodeid);
  return isErrno(attr) ? attr : reply.putStatx(attr);
};

const setattr: Serve = (ops, request, reply) => {
  const change = request.setattrChange();
  if (change.sizeBytes === Number.POSITIVE_INFINITY) return EFBIG;
  const attr = ops.setattr(request.nodeid, change);
  return isErrno(attr) ? attr : reply.putAttr(attr);
};

const access: Serve = (ops, request) =>
  ops.access(request.nodeid, request.u32(abi.ACCESS_IN.mask), request.caller);

const open: Serve = (ops, request, reply) => {
  const opened = ops.open(request.nodeid, request.u32(abi.OPEN_IN.flags));
  return isErrno(opened) ? opened : reply.putOpen(opened);
};

const opendir: Serve = (ops, request, reply) => {
  const opened = ops.opendir(request.nodeid);
  return isErrno(opened) ? opened : reply.putOpen(opened);
};

const release: Serve = (ops, request) => {
  ops.release(request.nodeid, request.u64(abi.RELEASE_IN.fh));
  return 0;
};

const releasedir: Serve = (ops, request) => {
  ops.releasedir(request.nodeid, request.u64(abi.RELEASE_IN.fh));
  return 0;
};

/** No file of ours reaches 2^53, so a read there is past the end. */
const read: Serve = (ops, request, reply) => {
  const offset = request.u64(abi.READ_IN.offset);
  const lengthBytes = request.u32(abi.READ_IN.lengthBytes);
  if (!Number.isSafeInteger(offset + lengthBytes)) return 0;
  const segments = ops.read(request.nodeid, offset, lengthBytes);
  return isErrno(segments) ? segments : reply.putSegments(segments, lengthBytes);
};

const write: Serve = (ops, request, reply) => {
  const data = request.writeData();
  if (data === undefined) return request.refuse('found another length of data than it says');
  const offset = request.u64(abi.WRITE_IN.offset);
  if (!Number.isSafeInteger(offset + data.length)) return EFBIG;
  const written = ops.write(request.nodeid, offset, data);
  return isErrno(written) ? written : reply.putU32(written);
};

const lseek: Serve = (ops, request, reply) => {
  const offset = request.u64(abi.LSEEK_IN.offset);
  if (!Number.isFinite(offset)) return ENXIO;
  const found = ops.lseek(request.nodeid, offset, request.u32(abi.LSEEK_IN.whence));
  return isErrno(found) ? found : reply.putU64(found);
};

const readdir: Serve = (ops, request, reply) => {
  const cookie = request.u64(abi.READ_IN.offset);
  if (!Number.isFinite(cookie)) return EINVAL;
  const entries = reply.directory(request.u32(abi.READ_IN.lengthBytes), false);
  const error = ops.readdir(request.nodeid, cookie, (name, attr, nextCookie) =>
    entries.add(name, attr, nextCookie, false),
  );
  return error === 0 ? entries.finish() : error;
};

/** The references are counted last, when it is certain that the kernel gets them. */
const readdirplus: Serve = (ops, request, reply) => {
  const cookie = request.u64(abi.READ_IN.offset);
  if (!Number.isFinite(cookie)) return EINVAL;
  const entries = reply.directory(request.u32(abi.READ_IN.lengthBytes), true);
  const given: number[] = [];
  const error = ops.readdir(request.nodeid, cookie, (name, attr, nextCookie) => {
    const isDot = name === '.' || name === '..';
    const added = entries.add(name, attr, nextCookie, isDot);
    if (added && !isDot) given.push(attr.ino);
    return added;
  });
  if (error !== 0) return error;
  for (const ino of given) ops.lookedUp(ino);
  return entries.finish();
};

const getxattr: Serve = (ops, request, reply) => {
  const name = request.name(abi.GETXATTR_IN.size, ENODATA);
  if (isErrno(name)) return name;
  const value = ops.getxattr(request.nodeid, name);
  return isErrno(value) ? value : putXattr(value, request, reply);
};

const listxattr: Serve = (ops, request, reply) => {
  const names = ops.listxattr(request.nodeid);
  if (isErrno(names)) return names;
  return putXattr(Buffer.from(names.map((name) => `${name}\0`).join('')), request, reply);
};

/** getxattr(2): room 0 asks for the length; too little room is ERANGE. */
function putXattr(value: Uint8Array, request: FuseRequest, reply: ReplyBuffer): number | Errno {
  const lengthBytes = request.u32(abi.GETXATTR_IN.lengthBytes);
  if (lengthBytes === 0) return reply.putU32(value.length);
  return value.length > reply.room(lengthBytes) ? ERANGE : reply.putBytes(value);
}

/** A body tells a push kernel, which says how much room it has, from a pull kernel. */
const getFmap: Serve = (ops, request, reply) => {
  const map = ops.getFmap(request.nodeid);
  if (isErrno(map)) return map;
  const hasRoom = request.bodyBytes >= GET_FMAP_IN.size;
  return reply.putFileMap(map, hasRoom ? request.u32(GET_FMAP_IN.room) : undefined);
};

/** The node id is the device's index. */
const getDaxdev: Serve = (ops, request, reply) => {
  const path = ops.getDaxdev(request.nodeid);
  return isErrno(path) ? path : reply.putDaxdev(request.nodeid, path);
};

const done: Serve = () => 0;

const answered = (name: string, bodyBytes: number, serve: Serve): OpcodeRecord => ({
  name,
  bodyBytes,
  hasReply: true,
  serve,
});

const unanswered = (name: string, bodyBytes: number, serve: Serve): OpcodeRecord => ({
  name,
  bodyBytes,
  hasReply: false,
  serve,
});

/** Refused whatever its body says. */
const refused = (name: string, error: Errno): OpcodeRecord => ({
  ...answered(name, 0, () => error),
  always: error,
});

/**
 * Every opcode that is not answered ENOSYS. ENOSYS tells the kernel to do without, for good: right
 * for COPY_FILE_RANGE or locks, wrong where it would tell users "Function not implemented". INIT is
 * not here: `negotiate` answers it, once, before there is a Responder.
 */
export const TABLE: ReadonlyMap<number, OpcodeRecord> = new Map([
  [OPCODE.LOOKUP, answered('LOOKUP', 1, lookup)],
  [OPCODE.FORGET, unanswered('FORGET', abi.FORGET_IN.size, forget)],
  [OPCODE.BATCH_FORGET, unanswered('BATCH_FORGET', abi.BATCH_FORGET_IN.size, batchForget)],
  [OPCODE.GETATTR, answered('GETATTR', abi.GETATTR_IN.size, getattr)],
  [OPCODE.STATX, answered('STATX', abi.STATX_IN.size, statx)],
  [OPCODE.SETATTR, answered('SETATTR', abi.SETATTR_IN.size, setattr)],
  [OPCODE.ACCESS, answered('ACCESS', abi.ACCESS_IN.size, access)],
  [OPCODE.OPEN, answered('OPEN', abi.OPEN_IN.size, open)],
  [OPCODE.READ, answered('READ', abi.READ_IN.size, read)],
  [OPCODE.WRITE, answered('WRITE', abi.WRITE_IN.size, write)],
  [OPCODE.LSEEK, answered('LSEEK', abi.LSEEK_IN.size, lseek)],
  [OPCODE.FLUSH, answered('FLUSH', abi.FLUSH_IN.size, (ops, request) => ops.flush(request.nodeid))],
  [OPCODE.FSYNC, answered('FSYNC', abi.FSYNC_IN.size, (ops, request) => ops.fsync(request.nodeid))],
  [OPCODE.RELEASE, answered('RELEASE', abi.RELEASE_IN.size, release)],
  [OPCODE.OPENDIR, answered('OPENDIR', abi.OPEN_IN.size, opendir)],
  [OPCODE.READDIR, answered('READDIR', abi.READ_IN.size, readdir)],
  [OPCODE.READDIRPLUS, answered('READDIRPLUS', abi.READ_IN.size, readdirplus)],
  [OPCODE.RELEASEDIR, answered('RELEASEDIR', abi.RELEASE_IN.size, releasedir)],
  [OPCODE.FSYNCDIR, answered('FSYNCDIR', abi.FSYNC_IN.size, done)],
  [OPCODE.STATFS, answered('STATFS', 0, (ops, _, reply) => reply.putStatfs(ops.statfs()))],
  [OPCODE.GETXATTR, answered('GETXATTR', abi.GETXATTR_IN.size + 1, getxattr)],
  [OPCODE.LISTXATTR, answered('LISTXATTR', abi.GETXATTR_IN.size, listxattr)],
  [OPCODE.GET_FMAP, answered('GET_FMAP', 0, getFmap)],
  [OPCODE.GET_DAXDEV, answered('GET_DAXDEV', 0, getDaxdev)],
  [OPCODE.DESTROY, answered('DESTROY', 0, done)],
  // Requests are answered one by one, so the one it names has its answer already.
  [OPCODE.INTERRUPT, unanswered('INTERRUPT', abi.INTERRUPT_IN.size, done)],
  [OPCODE.NOTIFY_REPLY, unanswered('NOTIFY_REPLY', 0, done)],
  // Names come and go through the log alone.
  [OPCODE.MKNOD, refused('MKNOD', EPERM)],
  [OPCODE.MKDIR, refused('MKDIR', EPERM)],
  [OPCODE.UNLINK, refused('UNLINK', EPERM)],
  [OPCODE.RMDIR, refused('RMDIR', EPERM)],
  [OPCODE.RENAME, refused('RENAME', EPERM)],
  [OPCODE.RENAME2, refused('RENAME2', EPERM)],
  [OPCODE.SYMLINK, refused('SYMLINK', EPERM)],
  [OPCODE.LINK, refused('LINK', EPERM)],
  [OPCODE.CREATE, refused('CREATE', EPERM)],
  [OPCODE.TMPFILE, refused('TMPFILE', EPERM)],
  [OPCODE.FALLOCATE, refused('FALLOCATE', EOPNOTSUPP)],
  [OPCODE.SETXATTR, refused('SETXATTR', EOPNOTSUPP)],
  [OPCODE.REMOVEXATTR, refused('REMOVEXATTR', EOPNOTSUPP)],
]);
