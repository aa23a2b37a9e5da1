import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  rmSync,
} from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';

/**
 * Makes the file that stands for a dax device on an emulated fabric: sparse, all zeroes, in a
 * memory file system such as /dev/shm. EXISTS if the path is taken; nothing is left on failure.
 */
export function createEmulatedDevice(path: string, sizeBytes: number): void {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      throw new Fault('EXISTS', `${path}: exists already; give another path or remove it first`);
    }
    throw new Fault('IO', `${path}: could not be made (${codeOf(error)}); check its directory`);
  }
  try {
    ftruncateSync(fd, sizeBytes);
  } catch (error) {
    rmSync(path, { force: true });
    throw new Fault('IO', `${path}: could not be made ${sizeBytes} bytes long (${codeOf(error)})`);
  } finally {
    closeSync(fd);
  }
}

export interface ProvidedFile {
  readonly sizeBytes: number;
  /** Group and permissions of a file that is made; one that is there keeps its own. */
  readonly gid: number;
  readonly mode: number;
}

/**
 * The same, where the file may be there already: then it stays as it is. Its size is its last
 * property to be set, so a file of no bytes is one whose maker was killed, and is finished. The
 * caller keeps other makers out.
 */
export function provideEmulatedDevice(path: string, wanted: ProvidedFile): void {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  let fd: number | undefined;
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    const there = fstatSync(fd);
    if (!there.isFile() || there.size > 0) return;
    fchownSync(fd, there.uid, wanted.gid);
    // After the owner: a change of that may take permissions away.
    fchmodSync(fd, wanted.mode);
    ftruncateSync(fd, wanted.sizeBytes);
  } catch (error) {
    throw new Fault(
      'IO',
      `${path}: could not be made ${wanted.sizeBytes} bytes long (${codeOf(error)}); check its ` +
        'directory, and that its file system has files of this size',
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
