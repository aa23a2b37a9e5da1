import { open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf, messageOf } from '../base/errors.ts';
import { MiB } from '../base/numbers.ts';
import { BootFileSystem } from '../fs/boot-file-system.ts';
import { OPCODE } from '../fuse/abi-constants.ts';
import { IN_HEADER } from '../fuse/abi-structs.ts';
import { EIO } from '../fuse/errno.ts';
import { negotiate } from '../fuse/init.ts';
import { Responder } from '../fuse/responder.ts';
import { FuseDevice } from '../native/fuse-device.ts';
import { DetachedMount } from '../native/mounts.ts';
import { META_DIRECTORY, META_SUPERBLOCK } from '../pool/meta-memory.ts';

/** What the kernel of this host does with a mount that asks for famfs, and how that was seen. */
export interface KernelVerdict {
  /** `push` stands for push2 too: which of them shows once a device is registered. */
  readonly generation: 'none' | 'pull' | 'push';
  /** For the log, the operator and `doctor`: what was offered and what came. */
  readonly evidence: string;
}

const PATIENCE_MS = 10_000;
const POLL_MS = 5;

/** A probe's device: what `FuseDevice` has, or a kernel of the tests' own. */
export interface ProbeDevice {
  receive(buffer: Uint8Array, wake: undefined, timeoutMs: number): number | 'gone';
  send(head: Uint8Array): boolean;
  openDaxdev(fd: number, index: number): void;
}

/**
 * Finds out by doing, on a mount that nobody sees and that is gone afterwards: asks for bit 43,
 * has a file opened, and looks whether GET_FMAP or an ordinary READ comes. A bit that is offered
 * proves nothing, since a stock kernel may give it another meaning (fuse-famfs-abi.md, "INIT").
 */
export async function probeKernel(): Promise<KernelVerdict> {
  let device: FuseDevice;
  try {
    device = FuseDevice.open();
  } catch (error) {
    return { generation: 'none', evidence: messageOf(error) };
  }
  using held = device;
  try {
    using mount = DetachedMount.create({
      fuseFd: device.fd,
      source: 'famfs-probe',
      subtype: 'famfs',
      allowOther: false,
      defaultPermissions: true,
    });
    return await probeWith(held, () => readOneByte(mount.path));
  } catch (error) {
    return { generation: 'none', evidence: `the probe's mount failed: ${messageOf(error)}` };
  }
}

/** The probe itself, on a device whose mount `openFile` opens `.meta/.superblock` of and reads. */
export async function probeWith(
  device: ProbeDevice,
  openFile: () => Promise<void>,
): Promise<KernelVerdict> {
  const buffer = new Uint8Array(MiB + 4096);
  const length = device.receive(buffer, undefined, PATIENCE_MS);
  if (length === 'gone' || length === 0) return none('the kernel sent no INIT');
  const { reply, negotiated } = negotiate(buffer.subarray(0, length), { requestDaxFmap: true });
  device.send(reply);
  const version = `FUSE 7.${negotiated.kernelMinor}`;
  if (!negotiated.daxFmap) {
    return none(
      `${version} does not offer FUSE_DAX_FMAP (INIT bit 43): no famfs support, or the mounter ` +
        'lacks CAP_SYS_RAWIO',
    );
  }
  const ioctl = daxdevOpenErrno(device);
  const came = await firstRequestAfterOpen(device, buffer, openFile);
  if (came === undefined || came.opcode !== OPCODE.GET_FMAP) {
    const what = came === undefined ? 'no request' : `opcode ${came.opcode}, not GET_FMAP`;
    return none(`${version} offers bit 43 with another meaning: open led to ${what}`);
  }
  const isPull = came.bodyBytes === 0;
  const text = `${version}, GET_FMAP with a body of ${came.bodyBytes} bytes, DAXDEV_OPEN ${ioctl}`;
  if (isPull !== (ioctl === 'ENOTTY')) return none(`${text}: a generation that is not known here`);
  return { generation: isPull ? 'pull' : 'push', evidence: text };
}

function none(evidence: string): KernelVerdict {
  return { generation: 'none', evidence };
}

/** ENOTTY: a pull kernel. Another errno for a descriptor that is none: the ioctl is there. */
function daxdevOpenErrno(device: ProbeDevice): string {
  try {
    device.openDaxdev(-1, 0);
    return 'worked';
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    return codeOf(cause) ?? codeOf(error) ?? 'failed';
  }
}

/** Serves the open; what decides is GET_FMAP, answered with an error, or what comes instead. */
async function firstRequestAfterOpen(
  device: ProbeDevice,
  buffer: Uint8Array,
  openFile: () => Promise<void>,
): Promise<{ opcode: number; bodyBytes: number } | undefined> {
  const files = new BootFileSystem({ generation: 'pull', metaGid: 0, devices: [] });
  const responder = new Responder(files, { malformed: () => {}, failed: () => {} });
  const view = new DataView(buffer.buffer);
  let done = false;
  let decided: { opcode: number; bodyBytes: number } | undefined;
  let isOpen = false;
  // The opener gets an error, or reads nothing: either is fine, the probe looks at the requests.
  const opened = openFile()
    .catch(() => {})
    .finally(() => {
      done = true;
    });
  for (const end = performance.now() + PATIENCE_MS; !done && performance.now() < end; ) {
    const length = device.receive(buffer, undefined, POLL_MS);
    if (length === 'gone') break;
    if (length > 0) {
      const opcode = view.getUint32(IN_HEADER.opcode, true);
      const message = buffer.subarray(0, length);
      if (isOpen) decided ??= { opcode, bodyBytes: length - IN_HEADER.size };
      if (opcode === OPCODE.OPEN) isOpen = true;
      const isMap = opcode === OPCODE.GET_FMAP;
      const reply = isMap ? responder.fail(message, EIO) : responder.answer(message);
      if (reply !== undefined) device.send(reply.head);
    }
    await nextTurn();
  }
  if (done) await opened;
  return decided;
}

async function readOneByte(mountPath: string): Promise<void> {
  const file = await open(`${mountPath}/${META_DIRECTORY}/${META_SUPERBLOCK}`, 'r');
  try {
    await file.read(new Uint8Array(1), 0, 1, 0);
  } finally {
    await file.close();
  }
}
