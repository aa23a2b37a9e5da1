import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { codeOf, Fault, type FaultCode, messageOf } from '../base/errors.ts';

declare const tag: unique symbol;

/** A mapping as the addon knows it; nothing else passes for one. */
export interface MappingHandle {
  readonly [tag]: 'mapping';
}

/** The calls of native/*.c; offsets and lengths are bytes, descriptors small integers. */
export interface Addon {
  map(fd: number, lengthBytes: number, writable: boolean): MappingHandle;
  unmap(handle: MappingHandle): void;
  copyOut(handle: MappingHandle, offset: number, into: Uint8Array, invalidate: boolean): void;
  copyIn(handle: MappingHandle, offset: number, bytes: Uint8Array, writeBack: boolean): void;
  /** Begins it; complete at the next `fence`. */
  writeBack(handle: MappingHandle, offset: number, lengthBytes: number): number;
  fence(): void;
  invalidate(handle: MappingHandle, offset: number, lengthBytes: number): number;
  /** One aligned 8-byte store, into this host's cache. */
  store(handle: MappingHandle, offset: number, word: bigint): void;
  publish(handle: MappingHandle, offset: number, word: bigint): void;
  load(handle: MappingHandle, offset: number): bigint;
  sync(handle: MappingHandle, offset: number, lengthBytes: number): void;
  writeBackInstruction(): 'clwb' | 'clflushopt' | 'clflush' | 'dc cvac';
  receive(fd: number, wakeFd: number, buffer: Uint8Array, timeoutMs: number): number;
  send(
    fd: number,
    head: Uint8Array,
    handles: readonly MappingHandle[],
    ranges: readonly number[],
  ): boolean;
  cloneFrom(fd: number, source: number): void;
  openDaxdev(fd: number, daxFd: number, index: number): void;
  eventfd(): number;
  tryLock(fd: number): boolean;
  unlock(fd: number): void;
  fetchDescriptor(pid: number, fd: number): number;
  prepare(fd: number): void;
  mountFuse(
    fd: number,
    target: string,
    source: string,
    subtype: string,
    allowOther: boolean,
    defaultPermissions: boolean,
  ): void;
  createFuseMount(
    fd: number,
    source: string,
    subtype: string,
    allowOther: boolean,
    defaultPermissions: boolean,
  ): number;
  fuseConnections(): number;
  attachMount(mountFd: number, target: string): void;
  bindMount(source: string, target: string, readOnly: boolean): void;
  unmount(target: string, detach: boolean): void;
  listenDescriptors(path: string): number;
  receiveDescriptors(
    listenFd: number,
    buffer: Uint8Array,
    timeoutMs: number,
  ): { readonly lengthBytes: number; readonly fds: readonly number[] };
  sendDescriptors(path: string, bytes: Uint8Array, fds: readonly number[]): void;
}

/** At the same place beside src/ and dist/; made by `npm run build`. */
const ADDON_PATH = fileURLToPath(new URL('../../native/build/famfs.node', import.meta.url));

let loaded: Addon | undefined;

/** The addon, loaded at the first use. UNSUPPORTED, saying what to run, where it is not built. */
export function addon(): Addon {
  if (loaded === undefined) {
    try {
      loaded = createRequire(import.meta.url)(ADDON_PATH) as Addon;
    } catch (error) {
      throw new Fault(
        'UNSUPPORTED',
        `${ADDON_PATH}: cannot be loaded (${messageOf(error)}); run "npm run build"`,
        { cause: error },
      );
    }
  }
  return loaded;
}

/** What an error of the addon, a name of errno(3) or of its own, means to callers. */
const MEANING: Readonly<Record<string, FaultCode>> = {
  EACCES: 'PERMISSION',
  EPERM: 'PERMISSION',
  ENOENT: 'NOT_FOUND',
  EBUSY: 'BUSY',
  MEMORY_ERROR: 'MEMORY_ERROR',
  RANGE: 'INVALID',
  ARGUMENT: 'INVALID',
  CLOSED: 'INVALID',
  READ_ONLY: 'READ_ONLY',
};

/** What the addon threw as a Fault whose text begins with `subject`. */
export function nativeFault(subject: string, error: unknown, advice = ''): Fault {
  if (error instanceof Fault) return error;
  const code = MEANING[codeOf(error) ?? ''] ?? 'IO';
  const text = `${subject}: ${messageOf(error)}${advice && `; ${advice}`}`;
  return new Fault(code, text, { cause: error });
}

/** Runs a call of the addon; what it throws becomes a Fault that begins with `subject`. */
export function native<T>(subject: string, call: (raw: Addon) => T, advice = ''): T {
  try {
    return call(addon());
  } catch (error) {
    throw nativeFault(subject, error, advice);
  }
}
