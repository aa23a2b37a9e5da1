import { type FaultCode, isFault } from '../base/errors.ts';

declare const brand: unique symbol;

/** A negative Linux error number, as it stands in `fuse_out_header.error`. */
export type Errno = number & { readonly [brand]: 'Errno' };

const errno = (number: number): Errno => -number as Errno;

// include/uapi/asm-generic/errno-base.h and errno.h; the same on x86-64 and arm64.
export const EPERM = errno(1);
export const ENOENT = errno(2);
export const EIO = errno(5);
export const ENXIO = errno(6);
export const EAGAIN = errno(11);
export const ENOMEM = errno(12);
export const EACCES = errno(13);
export const EBUSY = errno(16);
export const EEXIST = errno(17);
export const ENODEV = errno(19);
export const ENOTDIR = errno(20);
export const EISDIR = errno(21);
export const EINVAL = errno(22);
export const EFBIG = errno(27);
export const ENOSPC = errno(28);
export const EROFS = errno(30);
export const ERANGE = errno(34);
export const ENAMETOOLONG = errno(36);
export const ENOSYS = errno(38);
export const ENODATA = errno(61);
export const EPROTO = errno(71);
export const EOVERFLOW = errno(75);
export const EOPNOTSUPP = errno(95);
export const ESTALE = errno(116);

/** What a process gets from its system call when a handler throws a Fault. */
export const ERRNO_OF_FAULT = {
  INVALID: EINVAL,
  NOT_FOUND: ENOENT,
  EXISTS: EEXIST,
  NO_SPACE: ENOSPC,
  LOG_FULL: ENOSPC,
  NOT_FAMFS: EIO,
  CORRUPT: EIO,
  UNSUPPORTED: EOPNOTSUPP,
  READ_ONLY: EROFS,
  PERMISSION: EPERM,
  PRECONDITION: EINVAL,
  BUSY: EBUSY,
  MEMORY_ERROR: EIO,
  UNAVAILABLE: EAGAIN,
  IO: EIO,
  INTERNAL: EIO,
} as const satisfies Record<FaultCode, Errno>;

/** The error number of anything that was thrown: a Fault's from the table, else EIO. */
export function errnoOf(error: unknown): Errno {
  return isFault(error) ? ERRNO_OF_FAULT[error.code] : EIO;
}
