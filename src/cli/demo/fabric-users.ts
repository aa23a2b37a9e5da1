import { setTimeout as delay } from 'node:timers/promises';
import { isServer, signalServer } from '../../mounter/find-server.ts';
import { otherProcesses, procText } from '../../native/proc.ts';

const SERVER_PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/** The processes, other than this one, that have the file mapped. */
export function pidsThatMap(path: string): number[] {
  return otherProcesses().filter((pid) => procText(pid, 'maps').includes(path));
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
    if (Date.now() > deadline) for (const pid of servers) signalServer(pid, 'SIGKILL');
    await delay(LOOK_MS);
  }
}
