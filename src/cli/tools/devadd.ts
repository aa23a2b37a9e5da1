import type { Command } from 'commander';
import { formatSize } from '../../base/numbers.ts';
import { withDeviceMemory } from '../../mounter/device-memory.ts';
import { assertNotPrimary, devadd } from '../../pool/devadd.ts';
import { DeviceLock } from '../../pool/device-lock.ts';
import { checkedPath } from '../../pool/device-path.ts';
import { sizeArgument, uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { nameOf, prepareDevice } from './mkfs.ts';
import { openForWriting } from './pools.ts';

interface DevaddArguments {
  readonly size?: number;
  readonly force?: boolean;
  readonly deviceUuid?: string;
  readonly deviceName?: string;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

const ABOUT_USE = `
Run again after a failure, it finishes what was begun. Then give the device to the pool's mounters
and controller, behind the others: --pool NAME=DEVICE,NEW_DEVICE.`;

export function devaddCommand(): Command {
  return userCommand('devadd', 'add a dax device, or a file that stands for one, to a pool', [
    '/dev/dax0.0 /dev/dax1.0',
    '/dev/shm/fabric /dev/shm/fabric2 --size 1G',
  ])
    .addHelpText('after', ABOUT_USE)
    .argument('<device>', 'the primary device of the pool, its file, or a mount of the pool')
    .argument('<new-device>', 'dax device or file; a file that is not there is made, with --size')
    .option('--size <size>', 'length of the file to make, such as 1G', sizeArgument)
    .option('--force', 'add it whatever it holds, which is lost')
    .option('--device-uuid <uuid>', 'uuid of the device (default: random)', uuidArgument)
    .option('--device-name <name>', 'name of the device in its superblock (default: its path)')
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .action(runDevadd);
}

async function runDevadd(device: string, given: string, options: DevaddArguments): Promise<void> {
  using pool = openForWriting(device, options.systemUuid);
  // Before a file is made: this may not be the master.
  pool.assertAppendable();
  prepareDevice(given, options.size);
  const path = checkedPath(given);
  const added = await withDeviceMemory(path, async (memory) => {
    assertNotPrimary(memory, pool.superblock);
    // Another devadd may be adding it to another pool.
    using lock = new DeviceLock(path);
    using _hold = await lock.acquire();
    return await devadd(pool, memory, {
      deviceName: options.deviceName ?? nameOf(path),
      ...(options.deviceUuid ? { deviceUuid: options.deviceUuid } : {}),
      ...(options.force ? { force: true } : {}),
    });
  });
  const what = added.isNew ? 'added' : 'is there already';
  report(options.json, { device, path, ...added }, [
    `${path}: ${what}, device ${added.devindex} of pool ${pool.fsUuid}, ` +
      `${formatSize(added.sizeBytes)}, uuid ${added.deviceUuid}`,
  ]);
}
