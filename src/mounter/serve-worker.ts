import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { pino } from 'pino';
import { Fault } from '../base/errors.ts';
import { FamfsFileSystem } from '../fs/famfs-file-system.ts';
import { Responder } from '../fuse/responder.ts';
import { FuseSession } from '../fuse/session.ts';
import { FuseDevice, WakeEvent } from '../native/fuse-device.ts';
import type {
  ServerAssignment,
  ServerReply,
  ServerRequest,
  ServerState,
} from './server-messages.ts';

/** What the server's main thread hands to its FUSE thread. */
export interface WorkerInput {
  readonly assignment: ServerAssignment;
  readonly fuseFd: number;
  readonly wakeFd: number;
}

const FOLLOW_EVERY_MS = 1_000;

/**
 * The FUSE thread of a server: receive, answer, send; blocking, with no promise in the path. The
 * main thread posts a message and signals the wake event; this thread reads it between requests.
 */
function run(input: WorkerInput, port: MessagePort): void {
  const { assignment } = input;
  const log = pino({ base: { pool: assignment.pool } }, pino.destination({ dest: 2, sync: true }));
  using device = FuseDevice.adopt(input.fuseFd);
  const wake = WakeEvent.adopt(input.wakeFd);
  using files = new FamfsFileSystem(
    { name: assignment.pool, device: assignment.device, writable: true },
    (message) => log.warn(message),
  );
  const failed = (operation: string, error: unknown) => log.error({ err: error }, operation);
  const responder = new Responder(files, { failed, malformed: (problem) => log.warn(problem) });
  const session = new FuseSession({
    device,
    responder,
    negotiated: assignment.negotiated,
    wake,
    // Always: a successor cannot know what its predecessor had read, and it may have crashed too.
    resume: assignment.negotiated.canResend,
    idleMs: FOLLOW_EVERY_MS,
    hooks: {
      onIdle: () => files.follow(),
      onWake: () => answerKeeper(port, files),
      sendFailed: (what, error) => log.warn({ err: error }, what),
    },
  });
  post(port, { op: 'ready', state: stateOf(files) });
  log.info(`session ended: ${session.run()}`);
}

function post(port: MessagePort, reply: ServerReply): void {
  port.postMessage(reply);
}

function answerKeeper(port: MessagePort, files: FamfsFileSystem): 'stop' | undefined {
  for (;;) {
    const next = receiveMessageOnPort(port) as { message: ServerRequest } | undefined;
    if (next === undefined) return undefined;
    if (next.message.op === 'stop') return 'stop';
    if (next.message.op === 'follow') {
      files.follow();
      post(port, { op: 'followed', id: next.message.id, state: stateOf(files) });
    }
  }
}

function stateOf({ pool }: FamfsFileSystem): ServerState {
  const { position, damage } = pool.replica;
  const problem =
    damage &&
    `its log is damaged at entry ${damage.index} (${damage.message}); files before it ` +
      'are served; run "famfs-csi repair"';
  return { fsUuid: pool.fsUuid, logPosition: position, damage: problem };
}

if (parentPort === null) throw new Fault('INTERNAL', 'serve-worker: runs as a worker thread only');
run(workerData as WorkerInput, parentPort);
