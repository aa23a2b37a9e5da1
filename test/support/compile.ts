import { execFileSync } from 'node:child_process';

export const COMPILER = process.env.CC ?? 'cc';

/** Compiles C sources to `output` and returns its path; throws with what the compiler said. */
export function compile(
  output: string,
  sources: readonly string[],
  flags: readonly string[] = [],
  compiler: string = COMPILER,
): string {
  const args = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', ...flags, '-o', output, ...sources];
  execFileSync(compiler, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  return output;
}
