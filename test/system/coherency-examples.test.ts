import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

const EXAMPLES = join(__dirname, '../../docs/examples/coherency');
let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-coherency-'));
  file = join(folder, 'data');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(() => {
  writeFileSync(file, '');
  truncateSync(file, 4096);
});

const build = (level: string) => {
  const cc = (...args: string[]) =>
    execFileSync('cc', [level, '-Wall', '-Wextra', '-Werror', ...args], { cwd: EXAMPLES });
  cc('-o', join(folder, 'handover'), 'handover.c');
  cc('-shared', '-fPIC', '-o', join(folder, 'libflush.so'), 'flush.c');
};
const COMMANDS = {
  c: () => [join(folder, 'handover')],
  python: () => ['python3', join(EXAMPLES, 'handover.py')],
};

type Language = keyof typeof COMMANDS;

/** Runs one side; resolves with its output, rejects with its errors. */
function run(language: Language, ...args: string[]): Promise<string> {
  const [program = '', ...rest] = COMMANDS[language]();
  const child = spawn(program, [...rest, ...args], {
    env: { ...process.env, FLUSH_DIR: folder, PYTHONDONTWRITEBYTECODE: '1' },
    timeout: 30_000,
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    output += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(output))));
  });
}

describe.each(['-O0', '-O3'])('the coherency examples, built with %s', (level) => {
  beforeAll(() => build(level));

  test.each<[Language, Language]>([
    ['c', 'c'],
    ['c', 'python'],
    ['python', 'c'],
    ['python', 'python'],
  ])('hand a text from %s to %s', async (writer, reader) => {
    const text = `from ${writer} to ${reader}, ${'x'.repeat(500)}`;
    const got = run(reader, 'read', file);
    await run(writer, 'write', file, text);
    expect(await got).toBe(`${text}\n`);
  });

  test.each<Language>(['c', 'python'])(
    '%s refuses a length that the file denies',
    async (reader) => {
      const header = Buffer.alloc(4096);
      header.writeBigUInt64LE(1n << 40n);
      writeFileSync(file, header);
      await expect(run(reader, 'read', file)).rejects.toThrow('expected at most 4032');
    },
  );
});
