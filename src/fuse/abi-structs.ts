import { layout } from '../base/layout.ts';

/**
 * Structs of include/uapi/linux/fuse.h that this server reads or writes, little-endian, offsets in
 * bytes from the start of each struct. A message is a header and then what its opcode says. Fields
 * named `size` there are `sizeBytes` (of a file) or `lengthBytes` here: `size` is the struct's own.
 */

// Headers

export const IN_HEADER = layout('fuse_in_header', 40, {
  len: [0, 4],
  opcode: [4, 4],
  unique: [8, 8], // opaque, echoed; bit 63 marks a request that is sent again, bit 0 an INTERRUPT
  nodeid: [16, 8],
  uid: [24, 4],
  gid: [28, 4],
  pid: [32, 4],
  totalExtlen: [36, 2], // of the extensions at the end of the message, in units of 8 bytes
  padding: [38, 2],
});

export const OUT_HEADER = layout('fuse_out_header', 16, {
  len: [0, 4],
  error: [4, 4], // 0 or −errno; the notify code where unique is 0
  unique: [8, 8],
});

// INIT

export const INIT_IN = layout('fuse_init_in', 64, {
  major: [0, 4],
  minor: [4, 4],
  maxReadahead: [8, 4],
  flags: [12, 4],
  flags2: [16, 4], // since 7.36, where flags has INIT_EXT
  unused: [20, 44],
});
/** fuse_init_in of kernels before 7.36 ends after `flags`. */
export const INIT_IN_COMPAT_BYTES = 16;

export const INIT_OUT = layout('fuse_init_out', 64, {
  major: [0, 4],
  minor: [4, 4],
  maxReadahead: [8, 4],
  flags: [12, 4],
  maxBackground: [16, 2],
  congestionThreshold: [18, 2],
  maxWrite: [20, 4],
  timeGran: [24, 4],
  maxPages: [28, 2],
  mapAlignment: [30, 2],
  flags2: [32, 4],
  maxStackDepth: [36, 4],
  requestTimeout: [40, 2],
  unused: [42, 22],
});
/** FUSE_COMPAT_22_INIT_OUT_SIZE: kernels before 7.23 take the struct up to `maxWrite` only. */
export const INIT_OUT_COMPAT_22_BYTES = 24;

// Attributes

export const ATTR = layout('fuse_attr', 88, {
  ino: [0, 8],
  sizeBytes: [8, 8],
  blocks: [16, 8], // of 512 bytes
  atime: [24, 8],
  mtime: [32, 8],
  ctime: [40, 8],
  atimensec: [48, 4],
  mtimensec: [52, 4],
  ctimensec: [56, 4],
  mode: [60, 4],
  nlink: [64, 4],
  uid: [68, 4],
  gid: [72, 4],
  rdev: [76, 4],
  blksize: [80, 4],
  flags: [84, 4],
});

export const ENTRY_OUT = layout('fuse_entry_out', 128, {
  nodeid: [0, 8],
  generation: [8, 8],
  entryValid: [16, 8],
  attrValid: [24, 8],
  entryValidNsec: [32, 4],
  attrValidNsec: [36, 4],
  attr: [40, 88],
});

export const GETATTR_IN = layout('fuse_getattr_in', 16, {
  getattrFlags: [0, 4],
  dummy: [4, 4],
  fh: [8, 8],
});

export const ATTR_OUT = layout('fuse_attr_out', 104, {
  attrValid: [0, 8],
  attrValidNsec: [8, 4],
  dummy: [12, 4],
  attr: [16, 88],
});

export const SETATTR_IN = layout('fuse_setattr_in', 88, {
  valid: [0, 4],
  padding: [4, 4],
  fh: [8, 8],
  sizeBytes: [16, 8],
  lockOwner: [24, 8],
  atime: [32, 8],
  mtime: [40, 8],
  ctime: [48, 8],
  atimensec: [56, 4],
  mtimensec: [60, 4],
  ctimensec: [64, 4],
  mode: [68, 4],
  unused4: [72, 4],
  uid: [76, 4],
  gid: [80, 4],
  unused5: [84, 4],
});

export const STATX_IN = layout('fuse_statx_in', 24, {
  getattrFlags: [0, 4],
  reserved: [4, 4],
  fh: [8, 8],
  sxFlags: [16, 4],
  sxMask: [20, 4],
});

export const STATX_OUT = layout('fuse_statx_out', 288, {
  attrValid: [0, 8],
  attrValidNsec: [8, 4],
  flags: [12, 4],
  spare: [16, 16],
  stat: [32, 256],
});

