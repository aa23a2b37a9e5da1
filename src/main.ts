#!/usr/bin/env node

import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { runProgram } from './cli/program.ts';
import { packageVersion } from './csi/package.ts';

const main = fileURLToPath(import.meta.url);

const pods = async () => (await import('./cli/demo/command.ts')).podCommands();

/**
 * Every command by its name, in the order of the help. Only the one that is named is loaded: the
 * tools, and the server that must succeed another at once, then start without gRPC.
 */
const COMMANDS = new Map<string, () => Promise<Command | Command[]>>([
  ['mkfs', async () => (await import('./cli/tools/mkfs.ts')).mkfsCommand()],
  ['info', async () => (await import('./cli/tools/info.ts')).infoCommand()],
  ['ls', async () => (await import('./cli/tools/ls.ts')).lsCommand()],
  ['mkdir', async () => (await import('./cli/tools/mkdir.ts')).mkdirCommand()],
  ['create', async () => (await import('./cli/tools/create.ts')).createCommand()],
  ['rm', async () => (await import('./cli/tools/rm.ts')).rmCommand()],
  ['compact', async () => (await import('./cli/tools/compact.ts')).compactCommand()],
  ['quarantine', async () => (await import('./cli/tools/quarantine.ts')).quarantineCommand()],
  ['check', async () => (await import('./cli/tools/check.ts')).checkCommand()],
  ['map', async () => (await import('./cli/tools/map.ts')).mapCommand()],
  ['devadd', async () => (await import('./cli/tools/devadd.ts')).devaddCommand()],
  ['doctor', async () => (await import('./cli/tools/doctor.ts')).doctorCommand()],
  ['adopt', async () => (await import('./cli/tools/adopt.ts')).adoptCommand()],
  ['repair', async () => (await import('./cli/tools/repair.ts')).repairCommand()],
  ['demo', async () => (await import('./cli/demo/command.ts')).demoCommand(main)],
  ['controller', async () => (await import('./cli/services/controller.ts')).controllerCommand()],
  ['node', async () => (await import('./cli/services/node.ts')).nodeCommand()],
  ['mounter', async () => (await import('./cli/services/mounter.ts')).mounterCommand(main)],
  ['serve', async () => (await import('./cli/services/mounter.ts')).serveCommand()],
  ['pod-write', pods],
  ['pod-verify', pods],
]);

const named = COMMANDS.get(process.argv[2] ?? '');
const loaders = named === undefined ? new Set(COMMANDS.values()) : [named];
const commands = await Promise.all([...loaders].map((load) => load()));

// An exit code, not an exit: what is still open, a log line or a reply, is finished first.
process.exitCode = await runProgram(commands.flat(), packageVersion(), process.argv);
