import { Namespace } from '../dist/format/namespace.js';
import { pseudoRandom, timedEach } from './report.mjs';

const OWNER = { uid: 0, gid: 0, mode: 0o755 };
const SIZES = [1_000, 100_000];

/** One directory with many files: made, read in pieces as the kernel does, emptied. */
export async function run(report) {
  for (const count of SIZES) {
    const { namespace, directory, nodes } = filled(count);
    const label = `${count.toLocaleString('en')} files`;
    report.add(
      `readdir a file, 100 a call, ${label}`,
      'µs',
      timedEach(count, () => read(directory, count)),
    );
    const random = pseudoRandom(count);
    const order = nodes.map((node) => [random(), node]).sort(([a], [b]) => a - b);
    const emptied = timedEach(count, () => {
      for (const [, node] of order) namespace.remove(node);
    });
    if (directory.childCount !== 0) throw new Error('directories: not empty');
    report.add(`delete a file in random order, ${label}`, 'µs', emptied);
  }
}

function filled(count) {
  const namespace = new Namespace();
  const directory = namespace.addDirectory(namespace.root, 'directory', 0, OWNER);
  const nodes = Array.from({ length: count }, (_, at) => {
    const extent = { devindex: 0, offset: (at + 100) * 2 ** 21, lengthBytes: 2 ** 21 };
    const fmap = { type: 'simple', extents: [extent] };
    const facts = { ...OWNER, sizeBytes: 2 ** 21, flags: 2, fmap };
    return namespace.addFile(directory, `file-${at}`, at + 1, facts);
  });
  return { namespace, directory, nodes };
}

function read(directory, count) {
  let seen = 0;
  for (let first = 0; ; ) {
    let inCall = 0;
    for (const node of directory.childrenFrom(first)) {
      first = node.ino + 1;
      seen++;
      if (++inCall === 100) break;
    }
    if (inCall === 0) break;
  }
  if (seen !== count) throw new Error(`directories: read ${seen} of ${count}`);
}
