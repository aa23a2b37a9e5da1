import { existsSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import { formatSize, GiB } from '../../base/numbers.ts';
import { logCapacity } from '../../format/log-header.ts';
import { DEVICE_NAME_BYTES_MAX, type Superblock } from '../../format/superblock.ts';
import { withDeviceMemory } from '../../mounter/device-memory.ts';
import { checkedPath } from '../../pool/device-path.ts';
import { createEmulatedDevice } from '../../pool/emulated-device.ts';
import { systemUuid } from '../../pool/identity.ts';
import { DEFAULT_LOG_BYTES, mkfs } from '../../pool/mkfs.ts';
import { sizeArgument, sizeOption, uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';

/** The reference tools refuse smaller devices. */
const REFERENCE_MINIMUM_BYTES = 4 * GiB;
/** The superblock's name for a device whose own is too long for it. */
const UNNAMED = 'unnamed';

interface MkfsArguments {
  readonly size?: number;
  readonly logSize: number;
  readonly force?: boolean;
  readonly fsUuid?: string;
  readonly deviceUuid?: string;
  readonly deviceName?: string;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export function mkfsCommand(): Command {
  return userCommand(
    'mkfs',
    'format a dax device, or a file that stands for one, as a famfs pool',
    ['/dev/dax0.0', '--size 1G /dev/shm/fabric'],
  )
    .argument('<device>', 'dax device or file; a file that is not there is made, with --size')
    .option('--size <size>', 'length of the file to make, such as 1G', sizeArgument)
    .addOption(
      sizeOption('--log-size <size>', 'length of the log, a power of two', DEFAULT_LOG_BYTES),
    )
    .option('--force', 'format over a famfs pool or other data; its files are lost')
    .option('--fs-uuid <uuid>', 'uuid of the pool (default: random)', uuidArgument)
    .option('--device-uuid <uuid>', 'uuid of the device (default: random)', uuidArgument)
    .option('--device-name <name>', 'name of the device in the superblock (default: its path)')
    .option('--system-uuid <uuid>', "the master's uuid (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .action(runMkfs);
}

async function runMkfs(device: string, options: MkfsArguments): Promise<void> {
  const made = prepareDevice(device, options.size);
  let superblock: Superblock;
  try {
    superblock = await format(checkedPath(device), options, made);
  } catch (error) {
    if (made) rmSync(device, { force: true });
    throw error;
  }
  const size = superblock.deviceSizeBytes;
  const logSize = formatSize(superblock.logLengthBytes);
  const minimum = formatSize(REFERENCE_MINIMUM_BYTES);
  const note = `note: the reference tools do not take devices under ${minimum}`;
  report(options.json, { device, ...superblock }, [
    `${device}: a famfs pool of ${formatSize(size)}, uuid ${superblock.fsUuid}`,
    `log: ${logSize}, ${logCapacity(superblock.logLengthBytes)} entries`,
    ...(size < REFERENCE_MINIMUM_BYTES ? [note] : []),
  ]);
}

function format(device: string, options: MkfsArguments, isNew: boolean): Promise<Superblock> {
  return withDeviceMemory(device, (memory) =>
    mkfs(memory, {
      deviceName: options.deviceName ?? nameOf(device),
      systemUuid: systemUuid(options.systemUuid),
      logLengthBytes: options.logSize,
      force: options.force ?? isNew,
      ...(options.fsUuid ? { fsUuid: options.fsUuid } : {}),
      ...(options.deviceUuid ? { deviceUuid: options.deviceUuid } : {}),
    }),
  );
}

/** The device's path; of a long one the end, from a separator on, that fits the superblock. */
export function nameOf(device: string): string {
  if (Buffer.byteLength(device) <= DEVICE_NAME_BYTES_MAX) return device;
  const names = device.split('/');
  while (names.length > 1 && Buffer.byteLength(names.join('/')) > DEVICE_NAME_BYTES_MAX) {
    names.shift();
  }
  const name = names.join('/');
  return Buffer.byteLength(name) <= DEVICE_NAME_BYTES_MAX ? name : UNNAMED;
}

/** True when the file was made here, so that it holds nothing to be careful with. */
export function prepareDevice(device: string, size: number | undefined): boolean {
  if (existsSync(device)) {
    if (size === undefined) return false;
    throw new Fault('INVALID', `--size: ${device} exists and has its size; leave it out`);
  }
  if (size === undefined || dirname(device) === '/dev') {
    throw new Fault(
      'INVALID',
      `${device}: no such device; give --size to make a file that stands for one, as in ` +
        '/dev/shm/fabric --size 1G',
    );
  }
  createEmulatedDevice(device, size);
  return true;
}
