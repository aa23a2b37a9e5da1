import { Command } from 'commander';
import { Keeper } from '../../mounter/keeper.ts';
import { serve } from '../../mounter/serve.ts';
import { collectPool, type PoolArgument, socketArgument } from '../options.ts';
import { userCommand } from '../program.ts';
import { serviceLog, untilSignalled } from './lifetime.ts';

interface MounterArguments {
  readonly socket: string;
  readonly mountRoot: string;
  readonly pool: readonly PoolArgument[];
  readonly logLevel: string;
}

/** `main`: path of the executable script, which runs the server children too. */
export function mounterCommand(main: string): Command {
  return userCommand('mounter', "run a node's mounter: keeps its pools mounted for the node plugin")
    .requiredOption(
      '--socket <path>',
      "unix socket for the node plugin's questions",
      socketArgument,
    )
    .requiredOption('--pool <name=device>', 'a pool to mount; repeat for more', collectPool)
    .option('--mount-root <dir>', 'pools are mounted at DIR/NAME', '/var/lib/famfs/pools')
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(async (options: MounterArguments) => {
      const log = serviceLog('mounter', options.logLevel);
      const keeper = await Keeper.start({
        socketPath: options.socket,
        mountRoot: options.mountRoot,
        pools: options.pool,
        serverCommand: [process.execPath, main, 'serve'],
        log,
      });
      log.info({ pools: options.pool }, 'mounter runs');
      log.info(`${await untilSignalled()}: letting go; mounts and servers live on`);
      await keeper[Symbol.asyncDispose]();
    });
}

/** The server child; the mounter spawns it, nobody else does. */
export function serveCommand(): Command {
  return new Command('serve').action(() => serve(serviceLog('server', 'info')));
}
