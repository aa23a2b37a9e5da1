import type { Logger } from 'pino';
import { codeOf, Fault } from '../base/errors.ts';
import type { Generation } from '../fs/data-path.ts';
import {
  META_DIRECTORY,
  META_LOG,
  META_SUPERBLOCK,
  readSuperblockFile,
} from '../pool/meta-memory.ts';
import type { OpenedFile } from './opener.ts';
import type { ServerAssignment } from './server-messages.ts';
import type { BootRequest } from './worker-messages.ts';

/** Opens a file of the mount, for reading and writing; not in a process that answers for it. */
export type OpenFile = (path: string) => Promise<OpenedFile>;

/**
 * Reads a pool's log through its own mount, which the FUSE thread serves meanwhile: opens
 * `.superblock`, learns the log's length, opens `.log`, hands both over. `tell` resolves when the
 * FUSE thread has acted on it. Opening the superblock is also what makes a pull kernel ask for the
 * device, in this process's mount namespace, before any pod can.
 */
export async function bootThroughMount(
  rootPath: string,
  { pool, device, generation }: ServerAssignment,
  tell: (request: BootRequest) => Promise<void>,
  log: Logger,
  openFile: OpenFile,
): Promise<void> {
  const meta = `${rootPath}/${META_DIRECTORY}`;
  const superblockPath = `${meta}/${META_SUPERBLOCK}`;
  await using superblock = await openSuperblock(superblockPath, generation, tell, log, openFile);
  const facts = readSuperblock(superblock.fd, pool, device);
  await tell({ op: 'log', lengthBytes: facts.logLengthBytes });
  await using logFile = await openFile(`${meta}/${META_LOG}`);
  await tell({ op: 'pool', superblockFd: superblock.fd, logFd: logFile.fd });
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
): Promise<OpenedFile> {
  try {
    return await openFile(path);
  } catch (error) {
    if (generation !== 'push2' || codeOf(error) !== 'EINVAL') throw error;
    log.info('the kernel refuses interleaved maps: push, not push2');
    await tell({ op: 'generation', generation: 'push' });
    return await openFile(path);
  }
}

function readSuperblock(fd: number, pool: string, device: string) {
  try {
    return readSuperblockFile(fd, pool);
  } catch (error) {
    if (codeOf(error) !== 'MEMORY_ERROR') throw error;
    throw new Fault(
      'PRECONDITION',
      `device ${device}: the kernel has no access to it for this mount; it is mounted or mapped ` +
        'elsewhere, or its driver is not the one that famfs needs: see famfs-csi doctor',
      { cause: error },
    );
  }
}
