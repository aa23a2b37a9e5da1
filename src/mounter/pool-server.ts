import type { Logger } from 'pino';
import { assert, codeOf, Fault, messageOf } from '../base/errors.ts';
import { BootFileSystem } from '../fs/boot-file-system.ts';
import { FamfsFileSystem } from '../fs/famfs-file-system.ts';
import { References } from '../fs/references.ts';
import type { Errno } from '../fuse/errno.ts';
import { RequestCounts } from '../fuse/request-counts.ts';
import { type Reply, Responder, type ResponderHooks } from '../fuse/responder.ts';
import { CountTable } from '../native/count-table.ts';
import type { FuseDevice } from '../native/fuse-device.ts';
import { MetaMemory } from '../pool/meta-memory.ts';
import type { GivenDevice } from '../pool/secondary-devices.ts';
import type { Question, ServerAssignment, ServerState } from './server-messages.ts';
import { type Usage, usageOf } from './usage.ts';
import type { BootRequest } from './worker-messages.ts';

/**
 * Answers for one pool's mount. On a dax path the log can be read only through the mount itself:
 * until then the pool's own files are served, and every other request waits, in its order.
 */
export class PoolServer implements Disposable {
  readonly #assignment: ServerAssignment;
  readonly #device: Pick<FuseDevice, 'send'>;
  readonly #log: Logger;
  readonly #hooks: ResponderHooks;
  readonly #waiting: Uint8Array[] = [];
  readonly #references: References;
  readonly #onRemoved: (parent: number, name: string) => void;
  readonly #requests = new RequestCounts();
  #boot: BootFileSystem | undefined;
  #files: FamfsFileSystem | undefined;
  #responder: Responder;
  #memoryError: string | undefined;

  /** `onRemoved`: told of names that the kernel is to drop; see `FamfsOptions`. */
  constructor(
    assignment: ServerAssignment,
    device: Pick<FuseDevice, 'send'>,
    log: Logger,
    onRemoved: (parent: number, name: string) => void,
  ) {
    this.#assignment = assignment;
    this.#device = device;
    this.#log = log;
    this.#onRemoved = onRemoved;
    this.#references = new References(new CountTable(assignment.referencesPath));
    this.#hooks = {
      failed: (operation, error) => {
        this.noteError(operation, error);
        log.error({ err: error }, operation);
      },
      malformed: (problem) => log.warn(problem),
    };
    const { generation, metaGid } = assignment;
    if (generation === 'buffered') {
      this.#files = this.#open(undefined, assignment.devices.slice(1));
      this.#responder = new Responder(this.#files, this.#hooks);
    } else {
      const devices = assignment.devices.map(({ path }) => path);
      const references = this.#references;
      this.#boot = new BootFileSystem({ generation, metaGid, devices, references });
      this.#responder = new Responder(this.#boot, this.#hooks);
    }
  }

  /** False while the log cannot be read yet. */
  get isReady(): boolean {
    return this.#files !== undefined;
  }

  answer(message: Uint8Array): Reply | undefined {
    this.#requests.add(message);
    return this.#answer(message);
  }

  /**
   * Memory that fails makes the pool unhealthy on this node: what can be read is served on, and the
   * node plugin stages no more of it.
   */
  noteError(what: string, error: unknown): void {
    if (codeOf(error) !== 'MEMORY_ERROR' || this.#memoryError !== undefined) return;
    this.#memoryError = `${what}: ${messageOf(error)}`;
    this.#log.error(`pool ${this.#assignment.pool}: memory error: ${this.#memoryError}`);
  }

  delivered(): void {
    this.#references.delivered();
  }

  undelivered(isGone: boolean): void {
    this.#references.undo(isGone);
  }

  fail(message: Uint8Array, error: Errno): Reply {
    return this.#responder.fail(message, error);
  }

  /**
   * One step towards the log; see `bootThroughMount`. With the last, what waited is answered. This
   * thread may map files of the mount, but never open or stat them: it answers for them.
   */
  boot(request: BootRequest): void {
    assert(this.#boot !== undefined, `boot step "${request.op}" on a server that is ready`);
    if (request.op === 'generation') this.#boot.generation = request.generation;
    if (request.op === 'log') this.#boot.showLog(request.lengthBytes);
    if (request.op !== 'pool') return;
    const memory = MetaMemory.adopt(request.superblockFd, request.logFd, this.#assignment.pool);
    this.#files = this.#open(memory, request.secondaries);
    this.#boot = undefined;
    this.#responder = new Responder(this.#files, this.#hooks);
    for (const message of this.#waiting.splice(0)) {
      const reply = this.#answer(message);
      if (reply !== undefined) this.#deliver(reply);
    }
  }

  /** As the session does it: one that cannot be sent is reported, and the next gets its turn. */
  #deliver({ head, segments }: Reply): void {
    try {
      if (this.#device.send(head, segments)) this.delivered();
      else this.undelivered(true);
    } catch (error) {
      this.undelivered(false);
      this.noteError('a reply to what waited for the log', error);
      this.#log.warn({ err: error }, 'a reply to what waited for the log');
    }
  }

  follow(): void {
    this.#files?.follow();
  }

  state({ servable, referred, usage }: Question = {}): ServerState {
    if (this.#files === undefined) throw new Fault('INTERNAL', 'state of a server that boots');
    const { pool, dataPath } = this.#files;
    const { position, damage } = pool.replica;
    return {
      fsUuid: pool.fsUuid,
      logPosition: position,
      logGeneration: pool.generation,
      damage:
        damage &&
        `its log is damaged at entry ${damage.index} (${damage.message}); files before it are ` +
          'served; run "famfs-csi repair"',
      deviceProblems: [...pool.deviceProblems.values()],
      memoryError: this.#memoryError,
      generation: dataPath.generation,
      ...(servable === undefined ? {} : { refusals: this.#files.refusalsBelow(servable) }),
      ...(referred && { references: this.#files.referenceReport(referred.path) }),
      requests: this.#requests.read(),
      replaySeconds: pool.replaySeconds,
      ...(usage && { usage: this.#usage(this.#files) }),
    };
  }

  #usage(files: FamfsFileSystem): Usage {
    const heldInodes = files.heldInodes();
    const usage = usageOf(this.#references, files.pool.replica.namespace);
    return { ...usage, ...(heldInodes ? { heldInodes } : {}) };
  }

  [Symbol.dispose](): void {
    this.#files?.[Symbol.dispose]();
    this.#references[Symbol.dispose]();
  }

  #answer(message: Uint8Array): Reply | undefined {
    this.#references.begin();
    if (this.#boot === undefined || this.#boot.serves(message)) {
      return this.#responder.answer(message);
    }
    this.#waiting.push(message.slice());
    return undefined;
  }

  #open(memory: MetaMemory | undefined, secondaries: readonly GivenDevice[]): FamfsFileSystem {
    const { pool: name, devices, metaGid } = this.#assignment;
    const { path: device = '', uuid } = devices[0] ?? {};
    return new FamfsFileSystem({
      name,
      device,
      ...(uuid === undefined ? {} : { deviceUuid: uuid }),
      secondaries,
      onDeviceProblem: (problem) => this.#log.error(problem),
      writable: true,
      generation: this.#boot?.generation ?? 'buffered',
      metaGid,
      onError: (message, error) => {
        this.noteError('following the log', error);
        this.#log.warn(message);
      },
      references: this.#references,
      onRemoved: this.#onRemoved,
      ...(memory ? { memory } : {}),
    });
  }
}
