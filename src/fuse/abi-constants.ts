/**
 * Numbers of include/uapi/linux/fuse.h, protocol 7.46 (Linux 7.3). Bits 32 to 63 of the INIT flags
 * stand in `flags2`, shifted down.
 */

export const FUSE_MAJOR = 7;
/** The newest minor whose structs and flags are known here; the lower of both sides' is agreed. */
export const FUSE_MINOR = 46;
/** Notifications that invalidate came with 7.12, the last of what this server cannot do without. */
export const FUSE_MINOR_OLDEST = 12;

export const FUSE_ROOT_INO = 1;

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
  /** The famfs patches of 2026: fuse-famfs-abi.md. No stock kernel sends them. */
  GET_FMAP: 54,
  GET_DAXDEV: 55,
} as const;

/** INIT `flags`. Bits that are neither asked for nor looked at are left out. */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  NO_OPENDIR_SUPPORT: 1 << 24,
  INIT_EXT: 1 << 30,
} as const;

/** INIT `flags2`: bit n here is bit 32 + n of the header's 64-bit constants. */
export const INIT_FLAG2 = {
  HAS_RESEND: 1 << 7,
  /** Bit 43, of the famfs patches; a stock kernel with io-uring gives it another meaning. */
  DAX_FMAP: 1 << 11,
} as const;

/** `fuse_open_out.open_flags`. */
export const FOPEN = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NONSEEKABLE: 1 << 2,
  CACHE_DIR: 1 << 3,
  STREAM: 1 << 4,
  NOFLUSH: 1 << 5,
  PARALLEL_DIRECT_WRITES: 1 << 6,
} as const;

/** `fuse_setattr_in.valid`. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

/** Any of the three times, given or "now". */
export const FATTR_TIMES =
  FATTR.ATIME | FATTR.MTIME | FATTR.ATIME_NOW | FATTR.MTIME_NOW | FATTR.CTIME;

/** `fuse_statx.mask`: type, mode, nlink, uid, gid, three times, ino, size, blocks. */
export const STATX_BASIC_STATS = 0x7ff;

/** `fuse_out_header.error` of a message with `unique` 0. */
export const NOTIFY = {
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  /** Linux ≥ 6.9: the kernel sends again every request that was read and not answered. */
  RESEND: 7,
} as const;