export const STATX = layout('fuse_statx', 256, {
  mask: [0, 4],
  blksize: [4, 4],
  attributes: [8, 8],
  nlink: [16, 4],
  uid: [20, 4],
  gid: [24, 4],
  mode: [28, 2],
  spare0: [30, 2],
  ino: [32, 8],
  sizeBytes: [40, 8],
  blocks: [48, 8],
  attributesMask: [56, 8],
  atime: [64, 16], // seconds, nanoseconds, reserved
  btime: [80, 16],
  ctime: [96, 16],
  mtime: [112, 16],
  rdevMajor: [128, 4],
  rdevMinor: [132, 4],
  devMajor: [136, 4],
  devMinor: [140, 4],
  spare2: [144, 112],
});

export const ACCESS_IN = layout('fuse_access_in', 8, {
  mask: [0, 4],
  padding: [4, 4],
});

export const STATFS_OUT = layout('fuse_statfs_out', 80, {
  blocks: [0, 8],
  bfree: [8, 8],
  bavail: [16, 8],
  files: [24, 8],
  ffree: [32, 8],
  bsize: [40, 4],
  namelen: [44, 4],
  frsize: [48, 4],
  padding: [52, 4],
  spare: [56, 24],
});

// References

export const FORGET_IN = layout('fuse_forget_in', 8, {
  nlookup: [0, 8],
});

export const BATCH_FORGET_IN = layout('fuse_batch_forget_in', 8, {
  count: [0, 4],
  dummy: [4, 4],
});

export const FORGET_ONE = layout('fuse_forget_one', 16, {
  nodeid: [0, 8],
  nlookup: [8, 8],
});

// Open files

export const OPEN_IN = layout('fuse_open_in', 8, {
  flags: [0, 4],
  openFlags: [4, 4],
});

export const OPEN_OUT = layout('fuse_open_out', 16, {
  fh: [0, 8],
  openFlags: [8, 4],
  backingId: [12, 4],
});

export const RELEASE_IN = layout('fuse_release_in', 24, {
  fh: [0, 8],
  flags: [8, 4],
  releaseFlags: [12, 4],
  lockOwner: [16, 8],
});

/** Of READ, READDIR and READDIRPLUS. */
export const READ_IN = layout('fuse_read_in', 40, {
  fh: [0, 8],
  offset: [8, 8],
  lengthBytes: [16, 4],
  readFlags: [20, 4],
  lockOwner: [24, 8],
  flags: [32, 4],
  padding: [36, 4],
});

/** The data follows. */
export const WRITE_IN = layout('fuse_write_in', 40, {
  fh: [0, 8],
  offset: [8, 8],
  lengthBytes: [16, 4],
  writeFlags: [20, 4],
  lockOwner: [24, 8],
  flags: [32, 4],
  padding: [36, 4],
});

export const WRITE_OUT = layout('fuse_write_out', 8, {
  lengthBytes: [0, 4],
  padding: [4, 4],
});

export const FLUSH_IN = layout('fuse_flush_in', 24, {
  fh: [0, 8],
  unused: [8, 4],
  padding: [12, 4],
  lockOwner: [16, 8],
});

/** Of FSYNC and FSYNCDIR. */
export const FSYNC_IN = layout('fuse_fsync_in', 16, {
  fh: [0, 8],
  fsyncFlags: [8, 4],
  padding: [12, 4],
});

export const LSEEK_IN = layout('fuse_lseek_in', 24, {
  fh: [0, 8],
  offset: [8, 8],
  whence: [16, 4],
  padding: [20, 4],
});

export const LSEEK_OUT = layout('fuse_lseek_out', 8, {
  offset: [0, 8],
});

export const INTERRUPT_IN = layout('fuse_interrupt_in', 8, {
  unique: [0, 8],
});

// Directories: the name follows, then zeros up to a multiple of 8 bytes

export const DIRENT = layout('fuse_dirent', 24, {
  ino: [0, 8],
  off: [8, 8], // where to go on after this entry
  namelen: [16, 4],
  type: [20, 4],
});

export const DIRENTPLUS = layout('fuse_direntplus', 152, {
  entryOut: [0, 128],
  dirent: [128, 24],
});

// Extended attributes

/** Of GETXATTR, where the name follows, and LISTXATTR. */
export const GETXATTR_IN = layout('fuse_getxattr_in', 8, {
  lengthBytes: [0, 4], // room for the reply; 0 asks how much is needed
  padding: [4, 4],
});

export const GETXATTR_OUT = layout('fuse_getxattr_out', 8, {
  lengthBytes: [0, 4],
  padding: [4, 4],
});

// Notifications: OUT_HEADER with unique 0, then

export const INVAL_INODE_OUT = layout('fuse_notify_inval_inode_out', 24, {
  ino: [0, 8],
  off: [8, 8],
  len: [16, 8],
});

/** The name and a NUL follow. */
export const INVAL_ENTRY_OUT = layout('fuse_notify_inval_entry_out', 16, {
  parent: [0, 8],
  namelen: [8, 4],
  flags: [12, 4],
});
