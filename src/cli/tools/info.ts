import type { Command } from 'commander';
import { formatSize } from '../../base/numbers.ts';
import { accountOf } from '../../format/accounting.ts';
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
  const account = accountOf(replica);
  const { logCapacity: capacity, logLive: live, logDead: dead, logFree } = account;
  const log = { entries: replica.position, capacity, live, dead, free: logFree };
  const value = {
    device,
    superblock,
    log: { ...log, generation: pool.generation },
    devices: replica.devices.map((one, at) => ({ ...one, path: pool.pathOf(at) ?? null })),
    files: namespace.fileCount,
    directories: namespace.directoryCount,
    allocatedBytes: space.allocatedBytes,
    liveBytes: account.liveBytes,
    quarantinedBytes: account.quarantinedBytes,
    freeBytes: space.freeBytes,
    largestFreeBytes: account.largestFreeBytes,
    problems: replica.problemCount,
    damage: replica.damage ?? null,
  };
  const { omfMajor, omfMinor, systemUuid } = superblock;
  const unit = formatSize(superblock.allocUnitBytes);
  const [size, allocated, free, largest] = [
    space.sizeBytes,
    space.allocatedBytes,
    space.freeBytes,
    account.largestFreeBytes,
  ].map(formatSize);
  report(options.json, value, [
    `pool ${superblock.fsUuid} on ${device} (${superblock.deviceName})`,
    `  format      famfs OMF ${omfMajor}.${omfMinor}, allocation unit ${unit}`,
    `  master      ${systemUuid}`,
    `  memory      ${size}: ${allocated} allocated, ${free} free, the largest piece ${largest}`,
    ...deviceLines(pool),
    ...quarantineLines(account.quarantinedBytes, replica.dead.length),
    `  log         ${log.entries} of ${capacity} entries used, ${live} of them live`,
    `  files       ${namespace.fileCount} in ${namespace.directoryCount} directories`,
    ...(replica.damage
      ? [`  DAMAGED     at entry ${replica.damage.index}: ${replica.damage.message}`]
      : []),
    ...(replica.problemCount > 0
      ? [`  problems    ${replica.problemCount}; see famfs-csi check`]
      : []),
  ]);
}

function quarantineLines(bytes: number, files: number): string[] {
  if (files === 0) return [];
  const count = files === 1 ? '1 deleted file' : `${files} deleted files`;
  return [`  quarantine  ${formatSize(bytes)} of these are of ${count}; see famfs-csi quarantine`];
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
