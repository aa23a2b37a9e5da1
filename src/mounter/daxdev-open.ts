import { closeSync, openSync } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';
import type { FuseDevice } from '../native/fuse-device.ts';

const ADVICE: Readonly<Record<string, string>> = {
  EBUSY: 'it is mounted, or registered for another index; unmount it there, or wait',
  ENODEV: 'it is no dax device that famfs can use; see famfs-csi doctor for its driver',
  EINVAL: 'it is no dax device, or its index is 64 or more',
  EACCES: 'the mounter may not open it; run it as root with the device in its container',
  EPERM: 'the mounter may not open it; run it as root with the device in its container',
  ENOENT: 'there is no such device on this node',
  EOPNOTSUPP: 'the kernel has not agreed on FUSE_DAX_FMAP',
};

/** DAXDEV_OPEN, for kernels that are told of devices; PRECONDITION names device, errno, advice. */
export function registerDaxdev(fuse: FuseDevice, path: string, index: number): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r+');
    fuse.openDaxdev(fd, index);
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    const code = codeOf(cause) ?? codeOf(error) ?? 'failed';
    throw new Fault(
      'PRECONDITION',
      `device ${path}: cannot be given to the kernel as device ${index} of a pool (${code}); ` +
        (ADVICE[code] ?? 'see the kernel log'),
      { cause: error },
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
