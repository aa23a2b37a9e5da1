import type { Command } from 'commander';
import { systemUuid } from '../../pool/identity.ts';
import { Pool } from '../../pool/pool.ts';
import { uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';

interface CompactArguments {
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export function compactCommand(): Command {
  return userCommand('compact', 'write the log of a pool anew, without what is deleted', [
    '/dev/dax0.0',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
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
  });
  const { entriesBefore, entries } = await pool.compact();
  const kept = pool.replica.dead.length;
  const lines = [`log: ${entriesBefore} entries, now ${entries}`];
  if (kept > 0) lines.push(`${kept} deleted files keep their memory; see famfs-csi quarantine`);
  report(options.json, { entriesBefore, entries, deletedFiles: kept }, lines);
}
