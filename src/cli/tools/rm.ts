import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import type { NewEntry } from '../../format/log-entry.ts';
import type { Node } from '../../format/namespace.ts';
import { uuidArgument } from '../options.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForWriting, poolPath } from './pools.ts';

interface RmArguments {
  readonly recursive?: boolean;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export function rmCommand(): Command {
  return userCommand('rm', 'delete a file or directory; its memory is not handed out again yet', [
    '/dev/dax0.0 models/weights',
    '-r /dev/dax0.0 models',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .argument('<path>', 'what to delete, relative to the pool')
    .option('-r, --recursive', 'delete a directory with all that is in it')
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .action(runRm);
}

async function runRm(device: string, given: string, options: RmArguments): Promise<void> {
  const path = poolPath(given);
  if (path === '') throw new Fault('INVALID', `path "${given}": is the pool itself; see mkfs`);
  using pool = openForWriting(device, options.systemUuid);
  const deleted = await pool.append((replica) => {
    const node = replica.namespace.lookup(path);
    if (node === undefined) {
      throw new Fault('NOT_FOUND', `${path}: no such file or directory in the pool on ${device}`);
    }
    if (node.kind === 'directory' && node.childCount > 0 && !options.recursive) {
      throw new Fault(
        'INVALID',
        `${path}: is a directory with ${node.childCount} entries; give -r`,
      );
    }
    const entries = [...deletions(node)];
    return { entries, result: entries.map((entry) => entry.path) };
  });
  report(
    options.json,
    { deleted },
    deleted.map((each) => `${each}: deleted`),
  );
}

/** DELETE entries, what is inside a directory before the directory itself. */
function* deletions(node: Node): Iterable<NewEntry & { type: 'delete' }> {
  if (node.kind === 'directory') for (const child of node.children()) yield* deletions(child);
  yield { type: 'delete', targetIndex: node.entryIndex, path: node.path };
}
