import { INIT_FLAG, INIT_FLAG2, NOTIFY, OPCODE } from '../../src/fuse/abi-constants.ts';
import { IN_HEADER, INIT_OUT, INVAL_ENTRY_OUT, OUT_HEADER } from '../../src/fuse/abi-structs.ts';
import type { SessionDevice } from '../../src/fuse/session.ts';
import type { ProbeDevice } from '../../src/mounter/probe.ts';
import type { WakeEvent } from '../../src/native/fuse-device.ts';
import type { Segment } from '../../src/native/mapping.ts';
import { flatten } from '../fuse/messages.ts';
import { type Connection, DeviceSlots, errno, type Host } from './devices.ts';
import { type FamfsFacts, KERNELS, type KernelName } from './generations.ts';
import { type Inode, InodeCache } from './inodes.ts';
import { type Answer, initIn, type Upcall, viewOf } from './messages.ts';
import { RequestQueue } from './queue.ts';
import { RuleBook, type RuleId } from './rules.ts';
import { type Program, Task } from './task.ts';

export interface KernelOptions {
  readonly name: KernelName;
  readonly host: Host;
  /** Rules of which the test wants to see what the kernel does about a breach. */
  readonly tolerate?: readonly RuleId[];
  /** Whether the caller of mount(2) has CAP_SYS_RAWIO. Default true. */
  readonly hasRawio?: boolean;
}

/** A message as the server read it, for counting. */
export interface Sent {
  readonly opcode: number;
  readonly nodeid: number;
}

const FUSE_MIN_READ_BUFFER = 8192;
/** Who called mount(2). */
const MOUNTER = { uid: 0, gid: 0, pid: 1 };
const NOTHING: Answer = { error: 0, payload: new Uint8Array() };

/**
 * The kernel's side of one mount: programs go in, messages come out, as bytes. Everything happens
 * in the call that causes it; time is `nowMs`, which only a test moves.
 */
export class Kernel implements SessionDevice, ProbeDevice, Connection {
  readonly host: Host;
  readonly rules: RuleBook;
  readonly queue = new RequestQueue();
  readonly inodes: InodeCache;
  readonly devices: DeviceSlots;
  readonly sent: Sent[] = [];
  nowMs = 0;
  maxWriteBytes = 4096;
  /** OPEN was answered ENOSYS: no file is opened by a message any more. */
  hasNoOpen = false;
  /** Tests break things here: called with each message that the server has just read. */
  onRead: (message: Uint8Array) => void = () => {};
  readonly #facts: FamfsFacts | undefined;
  readonly #waiting: { task: Task; until: () => boolean }[] = [];
  #isInitialised = false;
  #famfs: FamfsFacts | undefined;
  #isUnmounted = false;

