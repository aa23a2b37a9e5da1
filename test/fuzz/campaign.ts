import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The first case that failed, reduced. */
export interface Failure {
  readonly number: number;
  readonly kind: string;
  readonly why: string;
  /** The input as lines of hex. */
  readonly input: readonly string[];
}

export interface RunResult {
  readonly cases: number;
  readonly seconds: number;
  /** Of the processor, the start of the process too: what a busy machine does not change. */
  readonly cpuSeconds: number;
  readonly slowest: { readonly number: number; readonly kind: string; readonly ms: number };
  /** `group: word` → how often. */
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: Failure | undefined;
  /** Resident memory before the first case, and the most that there ever was. */
  readonly startKiB: number;
  readonly peakKiB: number;
}

export interface CampaignOptions {
  readonly seed: number;
  readonly first: number;
  readonly cases: number;
  /** Ends the run: its process is killed, its files go, and the promise is rejected. */
  readonly signal?: AbortSignal;
  /** Told about every ten seconds how many cases are done. */
  readonly onProgress?: (done: number) => void;
}

/** What one case may take before it counts as one that never ends. */
const CASE_LIMIT_MS = 20_000;
const LOOK_MS = 250;
const PROGRESS_MS = 10_000;
const GROWTH_MAX_KIB = 200 * 1024;

/**
 * Runs cases in a process of their own, whose heap is limited, and watches it: one that stays at a
 * case is killed, one that dies has failed at the case it was at.
 */
export async function campaign(options: CampaignOptions): Promise<RunResult> {
  const folder = mkdtempSync('/dev/shm/famfs-fuzz-');
  try {
    const stopped = await watch(folder, options);
    if (stopped !== undefined) return { ...NOTHING, failure: stopped };
    const result = JSON.parse(readFileSync(join(folder, 'result'), 'utf8')) as RunResult;
    return result.failure === undefined ? withMemoryChecked(result) : result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const NOTHING: RunResult = {
  cases: 0,
  seconds: 0,
  cpuSeconds: 0,
  slowest: { number: 0, kind: '', ms: 0 },
  counts: {},
  failure: undefined,
  startKiB: 0,
  peakKiB: 0,
};

/** Resolves when the process has ended: with why it had to be stopped, or why it died. */
function watch(folder: string, options: CampaignOptions): Promise<Failure | undefined> {
  const { seed, first, cases, signal } = options;
  const loader = pathToFileURL(join(__dirname, 'loader.mjs')).href;
  const child = spawn(
    process.execPath,
    [
      '--max-old-space-size=200',
      ...[
        '--import',
        loader,
        join(__dirname, 'run.ts'),
        String(seed),
        String(first),
        String(cases),
      ],
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, FAMFS_FUZZ_FOLDER: folder },
      ...(signal === undefined ? {} : { signal }),
      killSignal: 'SIGKILL',
    },
  );
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4000);
  });
  let lateAt: number | undefined;
  let told = Date.now();
  const timer = setInterval(() => {
    const beat = heartbeatIn(folder);
    if (beat === undefined) return;
    if (Date.now() - beat.sinceMs > CASE_LIMIT_MS) {
      lateAt = beat.number;
      child.kill('SIGKILL');
    } else if (Date.now() - told > PROGRESS_MS) {
      told = Date.now();
      options.onProgress?.(beat.number - first);
    }
  }, LOOK_MS);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      clearInterval(timer);
      reject(error);
    });
    child.on('close', (code, killedBy) => {
      clearInterval(timer);
      if (code === 0) return resolve(undefined);
      const number = lateAt ?? heartbeatIn(folder)?.number ?? first;
      const how = lateAt === undefined ? `ended with ${killedBy ?? code}` : 'did not end';
      resolve({ number, kind: 'the process', why: `case ${number} ${how}\n${said}`, input: [] });
    });
  });
}

function heartbeatIn(folder: string): { number: number; sinceMs: number } | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(folder, 'heartbeat'));
  } catch {
    return undefined; // it has not begun
  }
  if (bytes.length < 16) return undefined;
  return { number: bytes.readDoubleLE(0), sinceMs: bytes.readDoubleLE(8) };
}

function withMemoryChecked(result: RunResult): RunResult {
  const growthKiB = result.peakKiB - result.startKiB;
  if (growthKiB <= GROWTH_MAX_KIB) return result;
  const why = `memory grew by ${growthKiB} KiB, expected at most ${GROWTH_MAX_KIB}`;
  return { ...result, failure: { number: 0, kind: 'all cases', why, input: [] } };
}

/** What a run found, for people. */
export function describeRun({ seed, first, cases }: CampaignOptions, result: RunResult): string[] {
  const { slowest, counts, failure } = result;
  const MiB = (kib: number) => `${Math.round(kib / 1024)} MiB`;
  const groups = new Map<string, string[]>();
  for (const [key, count] of Object.entries(counts).sort(([, a], [, b]) => b - a)) {
    const [, group, word] = /^(.*?): (.*)$/.exec(key) as unknown as [string, string, string];
    groups.set(group, [...(groups.get(group) ?? []), `${word} ${count}`]);
  }
  const lines = [
    `seed ${seed}, cases ${first} to ${first + cases - 1}`,
    ...[...groups].map(([group, words]) => `  ${group}: ${words.join(', ')}`),
    `${result.cases} cases in ${result.seconds.toFixed(1)} s ` +
      `(${result.cpuSeconds.toFixed(1)} s of processor), ` +
      `${Math.round(result.cases / result.seconds)} cases/s; the slowest took ` +
      `${slowest.ms.toFixed(1)} ms (case ${slowest.number}, ${slowest.kind}); ` +
      `resident memory ${MiB(result.startKiB)} at first, ${MiB(result.peakKiB)} at most`,
  ];
  if (failure === undefined) return [...lines, 'no failure'];
  return [
    ...lines,
    `FAILED: ${failure.kind}: ${failure.why}`,
    'the input, reduced:',
    ...failure.input.map((line) => `  ${line}`),
    `again: npm run fuzz -- --seed ${seed} --first ${failure.number} --cases 1`,
  ];
}
