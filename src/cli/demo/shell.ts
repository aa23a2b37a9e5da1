import { spawn } from 'node:child_process';
import { codeOf, Fault } from '../../base/errors.ts';

/**
 * Runs a command in the C locale and resolves with its standard output. IO with what it said when
 * it fails, NOT_FOUND when there is no such program. When the signal aborts, it is killed with all
 * that it has started. Settles once none of them runs any more.
 */
export function runCommand(command: readonly string[], signal: AbortSignal): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      detached: true, // a process group of its own: the one to kill
    });
    const kill = () => killGroup(child.pid);
    signal.addEventListener('abort', kill, { once: true });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', (error) => {
      signal.removeEventListener('abort', kill);
      reject(new Fault('NOT_FOUND', `${program}: cannot be run (${codeOf(error)}); install it`));
    });
    // Not before the pipes' other ends are closed: children of the command have them too.
    child.on('close', (code, killed) => {
      signal.removeEventListener('abort', kill);
      if (code === 0) resolve(output);
      else reject(new Fault('IO', errors.trim() || `${program}: ${killed ?? `exit code ${code}`}`));
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error; // all of it has ended
  }
}

/** A command line for a shell, each word quoted where it has to be. */
export function commandLine(words: readonly string[]): string {
  const quoted = words.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return quoted.join(' ');
}
