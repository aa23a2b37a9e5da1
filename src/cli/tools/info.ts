import type { Command } from 'commander';
import { formatSize } from '../../base/numbers.ts';
import type { Pool } from '../../pool/pool.ts';
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
    devices: replica.devices.map((one, at) => ({ ...one, path: pool.pathOf(at) ?? null })),
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
    space.sizeBytes,
    space.allocatedBytes,
    space.freeBytes,
    space.largestFreeBytes,
  ].map(formatSize);
  report(options.json, value, [
    `pool ${superblock.fsUuid} on ${device} (${superblock.deviceName})`,
    `  format      famfs OMF ${omfMajor}.${omfMinor}, allocation unit ${unit}`,
    `  master      ${systemUuid}`,
    `  memory      ${size}: ${allocated} allocated, ${free} free, the largest piece ${largest}`,
    ...deviceLines(pool),
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

/** Of a pool with more than its primary: which devices it has, and where they are here. */
function deviceLines(pool: Pool): string[] {
  const { devices } = pool.replica;
  if (devices.length === 1) return [];
  return devices.map(({ deviceUuid, sizeBytes }, devindex) => {
    const where = pool.pathOf(devindex) ?? 'not given';
    return `  device ${devindex}    ${formatSize(sizeBytes)}, uuid ${deviceUuid}: ${where}`;
  });
}
