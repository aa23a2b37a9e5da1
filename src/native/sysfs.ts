import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { codeOf } from '../base/errors.ts';

/** The kernel's attribute files, one value each; a test's own tree in place of /sys. */
export interface Sysfs {
  /** The value without its newline; undefined where there is no such attribute. */
  read(path: string): string | undefined;
  /** Names in a directory; none where it is missing. */
  list(path: string): string[];
  /** Base name of what a link points to; undefined where there is no link. */
  link(path: string): string | undefined;
  /** Throws the kernel's error, with its `code`. */
  write(path: string, value: string): void;
}

export const sysfs: Sysfs = {
  read: (path) => orElse(() => readFileSync(path, 'utf8').trim(), undefined),
  list: (path) => orElse(() => readdirSync(path), []),
  link: (path) => orElse(() => basename(readlinkSync(path)), undefined),
  write: (path, value) => writeFileSync(path, value),
};

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    const code = codeOf(error);
    // EINVAL: no link. ENXIO, EIO: an attribute that the device does not have.
    if (['ENOENT', 'ENOTDIR', 'EINVAL', 'ENXIO', 'EIO', 'EACCES'].includes(code ?? '')) {
      return otherwise;
    }
    throw error;
  }
}
