import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import { fmapExtents } from '../../format/extents.ts';
import { LOG_OFFSET } from '../../format/log-header.ts';
import type { FileNode } from '../../format/namespace.ts';
import type { Pool } from '../../pool/pool.ts';
import { drawMemory, type Region } from '../memory-picture.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForReading, poolPath } from './pools.ts';

export function mapCommand(): Command {
  return userCommand('map', 'show which memory belongs to what, for a pool or one of its files', [
    '/dev/dax0.0',
    '/dev/dax0.0 models/weights',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .argument('[path]', 'a file of the pool')
    .addOption(jsonOption())
    .action(runMap);
}

function runMap(device: string, given: string | undefined, options: { json?: boolean }): void {
  using pool = openForReading(device);
  if (given !== undefined) {
    const path = poolPath(given);
    const { sizeBytes, fmap } = fileAt(pool, path);
    const lines = fmapExtents(fmap).map(({ devindex, offset, lengthBytes }) => {
      return `  device ${devindex}: [${offset}, ${offset + lengthBytes})`;
    });
    const chunk = fmap.type === 'interleaved' ? `, chunks of ${fmap.chunkBytes}` : '';
    report(options.json, { path, sizeBytes, fmap }, [
      `${path}: ${sizeBytes} bytes, ${fmap.type}${chunk}`,
      ...lines,
    ]);
    return;
  }
  const regions = regionsOf(pool);
  const size = pool.superblock.deviceSizeBytes;
  report(options.json, { device, sizeBytes: size, regions }, drawMemory(size, regions));
}

function fileAt(pool: Pool, path: string): FileNode {
  const node = pool.replica.namespace.lookup(path);
  if (node?.kind === 'file') return node;
  throw new Fault('NOT_FOUND', `${path}: no such file in the pool on ${pool.device}`);
}

/** What the primary device's memory belongs to: superblock, log, each file, what was deleted. */
export function regionsOf(pool: Pool): Region[] {
  const { replica, superblock } = pool;
  const regions: Region[] = [
    { label: 'superblock', offset: 0, lengthBytes: LOG_OFFSET },
    {
      label: `log, ${replica.position} of ${replica.capacity} entries`,
      offset: LOG_OFFSET,
      lengthBytes: superblock.logLengthBytes,
    },
  ];
  for (const file of replica.namespace.files()) {
    for (const { devindex, offset, lengthBytes } of fmapExtents(file.fmap)) {
      if (devindex === 0) regions.push({ label: file.path, offset, lengthBytes });
    }
  }
  for (const { devindex, offset, lengthBytes } of replica.deadExtents()) {
    if (devindex === 0)
      regions.push({ label: 'deleted, not handed out again', offset, lengthBytes });
  }
  return regions;
}
