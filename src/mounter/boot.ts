import type { Logger } from 'pino';
import { codeOf, Fault, isFault, messageOf } from '../base/errors.ts';
import { dataPathOf, type Generation } from '../fs/data-path.ts';
import {
  META_DIRECTORY,
  META_LOG,
  META_SUPERBLOCK,
  metaSuperblock,
  readSuperblockFile,
} from '../pool/meta-memory.ts';
import type { GivenDevice } from '../pool/secondary-devices.ts';
import type { OpenedFile } from './opener.ts';
import type { AssignedDevice } from './pool-devices.ts';
import type { ServerAssignment } from './server-messages.ts';
import type { BootRequest } from './worker-messages.ts';

/** Opens a file of the mount, for reading and writing; not in a process that answers for it. */
export type OpenFile = (path: string) => Promise<OpenedFile>;

export interface BootParts {
  readonly tell: (request: BootRequest) => Promise<void>;
  /** DAXDEV_OPEN of a device, for an index; fine for one that the kernel has under it. */
  readonly register: (path: string, devindex: number) => void;
  readonly log: Logger;
  readonly openFile: OpenFile;
}

/**
 * Reads a pool's log through its own mount, which the FUSE thread serves meanwhile: opens
 * `.superblock`, learns the log's length, opens `.log`, hands both over. `tell` resolves when the
 * FUSE thread has acted on it. Opening the superblock is also what makes a pull kernel ask for the
 * device, in this process's mount namespace, before any pod can; a push2 kernel is given the other
 * devices here, all before the mount is visible.
 */
export async function bootThroughMount(
  rootPath: string,
  { pool, devices, generation: assumed }: ServerAssignment,
  { tell, register, log, openFile }: BootParts,
): Promise<void> {
  const meta = `${rootPath}/${META_DIRECTORY}`;
  const superblockPath = `${meta}/${META_SUPERBLOCK}`;
  const { generation, file } = await openSuperblock(superblockPath, assumed, tell, log, openFile);
  await using superblock = file;
  const facts = readSuperblock(superblock.fd, pool, devices[0]?.path ?? '');
  await tell({ op: 'log', lengthBytes: facts.logLengthBytes });
  await using logFile = await openFile(`${meta}/${META_LOG}`);
  const secondaries: GivenDevice[] = [];
  const used = devices.slice(0, dataPathOf(generation).devicesMax);
  for (let devindex = 1; devindex < used.length; devindex++) {
    const device = used[devindex] as AssignedDevice;
    const path = `${meta}/${metaSuperblock(devindex)}`;
    secondaries.push(await readSecondary(device, devindex, path, register, openFile));
  }
  await tell({ op: 'pool', superblockFd: superblock.fd, logFd: logFile.fd, secondaries });
}

/** Gives the kernel a device, and reads through the mount which one that is. */
async function readSecondary(
  device: AssignedDevice,
  devindex: number,
  superblockPath: string,
  register: BootParts['register'],
  openFile: OpenFile,
): Promise<GivenDevice> {
  const { path, problem } = device;
  if (problem !== undefined) return { path, problem };
  try {
    register(path, devindex);
    await using file = await openFile(superblockPath);
    return { path, superblock: readSuperblock(file.fd, `device ${devindex}`, path) };
  } catch (error) {
    return { path, problem: messageOf(error) };
  }
}

/**
 * The superblock's map is interleaved at first, in one strip: a push2 kernel takes it, a push
 * kernel refuses it with EINVAL and gets another. So it is known which one this is.
 */
async function openSuperblock(
  path: string,
  generation: Generation,
  tell: (request: BootRequest) => Promise<void>,
  log: Logger,
  openFile: OpenFile,
): Promise<{ generation: Generation; file: OpenedFile }> {
  try {
    return { generation, file: await openFile(path) };
  } catch (error) {
    if (generation !== 'push2' || codeOf(error) !== 'EINVAL') throw error;
    log.info('the kernel refuses interleaved maps: push, not push2');
    await tell({ op: 'generation', generation: 'push' });
    return { generation: 'push', file: await openFile(path) };
  }
}

function readSuperblock(fd: number, pool: string, device: string) {
  try {
    return readSuperblockFile(fd, pool);
  } catch (error) {
    if (!isFault(error)) throw error;
    if (error.code !== 'MEMORY_ERROR') {
      throw new Fault(error.code, `device ${device}: ${error.message}`, { cause: error });
    }
    throw new Fault(
      'PRECONDITION',
      `device ${device}: the kernel has no access to it for this mount; it is mounted or mapped ` +
        'elsewhere, or its driver is not the one that famfs needs: see famfs-csi doctor',
      { cause: error },
    );
  }
}
