import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
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

/** When a process started, in ticks since boot: with its id, a name that is never used again. */
export function startOf(pid: number): string | undefined {
  // The command's name, in brackets, may hold anything; field 22 is the twentieth after it.
  const text = procText(pid, 'stat');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/**
 * Another process that holds a flock(2) of a file; undefined if it is not seen. /proc/locks names
 * who took it, which may have handed it on and ended.
 */
export function flockHolder(path: string): number | undefined {
  const real = realpathSync(path);
  return otherProcesses().find((pid) =>
    descriptorsOn(pid, real).some((fd) => /^lock:.*FLOCK/m.test(procText(pid, `fdinfo/${fd}`))),
  );
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
