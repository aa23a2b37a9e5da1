import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { type Command, Option } from 'commander';
import type { Logger } from 'pino';
import { Fault } from '../../base/errors.ts';
import { KeyedLock } from '../../base/keyed-lock.ts';
import { Releases } from '../../controller/acks.ts';
import { AttachmentFile } from '../../controller/attachment-file.ts';
import { controllerMetrics } from '../../controller/controller-metrics.ts';
import { controllerService } from '../../controller/controller-service.ts';
import { ALWAYS, whileLeading } from '../../controller/leadership.ts';
import { StaticNodes } from '../../controller/nodes.ts';
import { PoolHealth } from '../../controller/pool-health.ts';
import { Quarantine } from '../../controller/quarantine.ts';
import { Reclaimer } from '../../controller/reclaimer.ts';
import { VolumeAttachments } from '../../controller/volume-attachments.ts';
import { Volumes } from '../../controller/volumes.ts';
import { DRIVER_NAME, identityService } from '../../csi/identity.ts';
import { type RpcServer, startServer } from '../../csi/server.ts';
import { type Check, startHttp } from '../../observe/http-server.ts';
import { Metrics } from '../../observe/metrics.ts';
import { type HostIdentity, hostIdentity, systemUuid } from '../../pool/identity.ts';
import { mounterAcks, mounterOption } from '../mounters.ts';
import {
  collect,
  type PoolArgument,
  poolOption,
  socketArgument,
  uuidArgument,
} from '../options.ts';
import { configuredPools } from '../pools-file.ts';
import { userCommand } from '../program.ts';
import { addHttpOption, type ClusterArguments } from './cluster.ts';
import { ControllerCluster, LOOK_EVERY_MS } from './controller-cluster.ts';
import { lookAgain, serviceLog, untilSignalled } from './lifetime.ts';
import { OpenPools } from './open-pools.ts';

const LOCK_PATIENCE_MS = 10_000;
const POOL_TEXT = 'a pool to make volumes in, and its devices, the primary first; repeat for more';
const MOUNT_ROOT_TEXT = 'with --config: where mounters mount pools, whose devices the kernel holds';
const MOUNTER_TEXT =
  "socket of a node's mounter, without Kubernetes; one for every node: once all have let go " +
  'of a deleted file, its memory is used again';
/** A controller that lost its lease ends long before another may take it: see LEASE_TIMES. */
const LOST_DRAIN_MS = 1_000;
const LOST_EXIT_MS = 3_000;

interface ControllerArguments extends ClusterArguments {
  readonly endpoint: string;
  readonly pool: readonly PoolArgument[];
  readonly config?: string;
  readonly mountRoot?: string;
  readonly node: readonly string[];
  readonly stateDir?: string;
  readonly mounter: readonly string[];
  readonly systemUuid?: string;
  readonly driverName: string;
  readonly logLevel: string;
}

export function controllerCommand(): Command {
  const command = userCommand('controller', 'run the CSI controller plugin')
    .requiredOption('--endpoint <socket>', 'CSI unix socket to listen on', socketArgument)
    .addOption(poolOption(POOL_TEXT))
    .option('--config <file>', 'the pools, in JSON, in place of --pool')
    .option('--mount-root <dir>', MOUNT_ROOT_TEXT)
    .option('--kubernetes', 'attachments, nodes and who leads are kept in Kubernetes')
    .option('--namespace <name>', 'of the lease, with --kubernetes (default: of this pod)')
    .option('--state-dir <dir>', 'where attachments are kept, without Kubernetes')
    .addOption(nodeOption())
    .addOption(mounterOption(MOUNTER_TEXT))
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .option('--driver-name <name>', 'CSI driver name', DRIVER_NAME)
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(runController);
  return addHttpOption(command);
}

function nodeOption(): Option {
  const text = 'a node that volumes may be attached to, without Kubernetes; repeat for more';
  return new Option('--node <name>', text).argParser(collect).default([], 'none');
}

/**
 * With --mount-root, a pool on a real device is reached through its mount on this node: by its
 * `.meta`, which a buffered mount has not.
 */
function poolsToOpen(options: ControllerArguments): readonly PoolArgument[] {
  const configured = configuredPools(options);
  if (configured === undefined) return options.pool;
  return configured.map(({ name, devices, emulated, dataPath }) => {
    const isMounted = emulated === undefined && dataPath !== 'buffered';
    const { mountRoot } = options;
    return { name, devices: isMounted && mountRoot ? [join(mountRoot, name)] : devices };
  });
}

