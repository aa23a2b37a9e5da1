import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What hostile-logs.ts prints of one log. */
export interface HostileLog {
  readonly name: string;
  readonly entries: number;
  readonly position: number;
  readonly applied: number;
  readonly problems: number;
  /** Problems that are kept with their text. */
  readonly kept: number;
  readonly reportBytes: number;
  readonly lines: number;
  readonly seconds: number;
  readonly growthKiB: number;
}

export const MEMORY_MAX_MIB = 200;
/** Logs of hostile-logs.ts that `npm test` replays … */
export const HOSTILE_LOGS: readonly string[] = [
  'a full log of unknown types',
  'a full log of rejected files with ugly paths',
  'a full log of files in sixteen pieces',
  'a full log of directories made and deleted',
  'a full log of rejected files in sixteen pieces',
  'a log of 64 MiB of duplicates and bad paths',
  'a log of 1 GiB of garbage',
];
/** … and those that only `npm run fuzz` has the time for. */
export const LONG_HOSTILE_LOGS: readonly string[] = ['a log of 1 GiB of duplicates and bad paths'];
const ENDS_WITHIN_MS = 600_000;

/** Replays logs, by their names in hostile-logs.ts, in one process with a heap of 200 MiB. */
export function replayHostileLogs(names: readonly string[]): HostileLog[] {
  const loader = pathToFileURL(join(__dirname, 'loader.mjs')).href;
  const script = join(__dirname, 'hostile-logs.ts');
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [`--max-old-space-size=${MEMORY_MAX_MIB}`, '--expose-gc', '--import', loader, script, ...names],
    { encoding: 'utf8', timeout: ENDS_WITHIN_MS },
  );
  if (status !== 0) throw new Error(`hostile logs: ended with ${signal ?? status}\n${stderr}`);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as HostileLog);
}
