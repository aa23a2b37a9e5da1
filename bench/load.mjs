// The load, the same for every file system: `node load.mjs KIND DIRECTORY COUNT`. Prints one JSON
// object, { "count": what was done, "seconds": how long it took }. Drops the kernel's caches first,
// so that each lookup and each page is asked of the file system's server.
//   lookup   access(2) of COUNT names that exist, each once: one LOOKUP each, nothing else
//   missing  the same of COUNT names that do not exist
//   stat     statx(2) as Node asks for it, with the birth time: a server that serves STATX is asked
//            for that too, one that does not is asked for LOOKUP alone
//   read     `data` from start to end in reads of 128 KiB; COUNT is its length in bytes
//   sha256   the digest of `data`, not timed
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { nameOf } from './files.mjs';

const READ_BYTES = 128 * 1024;

const [kind, directory, countText] = process.argv.slice(2);
const count = Number(countText);

function dropCaches() {
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

function timed(run) {
  dropCaches();
  const begin = process.hrtime.bigint();
  run();
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  return { count, seconds };
}

function accessAll(paths, mustExist) {
  for (const path of paths) {
    if (existsSync(path) !== mustExist) throw new Error(`${path}: expected to exist: ${mustExist}`);
  }
}

function readAll() {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const fd = openSync(`${directory}/data`, 'r');
  let total = 0;
  for (let got = 1; got > 0; total += got) got = readSync(fd, buffer, 0, READ_BYTES, null);
  closeSync(fd);
  if (total !== count) throw new Error(`data: read ${total} bytes, expected ${count}`);
}

const numbers = Array.from({ length: kind === 'read' ? 0 : count }, (_, at) => at);
const names = numbers.map((number) => `${directory}/${nameOf(number)}`);
const missing = numbers.map((number) => `${directory}/none-${number}`);
const kinds = {
  lookup: () => timed(() => accessAll(names, true)),
  missing: () => timed(() => accessAll(missing, false)),
  stat: () => timed(() => names.map((path) => statSync(path))),
  read: () => timed(readAll),
  sha256: () => ({
    sha256: createHash('sha256')
      .update(readFileSync(`${directory}/data`))
      .digest('hex'),
  }),
};
process.stdout.write(`${JSON.stringify(kinds[kind]())}\n`);
