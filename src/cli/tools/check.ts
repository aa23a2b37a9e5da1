import type { Command } from 'commander';
import { isFault } from '../../base/errors.ts';
import { formatSize } from '../../base/numbers.ts';
import {
  type CheckReport,
  checkReport,
  MORE_PROBLEMS,
  unusableReport,
} from '../../format/check.ts';
import { Mapping } from '../../native/mapping.ts';
import { LogFollower } from '../../pool/log-follower.ts';
import { EXIT_PROBLEMS, EXIT_WRONG_USE, jsonOption, report, userCommand } from '../program.ts';

export function checkCommand(): Command {
  return userCommand('check', 'check superblock, log and files of a pool; changes nothing', [
    '/dev/dax0.0',
    '--json /dev/dax0.0',
  ])
    .addHelpText('after', '\nExit codes: 0 clean; 1 problems found; 2 the pool cannot be used.')
    .argument('<device>', 'the primary device of the pool, or its file')
    .addOption(jsonOption())
    .action(runCheck);
}

function runCheck(device: string, options: { json?: boolean }): void {
  const result = check(device);
  report(options.json, result, describe(device, result));
  if (!result.usable) process.exitCode = EXIT_WRONG_USE;
  else if (result.problems.length > 0) process.exitCode = EXIT_PROBLEMS;
}

function check(device: string): CheckReport {
  try {
    using memory = Mapping.open(device, { writable: false });
    const follower = new LogFollower(memory);
    return checkReport(follower.superblock, follower.header(), follower.replica);
  } catch (error) {
    if (!isFault(error)) throw error;
    return unusableReport(error.code, error.message);
  }
}

function describe(device: string, result: CheckReport): string[] {
  const { log, problems } = result;
  const found = problems.map(({ index, code, message }) => {
    return index < 0 ? `  ${code}: ${message}` : `  entry ${index}: ${code}: ${message}`;
  });
  if (!result.usable) return [`${device}: cannot be used`, ...found];
  return [
    `${device}: ${verdict(problems)}`,
    ...found,
    `  log: ${log.entries} of ${log.capacity} entries, ${log.applied} applied, ` +
      `${log.skipped} skipped`,
    `  ${result.files} files in ${result.directories} directories, ` +
      `${formatSize(result.allocatedBytes)} allocated, ${formatSize(result.freeBytes)} free`,
  ];
}

function verdict(problems: CheckReport['problems']): string {
  const count = problems.length;
  if (count === 0) return 'clean';
  if (problems.at(-1)?.code === MORE_PROBLEMS) return `more than ${count - 1} problems`;
  return count === 1 ? '1 problem' : `${count} problems`;
}
