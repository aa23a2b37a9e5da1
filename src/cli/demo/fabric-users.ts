import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '../../base/errors.ts';

const SERVER_PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/** The processes, other than this one, that have the file mapped. */
export function pidsThatMap(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && textOf(`/proc/${pid}/maps`).includes(path));
}

/**
 * Waits for the servers of a fabric that have lost their mounts to end. One that does not, since
 * somebody still stands in its mount or has a file of it open, is killed.
 */
export async function endServers(fabric: string): Promise<void> {
  const deadline = Date.now() + SERVER_PATIENCE_MS;
  for (;;) {
    const servers = pidsThatMap(fabric).filter(isServer);
    if (servers.length === 0) return;
    if (Date.now() > deadline) servers.forEach(kill);
    await delay(LOOK_MS);
  }
}

function isServer(pid: number): boolean {
  return textOf(`/proc/${pid}/cmdline`).endsWith('\0serve\0');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** Empty for a process that has ended meanwhile, and for another user's, which is none of ours. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return '';
    throw error;
  }
}
