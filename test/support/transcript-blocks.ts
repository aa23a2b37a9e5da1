import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const BLOCK = /^```console\n([\s\S]*?)^```$/gm;

/**
 * Runs the command lines of a document's `console` blocks, all in one folder and in their order,
 * and returns the document with what they print now in place of what it says they print. A line
 * that starts with `$ ` is a command; what follows it, up to the next, is its output. `$?` is the
 * exit code of the command before.
 */
export function rerunConsoleBlocks(text: string, folder: string, main: string): string {
  const bin = join(folder, '.bin');
  mkdirSync(bin);
  const program = join(bin, 'famfs-csi');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  chmodSync(program, 0o755);
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
  let status = 0;
  return text.replace(BLOCK, (_, body: string) => {
    const commands = body.split('\n').filter((line) => line.startsWith('$ '));
    const lines = commands.map((line) => {
      const script = `(exit ${status}); ${line.slice(2)}`;
      const done = spawnSync('sh', ['-c', `{ ${script}\n} 2>&1`], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      status = done.status ?? -1;
      return `${line}\n${done.stdout}`;
    });
    return `\`\`\`console\n${lines.join('')}\`\`\``;
  });
}

/** The program's `--help`, of itself or of a command. */
export function helpOf(main: string, command: readonly string[] = []): string {
  return execFileSync(process.execPath, [main, ...command, '--help'], { encoding: 'utf8' });
}
