import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { FileLock } from '../native/file-lock.ts';
import { FuseDevice, WakeEvent } from '../native/fuse-device.ts';
import { type BootParts, bootThroughMount } from './boot.ts';
import { registerDaxdev } from './daxdev-open.ts';
import { deviceNumber, MountWatch } from './mount-watch.ts';
import { DROP_NAMES, NameDropper } from './name-dropper.ts';
import { OPEN_FILES, OPENER_ROOT_FD, Opener } from './opener.ts';
import {
  ASSIGNMENT_VARIABLE,
  SERVER_FUSE_FD,
  SERVER_ROOT_FD,
  type ServerAssignment,
  type ServerReply,
  type ServerRequest,
} from './server-messages.ts';
import type { BootRequest, WorkerInput, WorkerReply, WorkerRequest } from './worker-messages.ts';

const LOCK_PAUSE_MS = 10;
const WATCH_EVERY_MS = 1_000;
/** Until the mount was seen: one that is gone before that would be waited for without end. */
const WATCH_FIRST_MS = 50;

/**
 * The server child: serves one pool's mount on the descriptor that it inherited, until the mount is
 * gone, the keeper says stop, or it is told to end. When its keeper dies it serves on: pods must
 * not notice, and the next keeper takes the descriptor over.
 */
export async function serve(log: Logger): Promise<void> {
  const assignment = assignmentOf(process.env);
  using _ = await becomeOnlyServer(assignment.referencesPath, log);
  using wake = WakeEvent.create();
  const input: WorkerInput = { assignment, fuseFd: SERVER_FUSE_FD, wakeFd: wake.fd };
  const worker = new Worker(new URL('./serve-worker.js', import.meta.url), { workerData: input });
  const tell = (request: WorkerRequest) => {
    worker.postMessage(request);
    wake.signal();
  };
  const stop = () => tell({ op: 'stop' });
  process.on('message', (request: ServerRequest) => tell(request));
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', () => log.warn('the keeper is gone; serving on'));
  const booted: (() => void)[] = [];
  const dropper = new NameDropper([process.execPath, scriptAt(DROP_NAMES)], SERVER_FUSE_FD, log);
  worker.on('message', (reply: WorkerReply) => {
    if (reply.op === 'booted') booted.shift()?.();
    else if (reply.op === 'removed') dropper.drop([reply.parent, reply.name]);
    else report(reply);
  });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
  let watching: NodeJS.Timeout | undefined;
  try {
    if (assignment.generation !== 'buffered') {
      const ask = (request: BootRequest) => {
        tell(request);
        return new Promise<void>((resolve) => booted.push(resolve));
      };
      const device = FuseDevice.adopt(SERVER_FUSE_FD);
      const register = (path: string, devindex: number) => registerDaxdev(device, path, devindex);
      const parts = { tell: ask, register, log };
      const watch = await Promise.race([boot(assignment, parts), ended]);
      const look = () => {
        if (watch?.isOver(!process.connected)) stop();
        watching = setTimeout(look, watch?.wasSeen ? WATCH_EVERY_MS : WATCH_FIRST_MS);
      };
      look();
    }
    await ended;
  } catch (error) {
    stop();
    await ended;
    throw error;
  } finally {
    clearTimeout(watching);
    if (process.connected) process.disconnect();
  }
}

/**
 * Waits until no other server of this mount runs: two would both write the counts. Keepers end a
 * server before they start another; this holds also when one of two keepers wakes up too late.
 */
async function becomeOnlyServer(referencesPath: string, log: Logger): Promise<FileLock> {
  for (let waits = 0; ; waits++) {
    closeSync(openSync(referencesPath, 'a', 0o600));
    const lock = FileLock.tryLock(referencesPath);
    if (lock !== undefined) return lock;
    if (waits === 0) log.info('waiting for another server of this mount to end');
    await delay(LOCK_PAUSE_MS);
  }
}

/**
 * A server that cannot read its pool's log has nothing to serve: it ends, and says why. From then
 * on the mapped log keeps the mount busy, for as long as this runs: hence the watch.
 */
async function boot(
  assignment: ServerAssignment,
  parts: Omit<BootParts, 'openFile'>,
): Promise<MountWatch> {
  using opener = new Opener([process.execPath, scriptAt(OPEN_FILES)], SERVER_ROOT_FD);
  // It would keep the mount busy.
  closeSync(SERVER_ROOT_FD);
  const root = `/proc/self/fd/${OPENER_ROOT_FD}`;
  const openFile = (path: string) => opener.open(path);
  try {
    const watch = new MountWatch(deviceNumber(await opener.device()));
    await bootThroughMount(root, assignment, { ...parts, openFile });
    return watch;
  } catch (error) {
    report({ op: 'failed', message: `pool ${assignment.pool}: ${messageOf(error)}` });
    throw error;
  }
}

function scriptAt(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** An orphan's replies have nowhere to go; its keeper's successor will ask anew. */
function report(reply: ServerReply): void {
  if (process.connected) process.send?.(reply, () => {});
}

function assignmentOf(env: NodeJS.ProcessEnv): ServerAssignment {
  const text = env[ASSIGNMENT_VARIABLE];
  if (text === undefined) {
    throw new Fault(
      'INVALID',
      `serve: ${ASSIGNMENT_VARIABLE} is missing; only a mounter runs this`,
    );
  }
  return JSON.parse(text) as ServerAssignment;
}
