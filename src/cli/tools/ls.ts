import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import type { Node } from '../../format/namespace.ts';
import { jsonOption, report, userCommand } from '../program.ts';
import { openForReading } from './pools.ts';

interface LsArguments {
  readonly recursive?: boolean;
  readonly json?: boolean;
}

export function lsCommand(): Command {
  return userCommand('ls', 'list files and directories of a pool')
    .argument('<device>', 'the primary device of the pool, or its file')
    .argument('[path]', 'a directory or file in the pool', '')
    .option('-r, --recursive', 'go into directories')
    .addOption(jsonOption())
    .action(runLs);
}

function runLs(device: string, path: string, options: LsArguments): void {
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
    const shown = printable(type === 'directory' ? `${at}/` : at);
    return `${mode.padStart(5)}  ${owner} ${String(sizeBytes).padStart(15)}  ${shown}`;
  });
  report(options.json, { entries }, lines.length > 0 ? lines : ['(empty)']);
}

function* listed(node: Node, recursive: boolean): Iterable<Node> {
  if (node.kind === 'file') {
    yield node;
    return;
  }
  for (const child of node.childrenFrom(0)) {
    yield child;
    if (recursive && child.kind === 'directory') yield* listed(child, true);
  }
}

/** A name may hold anything but NUL and '/': a terminal must not be driven by it. */
function printable(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it hides
  return path.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => JSON.stringify(c).slice(1, -1));
}
