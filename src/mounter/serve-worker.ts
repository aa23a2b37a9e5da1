import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { pino } from 'pino';
import { Fault } from '../base/errors.ts';
import { FuseSession } from '../fuse/session.ts';
import { FuseDevice, WakeEvent } from '../native/fuse-device.ts';
import { PoolServer } from './pool-server.ts';
import type { WorkerInput, WorkerReply, WorkerRequest } from './worker-messages.ts';

const FOLLOW_EVERY_MS = 1_000;

/**
 * The FUSE thread of a server: receive, answer, send; blocking, with no promise in the path. The
 * main thread posts a message and signals the wake event; this thread reads it between requests.
 */
function run(input: WorkerInput, port: MessagePort): void {
  const { assignment } = input;
  const log = pino({ base: { pool: assignment.pool } }, pino.destination({ dest: 2, sync: true }));
  // Not closed here: the main thread writes to the same descriptor until the process ends.
  const device = FuseDevice.adopt(input.fuseFd);
  const wake = WakeEvent.adopt(input.wakeFd);
  const post = (reply: WorkerReply) => port.postMessage(reply);
  using server = new PoolServer(assignment, device, log, (parent, name) =>
    post({ op: 'removed', parent, name }),
  );
  const session = new FuseSession({
    device,
    responder: server,
    negotiated: assignment.negotiated,
    wake,
    // Always: a successor cannot know what its predecessor had read, and it may have crashed too.
    resume: assignment.negotiated.canResend,
    idleMs: FOLLOW_EVERY_MS,
    hooks: {
      onIdle: () => server.follow(),
      onWake: () => obey(port, server, post),
      sendFailed: (what, error) => {
        server.noteError(what, error);
        log.warn({ err: error }, what);
      },
    },
  });
  if (server.isReady) post({ op: 'ready', state: server.state() });
  log.info(`session ended: ${session.run()}`);
}

function obey(
  port: MessagePort,
  server: PoolServer,
  post: (reply: WorkerReply) => void,
): 'stop' | undefined {
  for (;;) {
    const next = receiveMessageOnPort(port) as { message: WorkerRequest } | undefined;
    if (next === undefined) return undefined;
    const { message } = next;
    if (message.op === 'stop') return 'stop';
    if (message.op === 'follow') {
      server.follow();
      const { id } = message;
      if (server.isReady) post({ op: 'followed', id, state: server.state(message) });
    } else {
      server.boot(message);
      post({ op: 'booted' });
      if (message.op === 'pool') post({ op: 'ready', state: server.state() });
    }
  }
}

if (parentPort === null) throw new Fault('INTERNAL', 'serve-worker: runs as a worker thread only');
run(workerData as WorkerInput, parentPort);
