// opening-server.mjs NAME EXPECTED
// In place of a server's main thread on a dax path: has a file opened of the mount whose root is
// descriptor 5, and ends with 0 if what it sees is what is expected. Its FUSE thread is the test.
import { fstatSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Opener } from '../../dist/mounter/opener.js';

const [name, expected] = process.argv.slice(2);
const openFiles = fileURLToPath(new URL('../../dist/mounter/open-files.js', import.meta.url));
const opener = new Opener([process.execPath, openFiles], 5);
setInterval(() => {}, 1000);

async function seen() {
  const dev = await opener.device();
  try {
    const file = await opener.open(`/proc/self/fd/3/${name}`);
    const stat = fstatSync(file.fd);
    return `${dev} ${stat.isFile() ? 'regular' : 'other'} ${stat.size}`;
  } catch (error) {
    return `${dev} ${error.code}`;
  }
}

process.exit((await seen()) === expected ? 0 : 1);
