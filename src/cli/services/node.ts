import type { Command } from 'commander';
import { DRIVER_NAME, identityService } from '../../csi/identity.ts';
import { startServer } from '../../csi/server.ts';
import { MounterClient } from '../../mounter/client.ts';
import { bindMount, readMountInfo, unmount } from '../../native/mounts.ts';
import { nodeService } from '../../node/node-service.ts';
import { NodeVolumes } from '../../node/node-volumes.ts';
import { socketArgument } from '../options.ts';
import { userCommand } from '../program.ts';
import { serviceLog, untilSignalled } from './lifetime.ts';

interface NodeArguments {
  readonly endpoint: string;
  readonly nodeId: string;
  readonly mounter: string;
  readonly driverName: string;
  readonly logLevel: string;
}

export function nodeCommand(): Command {
  return userCommand('node', 'run the CSI node plugin')
    .requiredOption('--endpoint <socket>', 'CSI unix socket to listen on', socketArgument)
    .requiredOption('--node-id <name>', "this node's name")
    .requiredOption('--mounter <socket>', "unix socket of this node's mounter", socketArgument)
    .option('--driver-name <name>', 'CSI driver name', DRIVER_NAME)
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(runNode);
}

async function runNode(options: NodeArguments): Promise<void> {
  const logger = serviceLog('node', options.logLevel);
  const mounter = new MounterClient(options.mounter);
  const volumes = new NodeVolumes(mounter, { bindMount, unmount, readMountInfo });
  const server = await startServer({
    socketPath: options.endpoint,
    logger,
    services: {
      Identity: identityService({
        name: options.driverName,
        controllerService: true,
        health: async () => (await mounter.status()).keeperPid > 0,
      }),
      Node: nodeService(options.nodeId, volumes),
    },
  });
  logger.info(`${await untilSignalled()}: draining; mounts stay`);
  await server.close();
}
