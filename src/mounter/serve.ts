import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Fault } from '../base/errors.ts';
import { WakeEvent } from '../native/fuse-device.ts';
import type { WorkerInput } from './serve-worker.ts';
import {
  SERVER_FUSE_FD,
  type ServerAssignment,
  type ServerReply,
  type ServerRequest,
} from './server-messages.ts';

/**
 * The server child: serves one pool's mount on the descriptor that it inherited, until the mount is
 * gone, the keeper says stop, or it is told to end. When its keeper dies it serves on: pods must
 * not notice, and the next keeper takes the descriptor over.
 */
export async function serve(log: Logger): Promise<void> {
  const assignment = await receiveAssignment();
  using wake = WakeEvent.create();
  const input: WorkerInput = { assignment, fuseFd: SERVER_FUSE_FD, wakeFd: wake.fd };
  const worker = new Worker(new URL('./serve-worker.js', import.meta.url), { workerData: input });
  const tell = (request: ServerRequest) => {
    worker.postMessage(request);
    wake.signal();
  };
  const stop = () => tell({ op: 'stop' });
  process.on('message', tell);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', () => log.warn('the keeper is gone; serving on'));
  worker.on('message', (reply: ServerReply) => {
    // An orphan's replies have nowhere to go; its keeper's successor will ask anew.
    if (process.connected) process.send?.(reply, () => {});
  });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  } finally {
    if (process.connected) process.disconnect();
  }
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
