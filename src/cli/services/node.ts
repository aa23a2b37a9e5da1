import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';
import { DRIVER_NAME, identityService } from '../../csi/identity.ts';
import { startServer } from '../../csi/server.ts';
import { MounterClient } from '../../mounter/client.ts';
import { Custodian } from '../../mounter/custodian.ts';
import { bindMount, readMountInfo, unmount } from '../../native/mounts.ts';
import { Fabrics } from '../../node/fabrics.ts';
import { nodeMetrics } from '../../node/node-metrics.ts';
import { NodeReports } from '../../node/node-reports.ts';
import { nodeService } from '../../node/node-service.ts';
import { NodeVolumes } from '../../node/node-volumes.ts';
import { startHttp } from '../../observe/http-server.ts';
import { Metrics } from '../../observe/metrics.ts';
import { recent } from '../../observe/recent.ts';
import { socketArgument } from '../options.ts';
import { userCommand } from '../program.ts';
import {
  addHttpOption,
  type ClusterArguments,
  connectKubernetes,
  eventRecorder,
} from './cluster.ts';
import { lookAgain, serviceLog, untilSignalled } from './lifetime.ts';

/** The metrics of one scrape ask the mounter once. */
const SCRAPE_MS = 500;
const LOOK_EVERY_MS = 5_000;

interface NodeArguments extends ClusterArguments {
  readonly endpoint: string;
  readonly nodeId: string;
  readonly mounter: string;
  readonly custodian?: string;
  readonly driverName: string;
  readonly logLevel: string;
}

export function nodeCommand(): Command {
  const command = userCommand('node', 'run the CSI node plugin')
    .requiredOption('--endpoint <socket>', 'CSI unix socket to listen on', socketArgument)
    .requiredOption('--node-id <name>', "this node's name")
    .requiredOption('--mounter <socket>', "unix socket of this node's mounter", socketArgument)
    .option(
      '--custodian <socket>',
      'unix socket where a mounter that ends gives its mounts, until another one comes',
      socketArgument,
    )
    .option('--kubernetes', "keep this node's FamfsNode object up to date, and write events")
    .option('--driver-name <name>', 'CSI driver name', DRIVER_NAME)
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(runNode);
  return addHttpOption(command);
}

async function runNode(options: NodeArguments): Promise<void> {
  const { nodeId, driverName, http } = options;
  const log = serviceLog('node', options.logLevel);
  const end = new AbortController();
  const mounter = new MounterClient(options.mounter);
  await using _custodian =
    options.custodian === undefined
      ? undefined
      : await Custodian.listen({
          socketPath: options.custodian,
          mounterSocket: options.mounter,
          log,
        });
  const volumes = new NodeVolumes(mounter, { bindMount, unmount, readMountInfo });
  const fabrics = new Fabrics({ driverName, status: (signal) => mounter.status(signal) });
  const metrics = new Metrics(driverName);
  const recentStatus = recent(() => mounter.status(), SCRAPE_MS);
  metrics.add(nodeMetrics({ status: recentStatus, held: () => volumes.held() }));
  const health = async () => (await mounter.status()).keeperPid > 0;
  const readyz = async () => ((await health()) ? undefined : 'the mounter does not run');
  const checks = { healthz: () => undefined, readyz };
  await using _http = http && (await startHttp({ ...http, ...checks, metrics, log }));
  using client = options.kubernetes ? await connectKubernetes() : undefined;
  const reports =
    client &&
    new NodeReports({
      client,
      nodeName: nodeId,
      status: recentStatus,
      fabrics,
      recorder: eventRecorder(client, driverName, log, nodeId),
      log,
    });
  const server = await startServer({
    socketPath: options.endpoint,
    logger: log,
    observe: (method, code, seconds) => metrics.called(method, status[code], seconds),
    services: {
      Identity: identityService({ name: driverName, controllerService: true, health }),
      Node: nodeService({
        nodeId,
        volumes,
        topology: (signal) => fabrics.topology(signal),
        ...(reports && { registered: (pool, signal) => reports.registered(pool, signal) }),
        stageFailed: (location, error) => void reports?.stageFailed(location, error),
      }),
    },
  });
  const reporting = reports && lookAgain(() => reports.look(), LOOK_EVERY_MS, end.signal);
  log.info(`${await untilSignalled()}: draining; mounts stay`);
  end.abort();
  await server.close();
  await reporting;
}
