import type { Command } from 'commander';
import { systemUuid } from '../../pool/identity.ts';
import { Pool } from '../../pool/pool.ts';
import { uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';

interface AdoptArguments {
  readonly fenced?: boolean;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export function adoptCommand(): Command {
  return userCommand('adopt', "make this host the one that writes a pool's log", [
    '/dev/dax0.0',
    '--fenced /dev/dax0.0',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .option('--fenced', 'the host that wrote it is known to be off, or was booted anew since')
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .action(runAdopt);
}

async function runAdopt(device: string, options: AdoptArguments): Promise<void> {
  let before: string | undefined;
  using pool = Pool.open({
    name: device,
    device,
    writable: true,
    systemUuid: systemUuid(options.systemUuid),
    rules: {
      mayTakeOver: ({ hostName }) => {
        before = hostName;
      },
      isFenced: () => options.fenced === true,
    },
  });
  await pool.append(() => ({ entries: [], result: undefined }));
  const { unfenced, generation } = pool.writers();
  const lines =
    before === undefined
      ? ['this host writes the log already']
      : [`this host writes the log from now on; before it was ${before}`];
  for (const host of unfenced) {
    lines.push(`${host} may still write some slots of it, which are void until it is fenced`);
  }
  report(options.json, { before: before ?? null, unfenced, generation }, lines);
}
