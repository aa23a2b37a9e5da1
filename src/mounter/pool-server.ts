import type { Logger } from 'pino';
import { assert, Fault } from '../base/errors.ts';
import { BootFileSystem } from '../fs/boot-file-system.ts';
import { FamfsFileSystem } from '../fs/famfs-file-system.ts';
import type { Errno } from '../fuse/errno.ts';
import { RequestCounts } from '../fuse/request-counts.ts';
import { type Reply, Responder, type ResponderHooks } from '../fuse/responder.ts';
import { CountTable } from '../native/count-table.ts';
import type { FuseDevice } from '../native/fuse-device.ts';
import { MetaMemory } from '../pool/meta-memory.ts';
import type { ServerAssignment, ServerState } from './server-messages.ts';
import type { BootRequest } from './worker-messages.ts';

/**
 * Answers for one pool's mount. On a dax path the log can be read only through the mount itself:
 * until then the pool's own files are served, and every other request waits, in its order.
 */
export class PoolServer implements Disposable {
  readonly #assignment: ServerAssignment;
  readonly #device: FuseDevice;
  readonly #log: Logger;
  readonly #hooks: ResponderHooks;
  readonly #waiting: Uint8Array[] = [];
  readonly #requests = new RequestCounts();
  #boot: BootFileSystem | undefined;
  #files: FamfsFileSystem | undefined;
  #responder: Responder;

  constructor(assignment: ServerAssignment, device: FuseDevice, log: Logger) {
    this.#assignment = assignment;
    this.#device = device;
    this.#log = log;
    this.#hooks = {
      failed: (operation, error) => log.error({ err: error }, operation),
      malformed: (problem) => log.warn(problem),
    };
    const { generation, metaGid } = assignment;
    if (generation === 'buffered') {
      this.#files = this.#open(undefined);
      this.#responder = new Responder(this.#files, this.#hooks);
    } else {
      const daxdevPath = (devindex: number) => this.#daxdevPath(devindex);
      this.#boot = new BootFileSystem({ generation, metaGid, daxdevPath });
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

  undelivered(): void {
    this.#files?.references.undo();
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
    this.#files = this.#open(
      MetaMemory.adopt(request.superblockFd, request.logFd, this.#assignment.pool),
    );
    this.#boot = undefined;
    this.#responder = new Responder(this.#files, this.#hooks);
    for (const message of this.#waiting.splice(0)) {
      const reply = this.#answer(message);
      if (reply !== undefined && !this.#device.send(reply.head, reply.segments)) this.undelivered();
    }
  }

  follow(): void {
    this.#files?.follow();
  }

  state(): ServerState {
    if (this.#files === undefined) throw new Fault('INTERNAL', 'state of a server that boots');
    const { pool, dataPath } = this.#files;
    const { position, damage } = pool.replica;
    return {
      fsUuid: pool.fsUuid,
      logPosition: position,
      damage: damage?.message,
      generation: dataPath.generation,
      requests: this.#requests.read(),
    };
  }

  [Symbol.dispose](): void {
    this.#files?.[Symbol.dispose]();
  }

  #answer(message: Uint8Array): Reply | undefined {
    this.#files?.references.begin();
    if (this.#boot === undefined || this.#boot.serves(message)) {
      return this.#responder.answer(message);
    }
    this.#waiting.push(message.slice());
    return undefined;
  }

  #open(memory: MetaMemory | undefined): FamfsFileSystem {
    const { pool: name, device, metaGid } = this.#assignment;
    return new FamfsFileSystem({
      name,
      device,
      writable: true,
      generation: this.#boot?.generation ?? 'buffered',
      metaGid,
      daxdevPath: (devindex) => this.#daxdevPath(devindex),
      onError: (message) => this.#log.warn(message),
      countTable: new CountTable(this.#assignment.referencesPath),
      ...(memory ? { memory } : {}),
    });
  }

  #daxdevPath(devindex: number): string | undefined {
    return devindex === 0 ? this.#assignment.device : undefined;
  }
}