async function runController(options: ControllerArguments): Promise<void> {
  checkPlace(options);
  const given = poolsToOpen(options);
  const { driverName, namespace, http } = options;
  const log = serviceLog('controller', options.logLevel);
  const end = new AbortController();
  const signalled = untilSignalled();
  void signalled.then(() => end.abort());
  const metrics = new Metrics(driverName);
  const readiness: { check: Check } = { check: () => 'its pools are not open yet' };
  const checks = { healthz: () => undefined, readyz: () => readiness.check() };
  await using _http = http && (await startHttp({ ...http, ...checks, metrics, log }));
  await using cluster = options.kubernetes
    ? await ControllerCluster.connect({
        pools: given.map(({ name }) => name),
        namespace,
        driverName,
        log,
      })
    : undefined;
  const leadership = cluster?.leases ?? ALWAYS;
  const releases = new Releases();
  using pools = await OpenPools.open({
    pools: given,
    systemUuid: systemUuid(options.systemUuid),
    mayAppend: () => leadership.assertLeading(),
    rules: cluster?.takeOverRules,
    host: thisHost(cluster !== undefined),
    isReleased: (pool, generation, dead) => releases.isReleased(pool, generation, dead),
    // In a cluster the mounters format, some time after this process has begun.
    wait: cluster === undefined ? undefined : end.signal,
    log,
  });
  if (end.signal.aborted) return;
  const health = new PoolHealth(pools.all, log);
  if (cluster === undefined) health.probe();
  const probe = () => leadership.isLeading && health.probe();
  readiness.check = () => (probe() ? undefined : 'another controller leads');
  const parts = { cluster, pools, releases, metrics, log };
  const { service, run } = await domain(options, parts);
  const server = await startServer({
    socketPath: options.endpoint,
    logger: log,
    observe: (method, code, seconds) => metrics.called(method, status[code], seconds),
    services: {
      // A standby is not ready: the sidecars beside it wait, and those beside the leader work.
      Identity: identityService({ name: driverName, controllerService: true, health: probe }),
      Controller: whileLeading(service, leadership),
    },
  });
  if (cluster) {
    await lead(cluster, server, signalled, log, run);
  } else {
    const running = run(end.signal);
    log.info(`${await signalled}: draining`);
    await server.close();
    await running;
  }
}

interface Parts {
  readonly cluster: ControllerCluster | undefined;
  readonly pools: OpenPools;
  readonly releases: Releases;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** As an owner of logs; in a cluster by the name of its Node. */
function thisHost(isNode: boolean): HostIdentity {
  const { id, name } = hostIdentity();
  return { id, name: process.env.NODE_NAME ?? name, isNode };
}

/** The controller's service over what there is, its figures, and what it does all the time. */
async function domain(
  options: ControllerArguments,
  { cluster, pools, releases, metrics, log }: Parts,
) {
  const { driverName, stateDir = '.', node } = options;
  const attachments =
    cluster?.attachments ?? (await AttachmentFile.open(join(stateDir, 'attachments.json')));
  const nodes = cluster?.nodes ?? new StaticNodes(node);
  const locks = new KeyedLock(LOCK_PATIENCE_MS);
  const quarantine = new Quarantine();
  const volumes = new Volumes({ pools: pools.all, attachments, locks, quarantine });
  const events = cluster?.events((id) => poolOf(volumes, id));
  const leadership = cluster?.leases ?? ALWAYS;
  const { all, replaySeconds } = pools;
  const clusterAcks = events && cluster?.acks(events);
  const { mounter } = options;
  // Without a mounter nobody says what the nodes refer to.
  const acks = clusterAcks ?? (mounter.length === 0 ? undefined : mounterAcks(mounter));
  const overrides = () => clusterAcks?.overrideCount ?? 0;
  metrics.add(controllerMetrics({ pools: all, replaySeconds, locks, leadership, overrides }));
  const reclaimer = new Reclaimer({ pools: all, acks, releases, quarantine, leadership, log });
  const look = () => reclaimer.look();
  const service = controllerService({
    volumes,
    attachments: new VolumeAttachments({ volumes, attachments, nodes, locks }),
    driverName,
    ...(events ? { announce: events } : {}),
  });
  const run = (signal: AbortSignal): Promise<void> => {
    if (cluster === undefined || events === undefined || clusterAcks === undefined) {
      return lookAgain(look, LOOK_EVERY_MS, signal);
    }
    return cluster.report({ pools: all, events, acks: clusterAcks, quarantine, look }, signal);
  };
  return { service, run };
}

/**
 * Takes the leases, and serves until a signal or until one is lost. Then nothing is written any
 * more, and the process ends, long before another may take the lease: UNAVAILABLE.
 */
async function lead(
  { leases }: ControllerCluster,
  server: RpcServer,
  signalled: Promise<string>,
  log: Logger,
  report: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const renewing = new AbortController();
  const over = new AbortController();
  const reporting = report(over.signal);
  const lost = leases.run(renewing.signal).then((why) => ({ why }));
  const first = await Promise.race([signalled, lost]);
  over.abort();
  if (typeof first === 'object') {
    setTimeout(() => process.exit(1), LOST_EXIT_MS).unref();
    await server.close(LOST_DRAIN_MS);
    throw new Fault('UNAVAILABLE', `${first.why}; ending, so that nothing is written any more`);
  }
  log.info(`${first}: draining`);
  // Renewed until the last call is answered; then another controller need not wait for its end.
  await server.close();
  renewing.abort();
  await leases.release();
  await reporting;
}

function poolOf(volumes: Volumes, id: string): string | undefined {
  try {
    return volumes.get(id).pool;
  } catch {
    return undefined;
  }
}

/** INVALID unless the attachments have one place, and that is complete. */
function checkPlace({ kubernetes, stateDir, node, mounter }: ControllerArguments): void {
  if (!kubernetes && stateDir === undefined) {
    throw new Fault('INVALID', '--state-dir: missing; give it, or --kubernetes in a cluster');
  }
  if (kubernetes && (stateDir !== undefined || node.length + mounter.length > 0)) {
    const one = node.length > 0 ? '--node' : '--mounter';
    const option = stateDir === undefined ? one : '--state-dir';
    throw new Fault(
      'INVALID',
      `${option}: found together with --kubernetes, which knows; leave it`,
    );
  }
}