  /** Mounts: INIT is the first message. */
  constructor({ name, host, tolerate, hasRawio = true }: KernelOptions) {
    const { offersFlags2, famfs } = KERNELS[name];
    this.host = host;
    this.rules = new RuleBook(tolerate);
    this.#facts = famfs;
    this.inodes = new InodeCache(this.rules, (ino, nlookup) => this.queue.pushForget(ino, nlookup));
    this.devices = new DeviceSlots(host, this);
    const flags2 = hasRawio ? offersFlags2 : offersFlags2 & ~INIT_FLAG2.DAX_FMAP;
    const init = { opcode: OPCODE.INIT, nodeid: 0, body: initIn(flags2), caller: MOUNTER };
    this.queue.push(init, (answer) => this.#initialise(answer, flags2));
  }

  /** What was agreed on: famfs of this generation, or none. */
  get famfs(): FamfsFacts | undefined {
    return this.#famfs;
  }

  /** Whether the server has anything to read. */
  get hasWork(): boolean {
    return this.queue.hasWork;
  }

  // What a server does: read, write, ioctl

  receive(buffer: Uint8Array, _wake?: WakeEvent, _timeoutMs?: number): number | 'gone' {
    if (this.#isUnmounted && !this.hasFiles) return 'gone';
    const leastBytes = Math.max(FUSE_MIN_READ_BUFFER, IN_HEADER.size + 40 + this.maxWriteBytes);
    if (buffer.length < leastBytes) throw errno('EINVAL');
    const message = this.queue.read(buffer.length);
    if (message === undefined) return 0;
    buffer.set(message);
    const view = viewOf(message);
    this.sent.push({
      opcode: view.getUint32(IN_HEADER.opcode, true),
      nodeid: Number(view.getBigUint64(IN_HEADER.nodeid, true)),
    });
    this.onRead(message);
    return message.length;
  }

  send(head: Uint8Array, segments: readonly Segment[] = []): boolean {
    return this.write(flatten({ head, segments }) as Uint8Array, 'answering');
  }

  /** False is ENOENT. `thread`: whether the one that answers requests writes, or another. */
  write(message: Uint8Array, thread: 'answering' | 'other'): boolean {
    const view = viewOf(message);
    const isWhole = message.length >= OUT_HEADER.size;
    if (!isWhole || view.getUint32(OUT_HEADER.len, true) !== message.length) throw errno('EINVAL');
    const isReply = view.getBigUint64(OUT_HEADER.unique, true) !== 0n;
    const code = view.getInt32(OUT_HEADER.error, true);
    const body = message.subarray(OUT_HEADER.size);
    const taken = isReply ? this.queue.answer(message) : this.#notify(code, body, thread);
    this.#wake();
    return taken;
  }

  openDaxdev(fd: number, index: number): void {
    if (this.#facts?.devices !== 'daxdev-open') throw errno('ENOTTY');
    if (this.#famfs === undefined) throw errno('EOPNOTSUPP');
    this.devices.register(fd, index);
  }

  /** The server's last descriptor closes: nobody will answer any more. */
  closeDescriptors(): void {
    this.queue.abort();
    this.#wake();
    this.#releaseDevices();
  }

  // What processes do

  start<T>(program: Program<T>): Task<T> {
    const task = new Task(program);
    if (this.#isInitialised) this.#go(task as Task, NOTHING);
    else this.#waiting.push({ task: task as Task, until: () => this.#isInitialised });
    this.#wake();
    return task;
  }

  /** A fatal signal to the process of a program. */
  kill(task: Task<unknown>): void {
    if (task.request !== undefined) this.queue.interrupt(task.request);
    this.#wake();
  }

  /** Sends what no program waits for. */
  background(upcall: Upcall): void {
    this.queue.push(upcall, () => {});
  }

  get hasFiles(): boolean {
    return [...this.inodes.all()].some(({ files }) => files > 0);
  }

  /** EBUSY while files are open; with `detach`, the mount goes when the last one is closed. */
  unmount(options: { detach?: boolean } = {}): void {
    if (this.hasFiles && !options.detach) throw errno('EBUSY');
    this.#isUnmounted = true;
    this.#releaseDevices();
  }

  /** A device is free for another mount when all of this one is gone: a lazy unmount is not. */
  #releaseDevices(): void {
    if (this.#isUnmounted && !this.hasFiles) this.devices.release();
  }

  /** A file of the kernel's was closed for the last time. */
  fileGone(inode: Inode): void {
    inode.files--;
    this.inodes.settle(inode);
    this.#releaseDevices();
  }

  #go(task: Task, answer: Answer): void {
    const step = task.next(answer);
    if (step === undefined) return;
    if ('until' in step) {
      this.#waiting.push({ task, until: step.until });
    } else {
      task.request = this.queue.push(step, (reply) => this.#go(task, reply));
    }
  }

  /** Lets go on whoever waits for something that is so now. */
  #wake(): void {
    for (;;) {
      const at = this.#waiting.findIndex(({ until }) => until());
      if (at < 0) return;
      const [next] = this.#waiting.splice(at, 1);
      if (next !== undefined) this.#go(next.task, NOTHING);
    }
  }

  #initialise({ error, payload }: Answer, offered2: number): void {
    if (error !== 0 || payload.length < INIT_OUT.size) return;
    const view = viewOf(payload);
    const flags = view.getUint32(INIT_OUT.flags, true);
    const flags2 = view.getUint32(INIT_OUT.flags2, true);
    const breach = this.rules.apply('init', { flags, flags2 });
    const agreed2 = breach?.id === 'init-ext' ? 0 : flags2 & offered2;
    if ((agreed2 & INIT_FLAG2.DAX_FMAP) !== 0) this.#famfs = this.#facts;
    const hasMaxPages = (flags & INIT_FLAG.MAX_PAGES) !== 0;
    const pages = hasMaxPages ? view.getUint16(INIT_OUT.maxPages, true) : 32;
    this.maxWriteBytes = Math.min(view.getUint32(INIT_OUT.maxWrite, true), pages * 4096);
    this.#isInitialised = true;
  }

  #notify(code: number, body: Uint8Array, thread: 'answering' | 'other'): boolean {
    if (code === NOTIFY.RESEND) {
      this.queue.resend();
      return true;
    }
    const inode = this.inodes.byIno(Number(viewOf(body).getBigUint64(0, true)));
    if (inode === undefined) return false;
    if (code === NOTIFY.INVAL_INODE) {
      this.rules.apply('notify', {
        code,
        ino: inode.ino,
        hasMap: inode.map !== undefined,
        isBusy: thread === 'answering' && inode.isWriteLocked,
      });
      inode.attributesUntilMs = 0;
      inode.pages.clear();
      return true;
    }
    if (code !== NOTIFY.INVAL_ENTRY) throw errno('EINVAL');
    const isFree = () => inode.readers === 0 && !inode.isWriteLocked;
    this.rules.apply('notify', {
      code,
      ino: inode.ino,
      hasMap: false,
      isBusy: thread === 'answering' && !isFree(),
    });
    const nameBytes = viewOf(body).getUint32(INVAL_ENTRY_OUT.namelen, true);
    const start = INVAL_ENTRY_OUT.size;
    const name = Buffer.from(body.subarray(start, start + nameBytes)).toString();
    if (isFree()) return this.#invalidate(inode, name);
    const { inodes } = this;
    this.start(
      (function* (): Program<void> {
        yield { until: isFree };
        const dentry = inode.children.get(name);
        if (dentry !== undefined) inodes.unlink(dentry);
      })(),
    );
    return true;
  }

  #invalidate(parent: Inode, name: string): boolean {
    const dentry = parent.children.get(name);
    if (dentry !== undefined) this.inodes.unlink(dentry);
    return dentry !== undefined;
  }
}
