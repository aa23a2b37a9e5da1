import { readdirSync, readlinkSync } from 'node:fs';
import { codeOf } from '../../src/base/errors.ts';

/** How many descriptors of this process are of the file. */
export function descriptorsOf(path: string): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch (error) {
      // The one that listed them is gone by now.
      if (codeOf(error) === 'ENOENT') return '';
      throw error;
    }
  });
  return links.filter((link) => link === path).length;
}
