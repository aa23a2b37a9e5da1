// The process that runs cases: `run.ts SEED FIRST COUNT`, started and watched by campaign.ts. It
// tells the case that it is at in the file `heartbeat`, and at the end what it saw in `result`.
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Failure, RunResult } from './campaign.ts';
import { type Case, makeCase, reduce, runCase } from './cases.ts';
import { Tally } from './tally.ts';
import { vectorImages } from './vector-images.ts';

const [seed, first, count] = process.argv.slice(2).map(Number) as [number, number, number];
const folder = process.env.FAMFS_FUZZ_FOLDER as string;
const heartbeat = openSync(join(folder, 'heartbeat'), 'w');
const beat = new Float64Array(2);

function memoryKiB(field: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
}

function failureOf(failing: Case, number: number): Failure {
  Error.stackTraceLimit = 20;
  const { input, why } = reduce(failing, seed, number);
  const stack = why instanceof Error ? why.stack : undefined;
  return {
    number,
    kind: input.kind.name,
    why: stack ?? String(why),
    input: input.kind.show(input.input),
  };
}

function run(): RunResult {
  const tally = new Tally();
  // Most cases end in a Fault; where it was made is of interest in a failure alone.
  Error.stackTraceLimit = 0;
  const result = { cases: 0, slowest: { number: first, kind: '', ms: 0 }, seconds: 0 };
  const startKiB = memoryKiB('VmRSS');
  vectorImages();
  const start = performance.now();
  let before = start;
  let failure: Failure | undefined;
  for (let number = first; number < first + count; number++) {
    beat[0] = number;
    beat[1] = Date.now();
    writeSync(heartbeat, new Uint8Array(beat.buffer), 0, 16, 0);
    const one = makeCase(seed, number);
    try {
      runCase(one, seed, number, tally);
    } catch {
      failure = failureOf(one, number);
      break;
    }
    tally.count('case', one.kind.name);
    result.cases += 1;
    const now = performance.now();
    if (now - before > result.slowest.ms) {
      result.slowest = { number, kind: one.kind.name, ms: now - before };
    }
    before = now;
  }
  result.seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage();
  const counts = Object.fromEntries(tally.counts);
  const cpuSeconds = (user + system) / 1e6;
  return { ...result, cpuSeconds, counts, failure, startKiB, peakKiB: memoryKiB('VmHWM') };
}

writeFileSync(join(folder, 'result'), JSON.stringify(run()));
