import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import { codeOf, Fault, messageOf } from '../base/errors.ts';
import { LOG_START, type LogPlace } from '../base/log-place.ts';
import {
  faultOf,
  type MounterStatus,
  mounterStatus,
  type PoolMount,
  type PoolReferences,
  PROTOCOL_VERSION,
  poolMount,
  poolReferences,
  reply,
} from './protocol.ts';

export type { MounterStatus, PoolMount, PoolReferences, PoolStatus } from './protocol.ts';

const TIMEOUT_MS = 20_000;

/** What a node plugin asks of the mounter on its node. One short connection a question. */
export class MounterClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /**
   * The pool's mount, once its server has followed the log to `atLeast`.
   * With a path in the pool: and which files there this node cannot serve.
   * NOT_FOUND for a pool this mounter does not have; UNAVAILABLE when the mounter or the pool's
   * server does not answer in time.
   */
  poolMount(
    pool: string,
    atLeast: LogPlace | 0,
    { path, signal }: { path?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<PoolMount> {
    return this.#ask({ op: 'pool', pool, ...asked(atLeast), path }, poolMount, signal);
  }

  /**
   * What this node's kernel refers to, of a path in the pool or of all of it, once the log was
   * followed to `atLeast`: after a DELETE's position, whether its memory may be used again.
   */
  references(
    pool: string,
    atLeast: LogPlace | 0,
    { path, signal }: { path?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<PoolReferences> {
    const question = { op: 'references', pool, ...asked(atLeast), path };
    return this.#ask(question, poolReferences, signal);
  }

  status(signal?: AbortSignal): Promise<MounterStatus> {
    return this.#ask({ op: 'status' }, mounterStatus, signal);
  }

  /** What is wrong with a pool on this node; also that its mounter does not answer. */
  async problemOf(pool: string): Promise<string | undefined> {
    try {
      const { pools } = await this.status();
      const found = pools.find(({ name }) => name === pool);
      return found === undefined ? `pool ${pool}: this node's mounter has it not` : found.problem;
    } catch (error) {
      return messageOf(error);
    }
  }

  async #ask<T>(question: object, result: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const socket = connect(this.#socketPath);
    try {
      const line = await firstLine(socket, signal ? AbortSignal.any([limit, signal]) : limit, () =>
        socket.write(`${JSON.stringify({ v: PROTOCOL_VERSION, id: 1, ...question })}\n`),
      );
      const answer = reply.parse(JSON.parse(line));
      if (!answer.ok) throw faultOf(answer.error);
      return result.parse(answer.result);
    } catch (error) {
      if (error instanceof Fault) throw error;
      const reason = limit.aborted ? `no answer in ${TIMEOUT_MS} ms` : codeOf(error);
      throw new Fault(
        'UNAVAILABLE',
        `mounter at ${this.#socketPath}: ${reason ?? String(error)}; is it running on this node?`,
        { cause: error },
      );
    } finally {
      socket.destroy();
    }
  }
}

/** A mounter of a release before generations is fine with a log that was never rewritten. */
function asked(place: LogPlace | 0): object {
  const { generation, position } = place === 0 ? LOG_START : place;
  return { atLeast: position, ...(generation > 0 ? { generation } : {}) };
}

function firstLine(socket: Socket, signal: AbortSignal, ask: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(signal.reason);
    signal.addEventListener('abort', fail, { once: true });
    socket.once('error', reject);
    socket.once('connect', ask);
    const lines = createInterface({ input: socket });
    lines.once('line', resolve);
    lines.once('close', () => reject(new Fault('UNAVAILABLE', 'closed without an answer')));
    // readline repeats its input's errors; the socket's own listener has them already.
    lines.on('error', () => {});
  });
}
