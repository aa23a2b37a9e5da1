#!/usr/bin/env node

import { fileURLToPath } from 'node:url';
import { demoCommand, podCommands } from './cli/demo/command.ts';
import { runProgram } from './cli/program.ts';
import { controllerCommand } from './cli/services/controller.ts';
import { mounterCommand, serveCommand } from './cli/services/mounter.ts';
import { nodeCommand } from './cli/services/node.ts';
import { checkCommand } from './cli/tools/check.ts';
import { createCommand } from './cli/tools/create.ts';
import { doctorCommand } from './cli/tools/doctor.ts';
import { infoCommand } from './cli/tools/info.ts';
import { lsCommand } from './cli/tools/ls.ts';
import { mapCommand } from './cli/tools/map.ts';
import { mkdirCommand } from './cli/tools/mkdir.ts';
import { mkfsCommand } from './cli/tools/mkfs.ts';
import { repairCommand } from './cli/tools/repair.ts';
import { rmCommand } from './cli/tools/rm.ts';
import { packageVersion } from './csi/package.ts';

const main = fileURLToPath(import.meta.url);

const commands = [
  mkfsCommand(),
  infoCommand(),
  lsCommand(),
  mkdirCommand(),
  createCommand(),
  rmCommand(),
  checkCommand(),
  mapCommand(),
  doctorCommand(),
  repairCommand(),
  demoCommand(main),
  controllerCommand(),
  nodeCommand(),
  mounterCommand(main),
  serveCommand(),
  ...podCommands(),
];

// An exit code, not an exit: what is still open, a log line or a reply, is finished first.
process.exitCode = await runProgram(commands, packageVersion(), process.argv);
