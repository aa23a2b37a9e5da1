import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Fault } from '../base/errors.ts';
import { WakeEvent } from '../native/fuse-device.ts';
import type { WorkerInput } from './serve-worker.ts';
import {
  ASSIGNMENT_VARIABLE,
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
  const assignment = assignmentOf(process.env);
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
