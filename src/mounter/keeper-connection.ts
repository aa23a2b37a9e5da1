import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Fault } from '../base/errors.ts';
import { faultOf, PROTOCOL_VERSION, reply } from './protocol.ts';

/** One keeper's connection to another's socket. It may end at any time, which is no error. */
export class KeeperConnection implements Disposable {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<'ended'>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (line: string) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.once('close', () => resolve('ended')));
    const lines = createInterface({ input: socket });
    lines.on('error', () => {});
    lines.on('line', (line) => {
      // Replies come in the order of the questions.
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next[0]);
      next[1](line);
    });
  }

  /** Undefined when nobody listens. */
  static open(path: string): Promise<KeeperConnection | undefined> {
    return new Promise((resolve) => {
      const socket = connect(path);
      socket.once('connect', () => resolve(new KeeperConnection(socket)));
      socket.on('error', () => resolve(undefined));
    });
  }

  /** The answer; throws the other's fault, or UNAVAILABLE after `patienceMs`. */
  async ask(question: object, patienceMs: number): Promise<'answered' | 'ended'> {
    const id = ++this.#lastId;
    const line = new Promise<string>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.write(`${JSON.stringify({ v: PROTOCOL_VERSION, id, ...question })}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), patienceMs);
    });
    const first = await Promise.race([
      line.then((text) => ({ text })),
      this.ended.then(() => 'ended' as const),
      late,
    ]);
    clearTimeout(timer);
    if (first === 'ended') return 'ended';
    if (first === 'late') throw new Fault('UNAVAILABLE', `no answer in ${patienceMs} ms`);
    const answer = reply.parse(JSON.parse(first.text));
    if (!answer.ok) throw faultOf(answer.error);
    return 'answered';
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
