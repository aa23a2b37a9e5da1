import { type Command, Option } from 'commander';
import { Fault } from '../../base/errors.ts';
import { formatSize } from '../../base/numbers.ts';
import { Quarantine, type QuarantinedVolume } from '../../controller/quarantine.ts';
import { bytesOf } from '../../format/accounting.ts';
import { isOfVolume } from '../../format/compacted-log.ts';
import type { DeadFile } from '../../format/replica.ts';
import { systemUuid } from '../../pool/identity.ts';
import { Pool } from '../../pool/pool.ts';
import { mounterAcks, mounterOption } from '../mounters.ts';
import { collect, uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForReading } from './pools.ts';

interface QuarantineArguments {
  readonly mounter: readonly string[];
  readonly release: readonly string[];
  readonly releaseAll?: boolean;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export const RELEASE_DANGER =
  'if a host still has one of them open, mapped or cached, two files share memory from the next ' +
  'volume on: both are damaged, and a kernel that maps them may hang';

const MOUNTER_TEXT =
  "socket of a node's mounter, to be asked what its kernel holds; repeat for more";

export function quarantineCommand(): Command {
  return userCommand('quarantine', 'show memory of deleted files, and whom it waits for', [
    '/dev/dax0.0',
    '/dev/dax0.0 --mounter /run/famfs/mounter.sock',
    '/dev/dax0.0 --release pvc-1',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .addOption(mounterOption(MOUNTER_TEXT))
    .addOption(releaseOption())
    .option('--release-all', 'the same for every volume in quarantine')
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .action(runQuarantine);
}

function releaseOption(): Option {
  const text = 'override: no host refers to deleted files of that volume; repeat for more';
  return new Option('--release <volume>', text).argParser(collect).default([], 'none');
}

async function runQuarantine(device: string, options: QuarantineArguments): Promise<void> {
  const { release, releaseAll = false } = options;
  if (release.length > 0 && releaseAll) {
    throw new Fault('INVALID', '--release: found together with --release-all; give one of them');
  }
  if (release.length > 0 || releaseAll) await override(device, options);
  else await show(device, options);
}

async function show(device: string, { mounter, json }: QuarantineArguments): Promise<void> {
  using pool = openForReading(device);
  const quarantine = new Quarantine();
  const acks = mounterAcks(mounter);
  await acks.refresh(pool);
  pool.follow();
  quarantine.heard(pool, mounter.length === 0 ? undefined : acks.known(pool));
  const volumes = quarantine.of(pool).map(({ since: _, waitsFor, ...volume }) => ({
    ...volume,
    // Without a mounter to ask, nothing is known of any node.
    ...(mounter.length === 0 ? {} : { waitsFor }),
  }));
  const bytes = volumes.reduce((sum, one) => sum + one.bytes, 0);
  const value = { device, fsUuid: pool.fsUuid, bytes, volumes };
  report(json, value, [
    `${formatSize(bytes)} of ${countOf(volumes.length, 'volume')} in quarantine`,
    ...volumes.flatMap(linesOf),
  ]);
}

function linesOf(volume: Pick<QuarantinedVolume, 'volume' | 'bytes' | 'files'> & Waits): string[] {
  const { volume: name, bytes, files, waitsFor } = volume;
  const line = `${name}: ${formatSize(bytes)} in ${countOf(files)}`;
  if (waitsFor === undefined) return [line];
  if (waitsFor.length === 0) return [`${line}, which no mounter that was asked refers to`];
  return [line, ...waitsFor.map(({ node, reason }) => `  waits for ${node}: ${reason}`)];
}

interface Waits {
  readonly waitsFor?: QuarantinedVolume['waitsFor'];
}

function countOf(count: number, what = 'deleted file'): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** What an operator knows, and no node has said. */
async function override(device: string, options: QuarantineArguments): Promise<void> {
  const { release, releaseAll = false, json } = options;
  const isMeant = ({ node }: DeadFile) =>
    releaseAll || release.some((volume) => isOfVolume(node.path, volume));
  using pool = Pool.open({
    name: device,
    device,
    writable: true,
    systemUuid: systemUuid(options.systemUuid),
    isReleased: isMeant,
  });
  const { dead } = pool.replica;
  for (const volume of release) {
    if (dead.some(({ node }) => isOfVolume(node.path, volume))) continue;
    throw new Fault(
      'NOT_FOUND',
      `--release ${volume}: no deleted file of it is in quarantine; nothing was done`,
    );
  }
  const meant = dead.filter(isMeant);
  const bytes = bytesOf(meant);
  const { generation } = pool;
  for (const one of meant) {
    for (let done = 0; Number.isFinite(done); ) done = await pool.scrub(one, generation, done);
  }
  if (meant.length > 0) await pool.compact();
  const kept = pool.replica.dead.length;
  const lines = [
    `${countOf(meant.length)} released: ${formatSize(bytes)} can be used again`,
    ...(meant.length > 0 ? [`danger: ${RELEASE_DANGER}`] : []),
    ...(kept > 0 ? [`${countOf(kept)} still in quarantine`] : []),
  ];
  report(json, { releasedFiles: meant.length, releasedBytes: bytes, deletedFiles: kept }, lines);
}
