import { type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const MAIN = join(__dirname, '..', '..', 'dist', 'main.js');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `famfs-csi ARGS…` as a process of its own, and waits for it. */
export function famfs(args: readonly string[], options: SpawnSyncOptions = {}): Ran {
  const done = spawnSync(process.execPath, [MAIN, ...args], { ...options, encoding: 'utf8' });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** The JSON that a command prints; fails unless that is one line, and the exit code is `status`. */
export function famfsJson(args: readonly string[], status = 0): unknown {
  const ran = famfs([...args, '--json']);
  if (ran.status !== status || !/^[^\n]+\n$/.test(ran.stdout)) {
    throw new Error(`famfs-csi ${args.join(' ')}: ${JSON.stringify(ran)}`);
  }
  return JSON.parse(ran.stdout);
}

/** Starts `famfs-csi ARGS…`; `done` resolves when it has ended. */
export function startFamfs(args: readonly string[]): { pid: number; done: Promise<Ran> } {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => {
    stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const done = new Promise<Ran>((resolve) => {
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { pid: child.pid ?? 0, done };
}
