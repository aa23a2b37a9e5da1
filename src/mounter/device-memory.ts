import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf, Fault } from '../base/errors.ts';
import { MiB } from '../base/numbers.ts';
import { BootFileSystem } from '../fs/boot-file-system.ts';
import type { Generation } from '../fs/data-path.ts';
import { negotiate } from '../fuse/init.ts';
import { Responder } from '../fuse/responder.ts';
import { FuseDevice } from '../native/fuse-device.ts';
import { Mapping } from '../native/mapping.ts';
import { DetachedMount } from '../native/mounts.ts';
import { usersOf } from '../native/proc.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { Daxdevs } from '../pool/daxdevs.ts';
import { META_DIRECTORY, META_LOG, META_SUPERBLOCK, MetaMemory } from '../pool/meta-memory.ts';
import { logSpaceBytes } from '../pool/mkfs.ts';
import { registerDaxdev } from './daxdev-open.ts';
import { probeKernel } from './probe.ts';

const INIT_PATIENCE_MS = 10_000;
const POLL_MS = 5;

/** What formats a device through a mount of it: `FuseDevice`, or a kernel of the tests' own. */
export interface FormatDevice {
  receive(buffer: Uint8Array, wake: undefined, timeoutMs: number): number | 'gone';
  send(head: Uint8Array): boolean;
}

/**
 * The memory of a device that is to be formatted, as far as formatting goes. Mapped raw; in fsdev
 * mode, which forbids that, through a mount that nobody sees. The kernel gives a device to one
 * mount: PRECONDITION where another has it, or where this kernel has no famfs.
 */
export async function withDeviceMemory<T>(
  path: string,
  use: (memory: SharedMemory) => T | Promise<T>,
): Promise<T> {
  const daxdevs = new Daxdevs(usersOf);
  const daxdev = daxdevs.list().find((one) => one.path === path);
  if (daxdev?.driver !== 'fsdev_dax') {
    using memory = Mapping.open(path, { writable: true });
    return await use(memory);
  }
  const { generation, evidence } = await probeKernel();
  if (generation === 'none') {
    throw new Fault(
      'PRECONDITION',
      `device ${path}: is in fsdev mode, and this kernel cannot mount it (${evidence}); move it: ` +
        'daxctl reconfigure-device --mode=devdax',
    );
  }
  using device = FuseDevice.open();
  using mount = DetachedMount.create({
    fuseFd: device.fd,
    source: 'famfs-format',
    subtype: 'famfs',
    allowOther: false,
    defaultPermissions: true,
  });
  const register = () => registerDaxdev(device, path, 0);
  const facts = { path, sizeBytes: daxdev.sizeBytes, isPull: generation === 'pull', register };
  return await throughMount(device, facts, (name) => open(`${mount.path}/${name}`, 'r+'), use);
}

/** The same on a new mount, whose files `openFile` opens by their path in it. */
export async function throughMount<T>(
  device: FormatDevice,
  facts: { path: string; sizeBytes: number; isPull: boolean; register: () => void },
  openFile: (path: string) => Promise<FileHandle>,
  use: (memory: SharedMemory) => T | Promise<T>,
): Promise<T> {
  agree(device);
  if (!facts.isPull) facts.register();
  const generation: Generation = facts.isPull ? 'pull' : 'push2';
  const files = new BootFileSystem({ generation, metaGid: 0, devices: [facts.path] });
  const logBytes = logSpaceBytes(facts.sizeBytes);
  files.showLog(logBytes);
  const responder = new Responder(files, { malformed: () => {}, failed: () => {} });
  const opened = (name: string) => serveWhile(device, responder, openFile(name));
  const superblock = await opened(`${META_DIRECTORY}/${META_SUPERBLOCK}`).catch((error) => {
    if (codeOf(error) !== 'EINVAL') throw error;
    files.generation = 'push'; // as a boot finds it out
    return opened(`${META_DIRECTORY}/${META_SUPERBLOCK}`);
  });
  const handles = [superblock];
  try {
    const log = await opened(`${META_DIRECTORY}/${META_LOG}`);
    handles.push(log);
    using memory = MetaMemory.whole(superblock.fd, log.fd, facts.path, {
      logBytes,
      lengthBytes: facts.sizeBytes,
    });
    return await use(memory);
  } finally {
    const closed = handles.map((handle) => handle.close());
    await serveWhile(device, responder, Promise.all(closed));
  }
}

function agree(device: FormatDevice): void {
  const buffer = new Uint8Array(MiB + 4096);
  const length = device.receive(buffer, undefined, INIT_PATIENCE_MS);
  if (length === 'gone' || length === 0) throw new Fault('IO', 'mount: the kernel sent no INIT');
  device.send(negotiate(buffer.subarray(0, length), { requestDaxFmap: true }).reply);
}

/** Answers the kernel on this thread until what another one waits for is there. */
async function serveWhile<T>(
  device: FormatDevice,
  responder: Responder,
  promise: Promise<T>,
): Promise<T> {
  const buffer = new Uint8Array(MiB + 4096);
  let isSettled = false;
  const settled = promise.finally(() => {
    isSettled = true;
  });
  settled.catch(() => {});
  while (!isSettled) {
    const length = device.receive(buffer, undefined, POLL_MS);
    if (length === 'gone') break;
    const reply = length > 0 ? responder.answer(buffer.subarray(0, length)) : undefined;
    if (reply !== undefined) device.send(reply.head);
    await nextTurn();
  }
  return await settled;
}
