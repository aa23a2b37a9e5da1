import type { Command } from 'commander';
import { formatSize } from '../../base/numbers.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForReading } from './pools.ts';

export function infoCommand(): Command {
  return userCommand('info', 'show the superblock, the log and the space of a pool', [
    '/dev/dax0.0',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .addOption(jsonOption())
    .action(runInfo);
}

function runInfo(device: string, options: { json?: boolean }): void {
  using pool = openForReading(device);
  const { superblock, replica } = pool;
  const { namespace, space } = replica;
  const used = { entries: replica.position, capacity: replica.capacity };
  const value = {
    device,
    superblock,
    log: used,
    files: namespace.fileCount,
    directories: namespace.directoryCount,
    allocatedBytes: space.allocatedBytes,
    freeBytes: space.freeBytes,
    largestFreeBytes: space.largestFreeBytes,
    problems: replica.problemCount,
    damage: replica.damage ?? null,
  };
  const { omfMajor, omfMinor, systemUuid } = superblock;
  const unit = formatSize(superblock.allocUnitBytes);
  const [size, allocated, free, largest] = [
    superblock.deviceSizeBytes,
    space.allocatedBytes,
    space.freeBytes,
    space.largestFreeBytes,
  ].map(formatSize);
  report(options.json, value, [
    `pool ${superblock.fsUuid} on ${device} (${superblock.deviceName})`,
    `  format      famfs OMF ${omfMajor}.${omfMinor}, allocation unit ${unit}`,
    `  master      ${systemUuid}`,
    `  memory      ${size}: ${allocated} allocated, ${free} free, the largest piece ${largest}`,
    `  log         ${used.entries} of ${used.capacity} entries used`,
    `  files       ${namespace.fileCount} in ${namespace.directoryCount} directories`,
    ...(replica.damage
      ? [`  DAMAGED     at entry ${replica.damage.index}: ${replica.damage.message}`]
      : []),
    ...(replica.problemCount > 0
      ? [`  problems    ${replica.problemCount}; see famfs-csi check`]
      : []),
  ]);
}
