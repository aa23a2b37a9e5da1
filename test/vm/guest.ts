import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const GiB = 1024 ** 3;
/** Emulated, on a machine that does other things too. */
const BOOT_PATIENCE_MS = 180_000;
const ANSWER_PATIENCE_MS = 120_000;
const POWER_OFF_PATIENCE_MS = 30_000;

export interface GuestOptions {
  readonly name: string;
  /** For the console's log and the agent's socket. */
  readonly folder: string;
  readonly kernel: string;
  readonly rootFileSystem: string;
  /** The host's file that is the guest's `/dev/dax0.0`, byte for byte. */
  readonly fabric: string;
  readonly fabricBytes: number;
  /** Into how many dax devices the fabric is cut, `/dev/dax0.0` first. Default 1. */
  readonly daxdevs?: number;
}

/** Between two devices, or the kernel would make one of them; ordinary memory of the guest. */
const GAP_BYTES = 128 * 1024 * 1024;

/** Where a guest's dax devices are in its fabric's file. */
export function daxdevRanges(fabricBytes: number, count: number) {
  const shareBytes = fabricBytes / count;
  const sizeBytes = count === 1 ? shareBytes : shareBytes - GAP_BYTES;
  return Array.from({ length: count }, (_, at) => ({ offset: at * shareBytes, sizeBytes }));
}

export interface ProgramResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A host of the fabric: a virtual machine under software emulation, and the agent inside. */
export class Guest implements AsyncDisposable {
  readonly name: string;
  readonly consolePath: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<string>;
  readonly #server: Server;
  readonly #waiting = new Map<number, Waiting>();
  #port: Socket | undefined;
  #lastId = 0;
  #how: string | undefined;

  private constructor(options: GuestOptions, server: Server, socketPath: string) {
    this.name = options.name;
    this.consolePath = join(options.folder, `${options.name}.console.log`);
    this.#server = server;
    const errors = openSync(join(options.folder, `${options.name}.qemu.log`), 'w');
    // It dies with this process, however that ends.
    const argv = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...this.#arguments(options)];
    const stdio = ['ignore', errors, errors] as const;
    this.#process = spawn('setpriv', [...argv, ...portArguments(socketPath)], {
      stdio: [...stdio],
    });
    closeSync(errors);
    this.#ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      this.#process.once('error', (error) => resolve(error.message));
    });
    void this.#ended.then((how) => this.#fail(how));
  }

  /** Starts the machine; resolves when its agent listens. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const socketPath = join(options.folder, `${options.name}.sock`);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const guest = new Guest(options, server, socketPath);
    try {
      const ready = guest.#wait(0, BOOT_PATIENCE_MS, 'boot');
      server.once('connection', (port) => guest.#connect(port));
      await ready;
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One operation of the agent; rejects with what it reported, or when the machine ends. */
  ask<T>(op: string, parameters: object, patienceMs = ANSWER_PATIENCE_MS): Promise<T> {
    const id = ++this.#lastId;
    const answer = this.#wait(id, patienceMs, `${op} ${JSON.stringify(parameters)}`);
    this.#port?.write(`${JSON.stringify({ id, op, ...parameters })}\n`);
    return answer as Promise<T>;
  }

  run(argv: readonly string[], stdin = ''): Promise<ProgramResult> {
    return this.ask('run', { argv, stdin });
  }

  /** What a program that must succeed writes to its standard output. */
  async output(argv: readonly string[]): Promise<string> {
    const { code, signal, stdout, stderr } = await this.run(argv);
    if (code === 0) return stdout;
    const how = signal ?? `exit code ${code}`;
    throw new Error(`${this.name}: ${argv.join(' ')}: ${how}\n${stderr || stdout}`);
  }

  /** Switches the machine off from inside; resolves with how QEMU ended. */
  async powerOff(): Promise<string> {
    this.#port?.write(`${JSON.stringify({ id: -1, op: 'start', name: 'off', argv: POWER_OFF })}\n`);
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), POWER_OFF_PATIENCE_MS);
    try {
      return await this.#ended;
    } finally {
      clearTimeout(timer);
      await this[Symbol.asyncDispose]();
    }
  }

  /** Ends the machine at once, in whatever state it is. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#how === undefined) this.#process.kill('SIGKILL');
    await this.#ended;
    this.#port?.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  #arguments(options: GuestOptions): string[] {
    const { name, kernel, rootFileSystem, fabric, fabricBytes } = options;
    // The fabric begins at 4 GiB, behind exactly 2 GiB of the guest's own memory; there the command
    // line reserves it, as firmware would, and the kernel makes /dev/dax0.0 of it.
    const own = 2 * GiB;
    const fabricAt = 4 * GiB;
    const reserved = daxdevRanges(fabricBytes, options.daxdevs ?? 1).map((range) => {
      return `memmap=${range.sizeBytes}%0x${(fabricAt + range.offset).toString(16)}-1+0xefffffff`;
    });
    return [
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-machine', 'q35'],
      ...['-nodefaults', '-display', 'none', '-monitor', 'none', '-no-reboot', '-nic', 'none'],
      ...['-m', `${(own + fabricBytes) / GiB}G`],
      ...['-object', `memory-backend-ram,id=own,size=${own}`],
      '-object',
      `memory-backend-file,id=fabric,share=on,mem-path=${fabric},size=${fabricBytes},align=2M`,
      ...['-numa', 'node,nodeid=0,memdev=own,cpus=0-1', '-numa', 'node,nodeid=1,memdev=fabric'],
      ...['-serial', `file:${this.consolePath}`],
      ...['-kernel', kernel, '-initrd', rootFileSystem],
      ...['-append', `console=ttyS0 panic=-1 quiet ${reserved.join(' ')} VM_NAME=${name}`],
    ];
  }

  #connect(port: Socket): void {
    this.#port = port;
    port.on('error', () => {});
    createInterface({ input: port }).on('line', (line) => {
      const { id, ok, result, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (ok) waiting?.resolve(result);
      else waiting?.reject(Object.assign(new Error(`${this.name}: ${error.message}`), error));
    });
  }

  #wait(id: number, patienceMs: number, what: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${this.name}: no answer in ${patienceMs} ms: ${what}`));
      }, patienceMs);
      const settle = <T>(use: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          use(value);
        };
      };
      if (this.#how !== undefined) return settle(reject)(new Error(`${this.name}: ${this.#how}`));
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
    });
  }

  #fail(how: string): void {
    this.#how = `the machine ended: ${how}; see ${this.consolePath}`;
    for (const { reject } of this.#waiting.values())
      reject(new Error(`${this.name}: ${this.#how}`));
    this.#waiting.clear();
  }
}

const POWER_OFF = ['poweroff', '-f'];

/** QEMU connects to the host's socket, so nothing that the agent says can be lost. */
function portArguments(socketPath: string): string[] {
  return [
    ...['-chardev', `socket,id=agent,path=${socketPath}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent,name=agent'],
  ];
}
