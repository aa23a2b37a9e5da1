// A file system in memory on fuse-native: `node serve.mjs MOUNTPOINT DATA_BYTES NAMES NAME_BYTES`.
// Its root has `data`, whose bytes are in memory, and NAMES empty-handed names that can be stat'ed.
// Tells its parent `{ "mounted": true }` once the kernel has had its INIT answered.
import Fuse from 'fuse-native';
import { fillPattern, nameOf } from '../files.mjs';

const [mountPoint, ...numbers] = process.argv.slice(2);
const [dataBytes, nameCount, nameBytes] = numbers.map(Number);

const data = Buffer.alloc(dataBytes);
fillPattern(data);

const then = new Date(0);
const attr = (mode, size) => ({
  mode,
  size,
  nlink: 1,
  uid: 0,
  gid: 0,
  blocks: Math.ceil(size / 512),
  atime: then,
  mtime: then,
  ctime: then,
});
const attrs = new Map([
  ['/', attr(0o040755, 4096)],
  ['/data', attr(0o100644, dataBytes)],
]);
for (let at = 0; at < nameCount; at++) attrs.set(`/${nameOf(at)}`, attr(0o100644, nameBytes));

const operations = {
  getattr(path, reply) {
    const found = attrs.get(path);
    if (found === undefined) reply(Fuse.ENOENT);
    else reply(0, found);
  },
  open(_path, _flags, reply) {
    reply(0, 0);
  },
  read(path, _handle, buffer, length, position, reply) {
    if (path !== '/data') return reply(0);
    const end = Math.min(position + length, data.length);
    reply(position < end ? data.copy(buffer, 0, position, end) : 0);
  },
};

// The options under which it is fastest: no timer for each request. The rest as our mount has it.
const options = { timeout: false, allowOther: true, defaultPermissions: true };
const fuse = new Fuse(mountPoint, operations, options);
fuse.mount((error) => {
  if (error) throw error;
  process.send({ mounted: true });
});
