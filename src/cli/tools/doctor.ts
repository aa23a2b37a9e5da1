import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Command } from 'commander';
import { isFault, messageOf } from '../../base/errors.ts';
import { formatSize } from '../../base/numbers.ts';
import { FLAG_SECONDARY } from '../../format/superblock.ts';
import { MounterClient, type MounterStatus } from '../../mounter/client.ts';
import { type KernelVerdict, probeKernel } from '../../mounter/probe.ts';
import { addon } from '../../native/addon.ts';
import { Mapping } from '../../native/mapping.ts';
import { usersOf } from '../../native/proc.ts';
import { type Daxdev, Daxdevs } from '../../pool/daxdevs.ts';
import { superblockOn } from '../../pool/secondary-devices.ts';
import { socketArgument } from '../options.ts';
import { EXIT_PROBLEMS, EXIT_WRONG_USE, jsonOption, report, userCommand } from '../program.ts';

interface DoctorArguments {
  readonly socket?: string;
  readonly json?: boolean;
}

/** One line of the diagnosis: what was looked at, what was found, what to do if it is wanting. */
interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
  readonly advice?: string;
}

export function doctorCommand(): Command {
  return userCommand('doctor', 'say what this host has and lacks for each data path')
    .option('--socket <path>', 'also ask the mounter that listens there', socketArgument)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExit codes: 0 pods can map shared memory directly (dax); 1 buffered only; 2 neither.',
    )
    .action(runDoctor);
}

async function runDoctor(options: DoctorArguments): Promise<void> {
  const fuse = fuseFinding();
  const kernel = fuse.ok ? await probeKernel() : noProbe(fuse);
  const daxdevs = new Daxdevs(usersOf);
  const devices = daxdevs.list().map((device) => ({ ...device, holds: contentOf(device) }));
  const findings = [
    platformFinding(),
    fuse,
    kernelFinding(kernel),
    devicesFinding(devices),
    driverFinding(daxdevs, devices, kernel),
    ...(options.socket ? await mounterFindings(options.socket) : []),
  ];
  const paths = dataPaths(findings);
  const value = { findings, devices, kernel, paths };
  report(options.json, value, [
    ...findings.map(line),
    ...devices.map(deviceLine),
    '',
    'What that means here:',
    ...meaning(paths, findings),
  ]);
  if (!paths.buffered) process.exitCode = EXIT_WRONG_USE;
  else if (!paths.dax) process.exitCode = EXIT_PROBLEMS;
}

function platformFinding(): Finding {
  const found = `Linux ${release()}, ${process.arch}, Node ${process.version}`;
  try {
    const instruction = addon().writeBackInstruction();
    return { what: 'platform', ok: true, found: `${found}, cache lines by ${instruction}` };
  } catch (error) {
    return { what: 'platform', ok: false, found: `${found}: ${messageOf(error)}` };
  }
}

function fuseFinding(): Finding {
  const ok = existsSync('/dev/fuse') && process.getuid?.() === 0;
  if (ok) return { what: 'FUSE', ok, found: '/dev/fuse is there, and this is root' };
  return existsSync('/dev/fuse')
    ? { what: 'FUSE', ok, found: 'this is not root', advice: 'run doctor as root to look further' }
    : { what: 'FUSE', ok, found: 'no /dev/fuse', advice: 'load the module: modprobe fuse' };
}

function noProbe({ found }: Finding): KernelVerdict {
  return { generation: 'none', evidence: `not tried: ${found}` };
}

function kernelFinding({ generation, evidence }: KernelVerdict): Finding {
  const ok = generation !== 'none';
  const found = ok ? `yes, generation ${generation}: ${evidence}` : `no: ${evidence}`;
  const advice = 'the dax path needs a kernel with the famfs patches of FUSE';
  return { what: 'kernel famfs', ok, found, ...(ok ? {} : { advice }) };
}

function devicesFinding(devices: readonly Daxdev[]): Finding {
  const usable = devices.filter(({ driver }) => driver !== 'kmem');
  const found = `${devices.length} (${usable.length} not in use as system memory)`;
  const advice = 'shared memory shows as /dev/daxX.Y; bind it to dax, not to kmem';
  const ok = usable.length > 0;
  return { what: 'dax devices', ok, found, ...(ok ? {} : { advice }) };
}

