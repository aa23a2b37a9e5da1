import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { codeOf } from '../base/errors.ts';
import type { MountInfo } from '../native/mounts.ts';

/** The process, other than this one, that holds the `/dev/fuse` descriptor of a mount. */
export function findServer(there: MountInfo): { pid: number; fd: number } | undefined {
  const connection = there.device.split(':')[1];
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      if (!linksTo(`/proc/${pid}/fd/${fd}`, '/dev/fuse')) continue;
      const info = textOf(`/proc/${pid}/fdinfo/${fd}`);
      if (/^fuse_connection:\s*(\d+)$/m.exec(info)?.[1] === connection) {
        return { pid: Number(pid), fd: Number(fd) };
      }
    }
  }
  return undefined;
}

// Processes end while /proc is read: what is gone holds no descriptor.
function namesIn(path: string): string[] {
  return orElse(() => readdirSync(path), []);
}

function linksTo(path: string, target: string): boolean {
  return orElse(() => readlinkSync(path), '') === target;
}

function textOf(path: string): string {
  return orElse(() => readFileSync(path, 'utf8'), '');
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return otherwise;
    throw error;
  }
}
