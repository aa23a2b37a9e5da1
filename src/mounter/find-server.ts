import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, Fault } from '../base/errors.ts';
import { descriptorsOn, otherProcesses, procText, startOf } from '../native/proc.ts';
import { DROP_NAMES, DROPPER_FUSE_FD } from './name-dropper.ts';
import { SERVER_FUSE_FD } from './server-messages.ts';

const FUSE_PATH = '/dev/fuse';
const TERM_PATIENCE_MS = 5_000;
const KILL_PATIENCE_MS = 5_000;
const LOOK_MS = 10;

/** A server's process, as the keeper that spawned it noted it down. */
export interface NotedServer {
  readonly pid: number;
  readonly start: string;
}

export interface FoundServer {
  readonly pid: number;
  readonly fd: number;
}

export function noteServer(pid: number): NotedServer | undefined {
  const start = startOf(pid);
  return start === undefined ? undefined : { pid, start };
}

/**
 * The server processes that hold a descriptor of a FUSE connection (`major:minor`): by their
 * fdinfo, and where the kernel does not tell there, by note.
 */
export function findServers(connection: string, noted: NotedServer | undefined): FoundServer[] {
  const found: FoundServer[] = [];
  for (const pid of otherProcesses()) {
    const fd = descriptorsOn(pid, FUSE_PATH).find((one) => {
      const told = toldConnection(pid, one);
      return told === undefined
        ? one === SERVER_FUSE_FD && pid === noted?.pid && startOf(pid) === noted.start
        : told === connection.split(':')[1];
    });
    // Last: reading a command line may wait for its process, which may wait for a server.
    if (fd !== undefined && isServer(pid)) found.push({ pid, fd });
  }
  return found;
}

/**
 * A process that outlived its server: it tells the kernel of names that went, and waits for a
 * server's answer to somebody else. Its descriptor keeps the mount alive, and can be copied.
 */
export function findDropper(connection: string): FoundServer | undefined {
  const number = connection.split(':')[1];
  for (const pid of otherProcesses()) {
    const fd = descriptorsOn(pid, FUSE_PATH).find((one) => toldConnection(pid, one) === number);
    if (fd === DROPPER_FUSE_FD && procText(pid, 'cmdline').endsWith(`/${DROP_NAMES}\0`)) {
      return { pid, fd };
    }
  }
  return undefined;
}

/**
 * Ends them and waits until they have: two servers at once would both write the table of counts.
 * Each finishes the request in hand. UNAVAILABLE if one stays even after a SIGKILL.
 */
export async function endServers(look: () => FoundServer[]): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGTERM', TERM_PATIENCE_MS],
    ['SIGKILL', KILL_PATIENCE_MS],
  ] as const) {
    const deadline = performance.now() + patienceMs;
    const told = new Set<number>();
    for (let left = look(); ; left = look()) {
      if (left.length === 0) return;
      for (const { pid } of left.filter((one) => !told.has(one.pid))) {
        told.add(pid);
        signalServer(pid, signal);
      }
      if (performance.now() > deadline) break;
      await delay(LOOK_MS);
    }
  }
  const pids = look().map(({ pid }) => pid);
  if (pids.length === 0) return;
  throw new Fault('UNAVAILABLE', `server ${pids.join(', ')}: has not ended after a SIGKILL; retry`);
}

/** Whether a process is a server child, of whatever keeper. */
function isServer(pid: number): boolean {
  return procText(pid, 'cmdline').endsWith('\0serve\0');
}

/** Undefined on a kernel that does not say it. */
function toldConnection(pid: number, fd: number): string | undefined {
  return /^fuse_connection:\s*(\d+)$/m.exec(procText(pid, `fdinfo/${fd}`))?.[1];
}

/** Fine where the process has ended meanwhile. */
export function signalServer(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}
