import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { codeOf } from '../base/errors.ts';

/** Ids of the other processes of this pid namespace. */
export function otherProcesses(): number[] {
  return names('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);
}

/** The descriptors of a process that are open on a path; none of a process that is gone. */
export function descriptorsOn(pid: number, path: string): number[] {
  return names(`/proc/${pid}/fd`)
    .filter((fd) => orElse(() => readlinkSync(`/proc/${pid}/fd/${fd}`), '') === path)
    .map(Number);
}

/** A text file below `/proc/<pid>`; empty for a process that is gone. */
export function procText(pid: number, name: string): string {
  return orElse(() => readFileSync(`/proc/${pid}/${name}`, 'utf8'), '');
}

/**
 * The other processes that have a device open or mapped, as `process 123 (python3)`. A mounter in
 * a container sees them all only in the host's pid namespace.
 */
export function usersOf(path: string): string[] {
  return otherProcesses()
    .filter((pid) => descriptorsOn(pid, path).length > 0 || isMapped(pid, path))
    .map((pid) => `process ${pid} (${procText(pid, 'comm').trim()})`);
}

function isMapped(pid: number, path: string): boolean {
  return procText(pid, 'maps')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`));
}

function names(path: string): string[] {
  return orElse(() => readdirSync(path), []);
}

/** Processes end while /proc is read: what is gone has nothing open. */
function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'ENOTDIR'].includes(codeOf(error) ?? '')) return otherwise;
    throw error;
  }
}
