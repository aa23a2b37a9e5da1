import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { DescriptorReceiver } from '../native/descriptor-socket.ts';
import { FileLock } from '../native/file-lock.ts';
import { flockHolder } from '../native/proc.ts';
import { decodeGiven, type GivenMount } from './hand-over-message.ts';
import { KeeperConnection } from './keeper-connection.ts';
import { Session } from './sessions.ts';

/** The old keeper ends its servers before it answers; it kills them after 5 s. */
const STOPPED_PATIENCE_MS = 12_000;
/** Less than the old keeper's patience: who is too late gives up before the other takes back. */
const READY_PATIENCE_MS = 15_000;
const LET_GO_PATIENCE_MS = 5_000;
const MESSAGE_PATIENCE_MS = 1_000;
/** A process that is killed closes its descriptors one by one: the lock may go last. */
const LOCK_PATIENCE_MS = 2_000;
const LOCK_PAUSE_MS = 10;
const RECEIVER = /^hand-over-[0-9a-f]{8}\.sock$/;

export interface TakeOverOptions {
  readonly socketPath: string;
  readonly mountRoot: string;
  readonly pools: readonly string[];
  readonly log: Logger;
}

/**
 * The new keeper's side of a hand-over; hand-over.ts is the old one's. When the connection ends
 * early, the lock of the mount root tells why: it is free if the old keeper is dead, and then what
 * was received so far is this keeper's; if it is held, the old keeper serves again.
 */
export class TakeOver implements Disposable {
  readonly #options: TakeOverOptions;
  #lock: FileLock | undefined;
  #connection: KeeperConnection | undefined;
  #mounts: readonly GivenMount[] = [];
  #sessions = new Map<string, Session>();

  private constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /** Mount root and mounts, free or from the keeper that has them. BUSY if it keeps them. */
  static async begin(options: TakeOverOptions): Promise<TakeOver> {
    const taken = new TakeOver(options);
    try {
      taken.#lock = FileLock.tryLock(options.mountRoot);
      if (taken.#lock === undefined) await taken.#ask();
      return taken;
    } catch (error) {
      taken[Symbol.dispose]();
      throw error;
    }
  }

  get lock(): FileLock {
    if (this.#lock === undefined) throw new Fault('INTERNAL', 'take-over: without the lock');
    return this.#lock;
  }

  /** Whether another keeper hands over, and has the socket until it lets go. */
  get isHandOver(): boolean {
    return this.#connection !== undefined;
  }

  /** The mounts that were given, by pool; who takes one owns it. */
  session(pool: string): Session | undefined {
    const session = this.#sessions.get(pool);
    this.#sessions.delete(pool);
    return session;
  }

  /** What the old keeper served, and must be served again before it lets go. */
  get servedBefore(): string[] {
    return this.#mounts.filter(({ isServed }) => isServed).map(({ pool }) => pool);
  }

  /**
   * Waits for `served`, then has the old keeper let go; the lock is the caller's. BUSY or
   * UNAVAILABLE: it serves again, and this keeper has to end its servers.
   */
  async finish(served: Promise<unknown>): Promise<FileLock> {
    if (this.#connection !== undefined) await this.#relieve(this.#connection, served);
    this.#sweep();
    return this.lock;
  }

  async #relieve(connection: KeeperConnection, served: Promise<unknown>): Promise<void> {
    const timeout = AbortSignal.timeout(READY_PATIENCE_MS);
    const late = new Promise<'late'>((resolve) => {
      timeout.addEventListener('abort', () => resolve('late'));
    });
    const first = await Promise.race([
      served.then(() => 'served' as const),
      connection.ended,
      late,
    ]);
    if (first === 'late') {
      throw new Fault(
        'UNAVAILABLE',
        `${this.#options.mountRoot}: pools that the other mounter served are not served here in ` +
          `${READY_PATIENCE_MS} ms; it goes on, see the log`,
      );
    }
    const answer =
      first === 'ended' ? first : await connection.ask({ op: 'serving' }, LET_GO_PATIENCE_MS);
    if (answer === 'ended') await this.#lockAlone();
    connection[Symbol.dispose]();
  }

  /** Leaves what nobody has taken. */
  [Symbol.dispose](): void {
    for (const session of this.#sessions.values()) session[Symbol.dispose]();
    this.#sessions.clear();
    this.#connection?.[Symbol.dispose]();
    this.#lock?.[Symbol.dispose]();
  }

  /** Sockets of keepers that were killed while they took over. */
  #sweep(): void {
    const { mountRoot } = this.#options;
    for (const name of readdirSync(mountRoot).filter((one) => RECEIVER.test(one))) {
      rmSync(join(mountRoot, name), { force: true });
    }
  }

  async #ask(): Promise<void> {
    const { mountRoot, socketPath, pools, log } = this.#options;
    const name = `hand-over-${randomUUID().slice(0, 8)}.sock`;
    using receiver = DescriptorReceiver.listen(join(mountRoot, name));
    this.#connection = await KeeperConnection.open(socketPath);
    if (this.#connection === undefined) return await this.#lockAlone();
    log.info('another mounter keeps the mounts; asking it to hand over');
    const question = { op: 'hand-over', receiver: name, pools };
    const answer = await this.#connection
      .ask(question, STOPPED_PATIENCE_MS)
      .catch((error: unknown) => this.#busy(messageOf(error)));
    const message = receiver.receive(answer === 'ended' ? 0 : MESSAGE_PATIENCE_MS);
    if (message !== undefined) {
      const given = decodeGiven(message);
      this.#lock = given.lock;
      this.#mounts = given.mounts;
      this.#openSessions();
    } else if (answer !== 'ended') {
      this.#busy('it sent no descriptors');
    }
    if (answer === 'ended') {
      await this.#lockAlone();
      this.#connection = undefined;
    }
  }

  #openSessions(): void {
    const failures: unknown[] = [];
    for (const { pool, connection, fuseFd, facts } of this.#mounts) {
      const mountPoint = join(this.#options.mountRoot, pool);
      try {
        this.#sessions.set(pool, Session.received(mountPoint, connection, fuseFd, facts));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Takes the lock as the only one, which succeeds only if the old keeper has none any more. */
  async #lockAlone(): Promise<void> {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
    const deadline = performance.now() + LOCK_PATIENCE_MS;
    do {
      this.#lock = FileLock.tryLock(this.#options.mountRoot);
      if (this.#lock !== undefined) return;
      await delay(LOCK_PAUSE_MS);
    } while (performance.now() < deadline);
    this.#busy('it does not hand over');
  }

  #busy(why: string): never {
    const { mountRoot, socketPath } = this.#options;
    const pid = flockHolder(mountRoot);
    const who = pid === undefined ? 'another mounter' : `another mounter (process ${pid})`;
    throw new Fault(
      'BUSY',
      `${mountRoot}: ${who} keeps its mounts here, and at ${socketPath} ${why}; end it, or give ` +
        'both the same --socket',
    );
  }
}
