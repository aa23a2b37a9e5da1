import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { invalidateEntry } from '../fuse/notify.ts';
import { FuseDevice, WakeEvent } from '../native/fuse-device.ts';
import { bootThroughMount } from './boot.ts';
import {
  ASSIGNMENT_VARIABLE,
  SERVER_FUSE_FD,
  SERVER_ROOT_FD,
  type ServerAssignment,
  type ServerReply,
  type ServerRequest,
} from './server-messages.ts';
import type { BootRequest, WorkerInput, WorkerReply, WorkerRequest } from './worker-messages.ts';

/**
 * The server child: serves one pool's mount on the descriptor that it inherited, until the mount is
 * gone, the keeper says stop, or it is told to end. When its keeper dies it serves on: pods must
 * not notice, and the next keeper takes the descriptor over.
 */
export async function serve(log: Logger): Promise<void> {
  const assignment = assignmentOf(process.env);
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
  const device = FuseDevice.adopt(SERVER_FUSE_FD);
  worker.on('message', (reply: WorkerReply) => {
    if (reply.op === 'booted') booted.shift()?.();
    else if (reply.op === 'removed') dropName(device, reply.parent, reply.name, log);
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
 * Has the kernel drop a name that went, and FORGET what it named if nobody uses that: before that
 * it would be found for as long as the name was valid. Waits for the directory's lock, which a
 * process may hold until the FUSE thread has answered it.
 */
function dropName(device: FuseDevice, parent: number, name: string, log: Logger): void {
  try {
    // False: the kernel does not have the name, which is as good.
    device.send(invalidateEntry(parent, name));
  } catch (error) {
    log.warn({ err: error }, `the kernel did not drop the name ${JSON.stringify(name)}`);
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
