// What the runs of the long stories (test/vm, test/k8s) have in common.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export const say = (line) => process.stdout.write(`${line}\n`);

/** Ends the run called `name` as a failed one. */
export function fail(name, line) {
  say(`${name}: ${line}`);
  say(`${name}: 0 passed, 1 failed`);
  process.exit(1);
}

export const secondsSince = (begin) => `${((performance.now() - begin) / 1000).toFixed(0)} s`;

/** `programs`: what has to be there, and the Debian package that has it. Installs with --install. */
export function checkPrograms(name, programs) {
  const missing = Object.keys(programs).filter((program) => !isThere(program));
  if (missing.length === 0) return;
  const packages = missing.map((program) => programs[program]);
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
  if (!process.argv.includes('--install')) {
    const command = `apt-get ${install.join(' ')}`;
    fail(name, `missing: ${missing.join(', ')}; run: ${command} (or give --install)`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update', '-qq'], install]) {
    const { status } = spawnSync('apt-get', args, { env, stdio: ['ignore', 2, 2] });
    if (status !== 0) fail(name, `apt-get ${args.join(' ')}: exit code ${status}`);
  }
}

function isThere(program) {
  return process.env.PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Prints why steps failed; what one kept from being reached is counted, and not printed. */
export function sayFailures({ testResults }) {
  for (const { message, status, assertionResults } of testResults) {
    if (status !== 'failed') continue;
    const reports = assertionResults.flatMap(({ title, failureMessages }) =>
      failureMessages.map((text) => `${title}:\n${text}`),
    );
    for (const text of reports.length > 0 ? reports : [message]) {
      if (!text.includes('not reached: "')) say(text);
    }
  }
}
