import { rmSync, writeFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import { detach, giveToCustodian } from '../../mounter/custodian.ts';
import { DATA_PATH_OPTIONS, type DataPathOption } from '../../mounter/data-path-choice.ts';
import { Keeper, type KeptPool } from '../../mounter/keeper.ts';
import { serve } from '../../mounter/serve.ts';
import { systemUuid } from '../../pool/identity.ts';
import { prepareDevice } from '../../pool/prepare-device.ts';
import {
  integerArgument,
  type PoolArgument,
  poolOption,
  socketArgument,
  uuidArgument,
} from '../options.ts';
import { configuredPools } from '../pools-file.ts';
import { userCommand } from '../program.ts';
import { serviceLog, untilSignalled } from './lifetime.ts';

interface MounterArguments {
  readonly socket: string;
  readonly mountRoot: string;
  readonly dataPath: DataPathOption;
  readonly metaGid: number;
  readonly pool: readonly PoolArgument[];
  readonly config?: string;
  readonly systemUuid?: string;
  readonly afterHandOver: 'end' | 'wait';
  readonly readyFile?: string;
  readonly custodian?: string;
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
    .addOption(poolOption('a pool to mount and its devices, the primary first; repeat for more'))
    .option('--config <file>', 'the pools, in JSON, in place of --pool')
    .option(
      '--system-uuid <uuid>',
      "the master of a pool that is formatted here (default: this host's)",
      uuidArgument,
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
    .option('--ready-file <path>', 'a file to make once it has the pools, for a probe')
    .option(
      '--custodian <socket>',
      "the node plugin's socket that gets the mounts on SIGTERM, until another mounter comes",
      socketArgument,
    )
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action((options: MounterArguments) => runMounter(options, main));
}

async function runMounter(options: MounterArguments, main: string): Promise<void> {
  const log = serviceLog('mounter', options.logLevel);
  const pools = poolsToKeep(options, log);
  const { readyFile } = options;
  if (readyFile !== undefined) rmSync(readyFile, { force: true });
  const keeper = await Keeper.start({
    socketPath: options.socket,
    mountRoot: options.mountRoot,
    pools,
    dataPath: options.dataPath,
    metaGid: options.metaGid,
    serverCommand: [process.execPath, main, 'serve'],
    log,
  });
  log.info({ pools: pools.map(({ name, devices }) => ({ name, devices })) }, 'mounter runs');
  if (readyFile !== undefined) writeFileSync(readyFile, '');
  let isKept = true;
  void keeper.handedOver.then(() => {
    isKept = false;
  });
  const signalled = untilSignalled();
  const why = await Promise.race([signalled, keeper.handedOver.then(() => 'handed over')]);
  const given = { mountRoot: options.mountRoot, pools: pools.map(({ name }) => name) };
  if (why !== 'handed over' && options.custodian !== undefined) {
    await giveToCustodian(options.custodian, given, log);
  }
  log.info(`${why}: letting go; mounts and servers live on`);
  if (why === 'handed over' && options.afterHandOver === 'wait') await signalled;
  await keeper[Symbol.asyncDispose]();
  // The first process of a container takes its servers with it: nobody has the mounts then. Last,
  // for a keeper whose hand-over has failed attaches them again.
  if (isKept && process.pid === 1) detach(given, log);
}

function poolsToKeep(options: MounterArguments, log: Logger): KeptPool[] {
  const configured = configuredPools(options);
  if (configured === undefined) return [...options.pool];
  return configured.map(({ name, devices, format, dataPath, emulated }) => {
    const [device] = devices;
    const prepare = async () => {
      const made = await prepareDevice({
        name,
        device,
        format,
        systemUuid: systemUuid(options.systemUuid),
        emulated: emulated && { ...emulated, gid: options.metaGid },
      });
      if (made !== undefined) log.info({ pool: name, device, fsUuid: made.fsUuid }, 'formatted');
    };
    return { name, devices, dataPath, prepare };
  });
}

/** The server child; the mounter spawns it, nobody else does. */
export function serveCommand(): Command {
  return new Command('serve').action(() => serve(serviceLog('server', 'info')));
}
