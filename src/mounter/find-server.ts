import type { MountInfo } from '../native/mounts.ts';
import { descriptorsOn, otherProcesses, procText } from '../native/proc.ts';

/** The process, other than this one, that holds the `/dev/fuse` descriptor of a mount. */
export function findServer(there: MountInfo): { pid: number; fd: number } | undefined {
  const connection = there.device.split(':')[1];
  for (const pid of otherProcesses()) {
    for (const fd of descriptorsOn(pid, '/dev/fuse')) {
      const info = procText(pid, `fdinfo/${fd}`);
      if (/^fuse_connection:\s*(\d+)$/m.exec(info)?.[1] === connection) return { pid, fd };
    }
  }
  return undefined;
}
