import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import { formatSize, MiB } from '../../base/numbers.ts';
import { fmapExtents } from '../../format/extents.ts';
import { integerArgument, sizeArgument, sizeOption } from '../options.ts';
import { report, userCommand } from '../program.ts';
import { type OwnerArguments, withOwnerOptions } from './mkdir.ts';
import { openForWriting } from './pools.ts';

interface CreateArguments extends OwnerArguments {
  readonly size: number;
  readonly strips: number;
  readonly buckets?: number;
  readonly chunkSize: number;
}

/** FILE flags: every host may read and write. */
const FLAG_ALL_HOSTS_RW = 2;

const ABOUT_CONTENT = `
The file holds whatever its memory held before; write to it where the pool is mounted.`;

export function createCommand(): Command {
  const command = userCommand('create', 'make a file of a fixed size in a pool', [
    '--size 64M /dev/dax0.0 models/weights',
    '--size 16G --strips 4 /dev/dax0.0 models/embeddings',
  ])
    .addHelpText('after', ABOUT_CONTENT)
    .argument('<device>', 'the primary device of the pool, or its file')
    .argument('<path>', 'the file, relative to the pool; its directory is there')
    .requiredOption('--size <size>', 'length of the file, for ever; such as 64M', sizeArgument)
    .option('--strips <n>', 'interleave over n strips; 0: contiguous', integerArgument(0, 16), 0)
    .option(
      '--buckets <n>',
      'parts the device is cut into (default: as strips)',
      integerArgument(1, 64),
    )
    .addOption(sizeOption('--chunk-size <size>', 'bytes on a strip before the next', 2 * MiB));
  return withOwnerOptions(command, 0o644).action(runCreate);
}

async function runCreate(device: string, path: string, options: CreateArguments): Promise<void> {
  const { size, mode, uid, gid, strips } = options;
  if (size === 0) throw new Fault('INVALID', '--size: found 0, expected at least 1 byte');
  const buckets = options.buckets ?? strips;
  const layout =
    strips === 0 ? ({ strips: 0 } as const) : { strips, buckets, chunkBytes: options.chunkSize };
  using pool = openForWriting(device, options.systemUuid);
  const made = await pool.append((replica) => {
    replica.namespace.checkNewPath(path);
    const fmap = replica.space.find(layout, size);
    const flags = FLAG_ALL_HOSTS_RW;
    return {
      entries: [{ type: 'file', path, sizeBytes: size, flags, mode, uid, gid, fmap }],
      result: { path, sizeBytes: size, logIndex: replica.position, fmap },
    };
  });
  const places = fmapExtents(made.fmap).map(({ devindex, offset, lengthBytes }) => {
    return `  device ${devindex}: ${formatSize(lengthBytes)} at ${offset}`;
  });
  const head = `${path}: made, ${size} bytes, ${made.fmap.type}, log entry ${made.logIndex}`;
  report(options.json, made, [head, ...places]);
}
