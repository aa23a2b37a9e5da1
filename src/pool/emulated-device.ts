import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
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
