import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { KeyedLock } from '../../base/keyed-lock.ts';
import { AttachmentFile } from '../../controller/attachment-file.ts';
import { controllerService } from '../../controller/controller-service.ts';
import { StaticNodes } from '../../controller/nodes.ts';
import { PoolHealth } from '../../controller/pool-health.ts';
import { VolumeAttachments } from '../../controller/volume-attachments.ts';
import { Volumes } from '../../controller/volumes.ts';
import { DRIVER_NAME, identityService } from '../../csi/identity.ts';
import { startServer } from '../../csi/server.ts';
import { devicePath } from '../../pool/device-path.ts';
import { systemUuid } from '../../pool/identity.ts';
import { Pool } from '../../pool/pool.ts';
import {
  collect,
  collectPool,
  type PoolArgument,
  socketArgument,
  uuidArgument,
} from '../options.ts';
import { userCommand } from '../program.ts';
import { serviceLog, untilSignalled } from './lifetime.ts';

const LOCK_PATIENCE_MS = 10_000;

interface ControllerArguments {
  readonly endpoint: string;
  readonly pool: readonly PoolArgument[];
  readonly node: readonly string[];
  readonly stateDir: string;
  readonly systemUuid?: string;
  readonly driverName: string;
  readonly logLevel: string;
}

export function controllerCommand(): Command {
  return userCommand('controller', 'run the CSI controller plugin')
    .requiredOption('--endpoint <socket>', 'CSI unix socket to listen on', socketArgument)
    .requiredOption(
      '--pool <name=devices>',
      'a pool to make volumes in, and its devices, the primary first; repeat for more',
      collectPool,
    )
    .requiredOption('--state-dir <dir>', 'where attachments are kept, without Kubernetes')
    .addOption(nodeOption())
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .option('--driver-name <name>', 'CSI driver name', DRIVER_NAME)
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(runController);
}

function nodeOption(): Option {
  const text = 'a node that volumes may be attached to; repeat for more';
  return new Option('--node <name>', text).argParser(collect).default([], 'none');
}

async function runController(options: ControllerArguments): Promise<void> {
  const logger = serviceLog('controller', options.logLevel);
  const writer = systemUuid(options.systemUuid);
  const pools = options.pool.map(({ name, devices }) => {
    const [device = '', ...others] = devices.map((one) => devicePath(one));
    return Pool.open({
      name,
      device,
      secondaries: others.map((path) => ({ path })),
      writable: true,
      systemUuid: writer,
      onRecovery: ({ kind, index, message }) => logger.warn({ pool: name, kind, index }, message),
    });
  });
  const health = new PoolHealth(pools, logger);
  health.probe();
  for (const { name, fsUuid, replica } of pools) {
    logger.info({ pool: name, fsUuid, logPosition: replica.position }, 'pool is open');
  }
  const attachments = await AttachmentFile.open(join(options.stateDir, 'attachments.json'));
  const locks = new KeyedLock(LOCK_PATIENCE_MS);
  const volumes = new Volumes({ pools, attachments, locks });
  const nodes = new StaticNodes(options.node);
  const server = await startServer({
    socketPath: options.endpoint,
    logger,
    services: {
      Identity: identityService({
        name: options.driverName,
        controllerService: true,
        health: () => health.probe(),
      }),
      Controller: controllerService({
        volumes,
        attachments: new VolumeAttachments({ volumes, attachments, nodes, locks }),
      }),
    },
  });
  logger.info(`${await untilSignalled()}: draining`);
  await server.close();
  for (const pool of pools) pool[Symbol.dispose]();
}
