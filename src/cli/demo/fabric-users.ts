import { setTimeout as delay } from 'node:timers/promises';
import { signalServer } from '../../mounter/find-server.ts';
import { ASSIGNMENT_VARIABLE } from '../../mounter/server-messages.ts';
import { otherProcesses, procText } from '../../native/proc.ts';

const SERVER_PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/**
 * By the environment that hands a server its assignment, which what it starts has, too: a server
 * that still starts has nothing mapped.
 */
function isServing(pid: number, fabric: string): boolean {
  const device = JSON.stringify(fabric);
  return procText(pid, 'environ')
    .split('\0')
    .some((entry) => entry.startsWith(`${ASSIGNMENT_VARIABLE}=`) && entry.includes(device));
}

/** The processes, other than this one, that have the file mapped. */
export function pidsThatMap(path: string): number[] {
  return otherProcesses().filter((pid) => procText(pid, 'maps').includes(path));
}

/**
 * Waits for the servers of a fabric that have lost their mounts to end, and what they have started.
 * One that does not, since somebody still stands in its mount or has a file of it open, is killed.
 */
export async function endServers(fabric: string): Promise<void> {
  const deadline = Date.now() + SERVER_PATIENCE_MS;
  for (;;) {
    const servers = otherProcesses().filter((pid) => isServing(pid, fabric));
    if (servers.length === 0) return;
    if (Date.now() > deadline) for (const pid of servers) signalServer(pid, 'SIGKILL');
    await delay(LOOK_MS);
  }
}