function driverFinding(
  daxdevs: Daxdevs,
  devices: readonly Daxdev[],
  kernel: KernelVerdict,
): Finding {
  const bare = devices.filter(({ driver }) => driver === undefined).map(({ path }) => path);
  const found = daxdevs.hasFsdev ? 'fsdev_dax is there' : 'no fsdev_dax; devices stay in devdax';
  if (bare.length > 0) {
    const text = `${bare.join(', ')} without a driver`;
    const advice = 'bind it: write its name to /sys/bus/dax/drivers/device_dax/bind';
    return { what: 'dax drivers', ok: false, found: text, advice };
  }
  // Kernels with famfs that are older than 7.0 take devices in devdax mode.
  return { what: 'dax drivers', ok: daxdevs.hasFsdev || kernel.generation !== 'none', found };
}

async function mounterFindings(socket: string): Promise<Finding[]> {
  let status: MounterStatus;
  try {
    status = await new MounterClient(socket).status();
  } catch (error) {
    return [{ what: 'mounter', ok: false, found: messageOf(error) }];
  }
  const pools = status.pools.map(({ name, mount, problem }): Finding => {
    const what = `pool ${name}`;
    if (mount === undefined) return { what, ok: false, found: problem ?? 'not mounted' };
    const found = `${mount.generation} at ${mount.mountPoint} (${mount.dataPathReason})`;
    return { what, ok: problem === undefined, found: problem ? `${found}; ${problem}` : found };
  });
  return [{ what: 'mounter', ok: true, found: `process ${status.keeperPid}` }, ...pools];
}

/** What is on a device that may be read raw; in fsdev mode only a mount can read it. */
function contentOf({ path, driver }: Daxdev): string {
  if (driver !== 'device_dax') return driver === 'fsdev_dax' ? 'for a famfs mount' : '';
  try {
    using memory = Mapping.open(path, { writable: false });
    const { fsUuid, flags } = superblockOn(path, memory);
    return flags === FLAG_SECONDARY ? `another device of pool ${fsUuid}` : `famfs pool ${fsUuid}`;
  } catch (error) {
    return isFault(error) && error.code === 'NOT_FAMFS' ? 'no famfs pool' : messageOf(error);
  }
}

function dataPaths(findings: readonly Finding[]): { buffered: boolean; dax: boolean } {
  const isOk = (what: string) => findings.find((one) => one.what === what)?.ok ?? false;
  const buffered = isOk('platform') && isOk('FUSE');
  const dax = buffered && isOk('kernel famfs') && isOk('dax devices') && isOk('dax drivers');
  return { buffered, dax };
}

const NO_DAX = '            (a volume with dataPath: dax is refused here when it is staged)';
const BUFFERED = '            seen after close and open (StorageClass dataPath: any)';

function meaning(
  paths: { buffered: boolean; dax: boolean },
  findings: readonly Finding[],
): string[] {
  const lacks = findings.filter(({ ok }) => !ok).map(({ what }) => what);
  const missing = `does not work; missing: ${lacks.join(', ')}`;
  return [
    `  dax       ${paths.dax ? 'works: pods map shared memory itself, no page cache' : missing}`,
    ...(paths.dax ? [] : [NO_DAX]),
    `  buffered  ${paths.buffered ? 'works: pods get FUSE files; between nodes data is' : missing}`,
    ...(paths.buffered ? [BUFFERED] : []),
  ];
}

function line({ what, ok, found, advice }: Finding): string {
  const first = `${ok ? 'ok     ' : 'missing'} ${what.padEnd(13)} ${found}`;
  return advice === undefined ? first : `${first}\n${' '.repeat(22)}→ ${advice}`;
}

function deviceLine(device: Daxdev & { holds: string }): string {
  const node = device.numaNode === undefined ? '' : `, NUMA node ${device.numaNode}`;
  const driver = device.driver ?? 'no driver';
  const size = formatSize(device.sizeBytes);
  return `        ${device.path}: ${size}, ${driver}${node}; ${device.holds}`;
}
