import { type ChildProcess, spawn } from 'node:child_process';
import { Fault } from '../base/errors.ts';
import {
  ASSIGNMENT_VARIABLE,
  type Question,
  SERVER_FUSE_FD,
  SERVER_ROOT_FD,
  type ServerAssignment,
  type ServerReply,
  type ServerRequest,
  type ServerState,
} from './server-messages.ts';

const STOP_PATIENCE_MS = 5_000;

interface Waiting {
  readonly resolve: (state: ServerState) => void;
  readonly reject: (error: unknown) => void;
}

/** The keeper's handle of one server child, from spawn to exit. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves with how it ended, once it has. */
  readonly ended: Promise<string>;
  /** Resolves when the child serves, rejects when it ends before. */
  readonly ready: Promise<ServerState>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** Why it said that it cannot serve. */
  #failure: string | undefined;
  #hasEnded = false;
  #isReady = false;
  readonly #begin = performance.now();

  /**
   * Spawns `command` with the descriptor inherited, and on a dax path the mount's root, and hands
   * it the assignment.
   */
  constructor(
    command: readonly string[],
    descriptors: { readonly fuse: number; readonly root: number | undefined },
    assignment: ServerAssignment,
  ) {
    const stdio: (number | 'ignore' | 'inherit' | 'ipc')[] = [
      'ignore',
      'inherit',
      'inherit',
      'ipc',
    ];
    stdio[SERVER_FUSE_FD] = descriptors.fuse;
    if (descriptors.root !== undefined) stdio[SERVER_ROOT_FD] = descriptors.root;
    const [program = '', ...args] = command;
    const env = { ...process.env, [ASSIGNMENT_VARIABLE]: JSON.stringify(assignment) };
    // Detached: a signal to the keeper's process group must not take the pods' servers with it.
    this.#child = spawn(program, args, { stdio, env, detached: true });
    if (this.#child.pid === undefined) {
      throw new Fault('UNAVAILABLE', `server of pool ${assignment.pool}: could not be started`);
    }
    this.pid = this.#child.pid;
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        resolve(this.#failure ?? signal ?? `exit code ${code}`);
      });
    });
    void this.ended.then((how) => {
      this.#hasEnded = true;
      this.#failAll(how);
    });
    this.ready = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
    // The supervisor learns of an early end from `ended`; nobody may be waiting for `ready`.
    this.ready.catch(() => {});
    this.#child.on('message', (reply: ServerReply) => {
      if (reply.op === 'ready') this.#isReady = true;
      if (reply.op === 'failed') this.#failure = reply.message;
      else this.#answer(reply.op === 'ready' ? 0 : reply.id, reply.state);
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Has the server follow the log once, and answer the question. UNAVAILABLE if it has ended, ends,
   * or does not answer in time, and what it does instead.
   */
  follow(question: Question, patienceMs: number): Promise<ServerState> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#hasEnded) throw new Fault('UNAVAILABLE', `server ${this.pid}: has ended`);
      const late = () => this.#fail(id, `${this.#doing}; no answer in ${patienceMs} ms`);
      const timer = setTimeout(late, patienceMs);
      const settle = <T>(use: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          use(value);
        };
      };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      // One that does not serve yet would answer nothing.
      const ask = () => this.#waiting.has(id) && this.#send({ op: 'follow', id, ...question });
      void this.ready.then(ask, () => {});
    });
  }

  /** For whoever waits: what for. */
  get #doing(): string {
    if (this.#isReady) return 'is busy';
    const seconds = Math.round((performance.now() - this.#begin) / 1000);
    return (
      `started ${seconds} s ago and does not serve yet: it waits for the mount's last server to ` +
      "end, or reads the pool's log"
    );
  }

  /** Ends it after the request in hand, or by force; resolves once it has ended. */
  async stop(): Promise<void> {
    // A signal ends it also while it starts, and listens to no message yet.
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_PATIENCE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /** Lets go of the child: it serves on without a keeper, and does not keep this process alive. */
  release(): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  #send(request: ServerRequest): void {
    // A send to a child that has just ended fails; `ended` tells everybody who waits.
    if (this.#child.connected) this.#child.send(request, () => {});
  }

  #answer(id: number, state: ServerState): void {
    this.#waiting.get(id)?.resolve(state);
    this.#waiting.delete(id);
  }

  #fail(id: number, how: string): void {
    this.#waiting.get(id)?.reject(new Fault('UNAVAILABLE', `server ${this.pid}: ${how}`));
    this.#waiting.delete(id);
  }

  #failAll(how: string): void {
    for (const id of [...this.#waiting.keys()])
      this.#fail(id, `ended with ${how}; its successor will answer`);
  }
}
