import { type Command, Option } from 'commander';
import { integerArgument, modeArgument, uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForWriting } from './pools.ts';

const ID_MAX = 2 ** 32 - 2;

export interface OwnerArguments {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

/** Adds what `mkdir` and `create` share: who owns the new node, and who this writer is. */
export function withOwnerOptions(command: Command, mode: number): Command {
  const id = integerArgument(0, ID_MAX);
  const permissions = new Option('--mode <mode>', 'permissions, octal')
    .argParser(modeArgument)
    .default(mode, `0${mode.toString(8)}`);
  return command
    .addOption(permissions)
    .option('--uid <uid>', 'owner', id, process.getuid?.() ?? 0)
    .option('--gid <gid>', 'group', id, process.getgid?.() ?? 0)
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption());
}

export function mkdirCommand(): Command {
  const command = userCommand('mkdir', 'make a directory in a pool', ['/dev/dax0.0 models'])
    .argument('<device>', 'the primary device of the pool, or its file')
    .argument('<path>', 'the directory, relative to the pool; its parent is there');
  return withOwnerOptions(command, 0o755).action(runMkdir);
}

async function runMkdir(device: string, path: string, options: OwnerArguments): Promise<void> {
  using pool = openForWriting(device, options.systemUuid);
  const { mode, uid, gid } = options;
  const index = await pool.append((replica) => ({
    entries: [{ type: 'mkdir', path: replica.namespace.checkNewPath(path), mode, uid, gid }],
    result: replica.position,
  }));
  report(options.json, { path, logIndex: index }, [`${path}: made, log entry ${index}`]);
}
