// name-dropping-server.mjs NAME
// In place of a server's main thread: has the kernel drop a name of the root directory of the mount
// whose /dev/fuse is descriptor 4, and stays. Its FUSE thread is the test.
import { fileURLToPath } from 'node:url';
import { NameDropper } from '../../dist/mounter/name-dropper.js';

const dropNames = fileURLToPath(new URL('../../dist/mounter/drop-names.js', import.meta.url));
const log = { warn: (text) => process.stderr.write(`${text}\n`) };
new NameDropper([process.execPath, dropNames], 4, log).drop([1, process.argv[2]]);
setInterval(() => {}, 1000);
