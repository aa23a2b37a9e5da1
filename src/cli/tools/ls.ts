import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import type { Node } from '../../format/namespace.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForReading, poolPath } from './pools.ts';

interface LsArguments {
  readonly recursive?: boolean;
  readonly json?: boolean;
}

export function lsCommand(): Command {
  return userCommand('ls', 'list files and directories of a pool', [
    '/dev/dax0.0',
    '-r /dev/dax0.0 models',
  ])
    .argument('<device>', 'the primary device of the pool, or its file')
    .argument('[path]', 'a directory or file in the pool (default: all of it)')
    .option('-r, --recursive', 'go into directories')
    .addOption(jsonOption())
    .action(runLs);
}

function runLs(device: string, given: string | undefined, options: LsArguments): void {
  const path = poolPath(given ?? '');
  using pool = openForReading(device);
  const start = pool.replica.namespace.lookup(path);
  if (start === undefined) {
    throw new Fault('NOT_FOUND', `${path}: no such file or directory in the pool on ${device}`);
  }
  const nodes = [...listed(start, options.recursive ?? false)];
  const entries = nodes.map((node) => ({
    path: node.path,
    type: node.kind,
    mode: `0${node.mode.toString(8)}`,
    uid: node.uid,
    gid: node.gid,
    sizeBytes: node.kind === 'file' ? node.sizeBytes : 0,
    logIndex: node.entryIndex,
  }));
  const lines = entries.map(({ type, mode, uid, gid, sizeBytes, path: at }) => {
    const owner = `${uid}:${gid}`.padEnd(11);
    const shown = type === 'directory' ? `${at}/` : at;
    return `${mode.padStart(5)}  ${owner} ${String(sizeBytes).padStart(15)}  ${shown}`;
  });
  report(options.json, { entries }, lines.length > 0 ? lines : ['(empty)']);
}

function* listed(node: Node, recursive: boolean): Iterable<Node> {
  if (node.kind === 'file') {
    yield node;
    return;
  }
  for (const child of node.children()) {
    yield child;
    if (recursive && child.kind === 'directory') yield* listed(child, true);
  }
}
