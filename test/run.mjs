// Runs Jest and ends with the line `tests: N passed, 0 failed` (and `, K skipped`), after a look at
// what the tests left behind: a mount, a process, a file, a socket or a device in another mode than
// before is a failure, by its name.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reexecUnprivileged } from '../dist/cli/namespace.js';
import { Leftovers } from './leftovers.mjs';

const inNamespace = await reexecUnprivileged(process.argv.slice(1)).catch((error) => {
  process.stderr.write(`npm test: ${error.message}\n`);
  return 1;
});
if (inNamespace !== undefined) process.exit(inNamespace);

const folder = mkdtempSync(join(tmpdir(), 'famfs-test-results-'));
const output = join(folder, 'results.json');
// As Jest would choose it, in the temporary folder that outlives this run.
const cache = join(tmpdir(), `jest_${process.getuid().toString(36)}`);
const leftovers = new Leftovers();
const jest = spawnSync(
  process.execPath,
  [
    'node_modules/jest/bin/jest.js',
    ...['--json', `--outputFile=${output}`, `--cacheDirectory=${cache}`],
    ...process.argv.slice(2),
  ],
  { stdio: ['ignore', 'ignore', 'inherit'], env: leftovers.env },
);

let results;
try {
  results = JSON.parse(readFileSync(output, 'utf8'));
} catch (error) {
  process.stdout.write(`Jest gave no results: ${error.message}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const left = await leftovers.find();
for (const line of left) process.stdout.write(`left behind: ${line}\n`);
if (results === undefined) process.exit(1);

const failed = results.numFailedTests + results.numRuntimeErrorTestSuites + left.length;
const skipped = results.numPendingTests + results.numTodoTests;
const counts = `${results.numPassedTests} passed, ${failed} failed`;
process.stdout.write(`tests: ${counts}${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exit(failed === 0 && results.numPassedTests > 0 && jest.status === 0 ? 0 : 1);
