// Runs Jest and ends with the line `tests: N passed, 0 failed` (and `, K skipped`), after a look at
// what the tests left behind: a mount of ours that is still there is a failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reexecUnprivileged } from '../dist/cli/namespace.js';

const inNamespace = await reexecUnprivileged(process.argv.slice(1));
if (inNamespace !== undefined) process.exit(inNamespace);

/** Lines of the mount table; those that are there before the tests are somebody else's. */
function famfsMounts() {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.includes('fuse.famfs'));
}

const before = famfsMounts();
const folder = mkdtempSync(join(tmpdir(), 'famfs-test-results-'));
const output = join(folder, 'results.json');
const jest = spawnSync(
  process.execPath,
  ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${output}`, ...process.argv.slice(2)],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);

let results;
try {
  results = JSON.parse(readFileSync(output, 'utf8'));
} catch (error) {
  process.stdout.write(`Jest gave no results: ${error.message}\n`);
  process.exit(1);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const left = famfsMounts().filter((line) => !before.includes(line));
for (const line of left) process.stdout.write(`left behind: ${line}\n`);

const failed = results.numFailedTests + results.numRuntimeErrorTestSuites + left.length;
const skipped = results.numPendingTests + results.numTodoTests;
const counts = `${results.numPassedTests} passed, ${failed} failed`;
process.stdout.write(`tests: ${counts}${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exit(failed === 0 && results.numPassedTests > 0 && jest.status === 0 ? 0 : 1);
