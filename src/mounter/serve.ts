import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { FileLock } from '../native/file-lock.ts';
import { WakeEvent } from '../native/fuse-device.ts';
import { bootThroughMount } from './boot.ts';
import {
  SERVER_FUSE_FD,
  SERVER_ROOT_FD,
  type ServerAssignment,
  type ServerReply,
  type ServerRequest,
} from './server-messages.ts';
import type { BootRequest, WorkerInput, WorkerReply, WorkerRequest } from './worker-messages.ts';

const LOCK_PAUSE_MS = 10;

/**
 * The server child: serves one pool's mount on the descriptor that it inherited, until the mount is
 * gone, the keeper says stop, or it is told to end. When its keeper dies it serves on: pods must
 * not notice, and the next keeper takes the descriptor over.
 */
export async function serve(log: Logger): Promise<void> {
  const assignment = await receiveAssignment();
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
  worker.on('message', (reply: WorkerReply) => {
    if (reply.op === 'booted') booted.shift()?.();
    else report(reply);
  });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
  try {
    if (assignment.generation !== 'buffered') {
      const ask = (request: BootRequest) => {
        tell(request);
        return new Promise<void>((resolve) => booted.push(resolve));
      };
      await Promise.race([boot(assignment, ask, log), ended]);
    }
    await ended;
  } catch (error) {
    stop();
    await ended;
    throw error;
  } finally {
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

/** A server that cannot read its pool's log has nothing to serve: it ends, and says why. */
async function boot(
  assignment: ServerAssignment,
  ask: (request: BootRequest) => Promise<void>,
  log: Logger,
): Promise<void> {
  try {
    await bootThroughMount(`/proc/self/fd/${SERVER_ROOT_FD}`, assignment, ask, log);
  } catch (error) {
    report({ op: 'failed', message: `pool ${assignment.pool}: ${messageOf(error)}` });
    throw error;
  } finally {
    // It would keep the mount busy; the mapped log does so anyway, for as long as this runs.
    closeSync(SERVER_ROOT_FD);
  }
}

/** An orphan's replies have nowhere to go; its keeper's successor will ask anew. */
function report(reply: ServerReply): void {
  if (process.connected) process.send?.(reply, () => {});
}

function receiveAssignment(): Promise<ServerAssignment> {
  return new Promise((resolve, reject) => {
    const orphaned = () =>
      reject(new Fault('UNAVAILABLE', 'serve: the keeper left before it began'));
    process.once('disconnect', orphaned);
    process.once('message', (request: ServerRequest) => {
      process.off('disconnect', orphaned);
      if (request.op === 'serve') resolve(request.assignment);
      else reject(new Fault('INTERNAL', `serve: the first message was "${request.op}"`));
    });
  });
}
