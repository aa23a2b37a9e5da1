// npm run bench -- [--only NAME]... [--runs N] [--json FILE]
// Runs each benchmark in processes of its own, so that none finds code that another warmed up, and
// prints the median over all samples. Build first: this measures dist/.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine, machine } from './machine.mjs';
import { summarise, tableLines } from './table.mjs';

const BENCHMARKS = [
  'append',
  'replay',
  'allocator',
  'fragmentation',
  'check',
  'lookup',
  'directories',
  'memory',
];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: BENCHMARKS },
    runs: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const runs = Number(values.runs);
const unknown = values.only.filter((name) => !BENCHMARKS.includes(name));
if (unknown.length > 0 || !Number.isInteger(runs) || runs < 1) {
  fail(`expected --runs N and --only with one of ${BENCHMARKS.join(', ')}`);
}

const here = machine();
print([describeMachine(here), `${runs} processes a benchmark; medians of all samples`]);
const results = [];
for (const name of BENCHMARKS.filter((each) => values.only.includes(each))) {
  const rows = summarise(Array.from({ length: runs }, () => runOnce(name)).flat());
  print(['', name, ...tableLines(rows)]);
  results.push({ benchmark: name, rows });
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ machine: here, runs, results }, null, 2)}\n`);
}

/** The rows of one run in a fresh process: what `report.mjs` collected. */
function runOnce(name) {
  const script = join(import.meta.dirname, 'one.mjs');
  const child = spawnSync(process.execPath, ['--expose-gc', script, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (child.status !== 0) fail(`${name}: failed (${child.signal ?? child.status})`);
  return JSON.parse(child.stdout);
}

function print(lines) {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function fail(message) {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(1);
}
