import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

const MAIN = join(__dirname, '..', '..', 'dist', 'main.js');

type Range = { readonly offset: number; readonly lengthBytes: number };

/** A file of the pool as `famfs-csi map --json` tells it from the log. */
interface FileMap {
  readonly sizeBytes: number;
  readonly fmap:
    | { readonly type: 'simple'; readonly extents: readonly Range[] }
    | {
        readonly type: 'interleaved';
        readonly chunkBytes: number;
        readonly strips: readonly Range[];
      };
}

interface Check {
  readonly usable: boolean;
  readonly problems: readonly unknown[];
  readonly files: number;
}

/** A command of ours, on this machine, on the file that is the guests' shared memory. */
function tool<T>(args: readonly string[]): T {
  return JSON.parse(
    execFileSync(process.execPath, [MAIN, ...args, '--json'], { encoding: 'utf8' }),
  );
}

export function checkFabric(fabric: string): Check {
  return tool(['check', fabric]);
}

/** A file's bytes, read from the fabric's file where the log says that they are; and where. */
export function readFromFabric(fabric: string, path: string): { bytes: Buffer; where: string } {
  const { sizeBytes, fmap } = tool<FileMap>(['map', fabric, path]);
  const fd = openSync(fabric, 'r');
  try {
    const parts = [...rangesOf(fmap, sizeBytes)].map(({ offset, lengthBytes }) => {
      const bytes = Buffer.alloc(lengthBytes);
      readSync(fd, bytes, 0, lengthBytes, offset);
      return bytes;
    });
    const places = fmap.type === 'simple' ? fmap.extents : fmap.strips;
    const where = places.map(({ offset }) => `0x${offset.toString(16)}`).join(', ');
    return { bytes: Buffer.concat(parts).subarray(0, sizeBytes), where: `${fmap.type}, ${where}` };
  } finally {
    closeSync(fd);
  }
}

/** In the file's order: written for this test, so that the product's own arithmetic is tested. */
function* rangesOf(fmap: FileMap['fmap'], sizeBytes: number): Iterable<Range> {
  if (fmap.type === 'simple') return yield* fmap.extents;
  const { chunkBytes, strips } = fmap;
  for (let at = 0, chunk = 0; at < sizeBytes; at += chunkBytes, chunk++) {
    const strip = strips[chunk % strips.length];
    if (strip === undefined) throw new Error('a file without strips');
    const row = Math.floor(chunk / strips.length);
    yield { offset: strip.offset + row * chunkBytes, lengthBytes: chunkBytes };
  }
}
