import { Command, Option } from 'commander';
import { DATA_PATH_OPTIONS, type DataPathOption } from '../../mounter/data-path-choice.ts';
import { Keeper } from '../../mounter/keeper.ts';
import { serve } from '../../mounter/serve.ts';
import { collectPool, integerArgument, type PoolArgument, socketArgument } from '../options.ts';
import { userCommand } from '../program.ts';
import { serviceLog, untilSignalled } from './lifetime.ts';

interface MounterArguments {
  readonly socket: string;
  readonly mountRoot: string;
  readonly dataPath: DataPathOption;
  readonly metaGid: number;
  readonly pool: readonly PoolArgument[];
  readonly afterHandOver: 'end' | 'wait';
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
    .requiredOption(
      '--pool <name=devices>',
      'a pool to mount and its devices, the primary first; repeat for more',
      collectPool,
    )
    .option('--mount-root <dir>', 'pools are mounted at DIR/NAME', '/var/lib/famfs/pools')
    .addOption(
      new Option('--data-path <path>', 'how pods reach the memory; auto: dax where it works')
        .choices(DATA_PATH_OPTIONS)
        .default('auto'),
    )
    .option(
      '--meta-gid <gid>',
      "group that may use the pool's log through a dax mount",
      integerArgument(0, 2 ** 32 - 2),
      0,
    )
    .addOption(
      new Option(
        '--after-hand-over <what>',
        'once another mounter has taken over: end, or wait for SIGTERM, in a pod',
      )
        .choices(['end', 'wait'])
        .default('end'),
    )
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(async (options: MounterArguments) => {
      const log = serviceLog('mounter', options.logLevel);
      const keeper = await Keeper.start({
        socketPath: options.socket,
        mountRoot: options.mountRoot,
        pools: options.pool,
        dataPath: options.dataPath,
        metaGid: options.metaGid,
        serverCommand: [process.execPath, main, 'serve'],
        log,
      });
      log.info({ pools: options.pool }, 'mounter runs');
      const signalled = untilSignalled();
      const why = await Promise.race([signalled, keeper.handedOver.then(() => 'handed over')]);
      log.info(`${why}: letting go; mounts and servers live on`);
      if (why === 'handed over' && options.afterHandOver === 'wait') await signalled;
      await keeper[Symbol.asyncDispose]();
    });
}

/** The server child; the mounter spawns it, nobody else does. */
export function serveCommand(): Command {
  return new Command('serve').action(() => serve(serviceLog('server', 'info')));
}
