import type { Command } from 'commander';
import { formatSize } from '../../base/numbers.ts';
import { systemUuid } from '../../pool/identity.ts';
import { Pool } from '../../pool/pool.ts';
import { uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';

interface CompactArguments {
  readonly freeDeleted?: boolean;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export function compactCommand(): Command {
  return userCommand('compact', 'write the log of a pool anew, without what is deleted', [
    '/dev/dax0.0',
    '--free-deleted /dev/dax0.0',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .option(
      '--free-deleted',
      'the memory of deleted files may be used again: no host has one open, mapped or cached',
    )
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .action(runCompact);
}

async function runCompact(device: string, options: CompactArguments): Promise<void> {
  using pool = Pool.open({
    name: device,
    device,
    writable: true,
    systemUuid: systemUuid(options.systemUuid),
    isReleased: () => options.freeDeleted === true,
  });
  const { entriesBefore, entries, freedBytes } = await pool.compact();
  const kept = pool.replica.dead.length;
  const lines = [
    `log: ${entriesBefore} entries, now ${entries}`,
    `memory: ${formatSize(freedBytes)} can be used again`,
  ];
  if (kept > 0) lines.push(`${kept} deleted files keep theirs, since a host may have it mapped`);
  report(options.json, { entriesBefore, entries, freedBytes, deletedFiles: kept }, lines);
}
