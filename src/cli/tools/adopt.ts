import type { Command } from 'commander';
import { systemUuid } from '../../pool/identity.ts';
import { finishReplacement } from '../../pool/master.ts';
import { Pool } from '../../pool/pool.ts';
import { openPoolMemory } from '../../pool/pool-memory.ts';
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
  const identity = systemUuid(options.systemUuid);
  finishEarlier(device, identity);
  let before: string | undefined;
  using pool = Pool.open({
    name: device,
    device,
    writable: true,
    systemUuid: identity,
    adopts: true,
    rules: {
      mayTakeOver: ({ hostName }) => {
        before = hostName;
      },
      isFenced: () => options.fenced === true,
    },
  });
  const { systemUuid: masterBefore } = pool.superblock;
  await pool.adopt();
  const { unfenced, generation } = pool.writers();
  const isOther = masterBefore !== identity;
  const lines = [
    ...(before === undefined
      ? ['this host writes the log already']
      : [`this host writes the log from now on; before it was ${before}`]),
    ...(isOther ? [`the pool's master is ${identity}; before it was ${masterBefore}`] : []),
    ...unfenced.map(
      (host) => `${host} may still write some slots of it, which are void until it is fenced`,
    ),
  ];
  const master = { master: identity, masterBefore: isOther ? masterBefore : null };
  report(options.json, { before: before ?? null, ...master, unfenced, generation }, lines);
}

/** An adoption that was killed may have left a superblock that nobody can read. */
function finishEarlier(device: string, identity: string): void {
  using memory = openPoolMemory(device, { writable: true });
  finishReplacement(memory, identity);
}
