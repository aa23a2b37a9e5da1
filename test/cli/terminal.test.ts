import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { printable, printableJson } from '../../src/cli/printable.ts';
import { famfs, famfsJson, MAIN } from '../support/command-line.ts';
import { Scratch } from '../support/scratch.ts';

/**
 * Names come from the log, and so from other hosts. One that is printed as it is can rewrite the
 * screen, set the window's title, or have the terminal type a command.
 */
const ESCAPE = '\u001b]0;owned\u0007';
const NAMES = [
  'd\u001b[2J\u001b[31m',
  'f\u009b31m\u0085\u007f',
  'two\nlines\r\ttab',
  'b\u202egnp.exe\u2066\u200f',
];
const DIRECTORY = NAMES[0] as string;
const UNSAFE = /[^\P{Cc}\n]|[\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;

let scratch: Scratch;
let device: string;

beforeAll(() => {
  scratch = new Scratch('/dev/shm');
  device = scratch.join('pool');
});

afterAll(() => scratch[Symbol.dispose]());

/** All that a command writes to the terminal; fails where that could drive it. */
function shown(...args: string[]): string {
  const { stdout, stderr } = famfs(args);
  const text = stdout + stderr;
  expect(UNSAFE.exec(text)).toBeNull();
  return text;
}

describe('a name with control characters', () => {
  test('is made as it is, and shown escaped', () => {
    shown('mkfs', '--size', '64M', '--device-name', `dev${ESCAPE}`, device);
    expect(shown('mkdir', device, DIRECTORY)).toContain('d\\u001b[2J\\u001b[31m: made');
    for (const name of NAMES.slice(1)) {
      const path = `${DIRECTORY}/${name}`;
      expect(shown('create', '--size', '1M', device, path)).toContain(': made, 1048576 bytes');
    }
  });

  test('drives no terminal, whatever command prints it', () => {
    expect(shown('info', device)).toContain('(dev\\u001b]0;owned\\u0007)');
    const listed = shown('ls', '-r', device);
    expect(listed.split('\n').length).toBe(NAMES.length + 1);
    expect(listed).toContain('f\\u009b31m\\u0085\\u007f');
    expect(listed).toContain('two\\nlines\\r\\ttab');
    expect(listed).toContain('b\\u202egnp.exe\\u2066\\u200f');
    shown('map', device);
    shown('map', device, `${DIRECTORY}/${NAMES[1]}`);
    shown('check', device);
  });

  test('is whole in JSON, which is safe to print too', () => {
    for (const args of [
      ['info', device],
      ['map', device],
      ['check', device],
    ]) {
      shown(...args, '--json');
    }
    shown('ls', '-r', '--json', device);
    const { entries } = famfsJson(['ls', device, DIRECTORY]) as { entries: { path: string }[] };
    expect(entries.map(({ path }) => path)).toEqual(
      NAMES.slice(1).map((name) => `${DIRECTORY}/${name}`),
    );
    const info = famfsJson(['info', device]) as { superblock: { deviceName: string } };
    expect(info.superblock.deviceName).toBe(`dev${ESCAPE}`);
  });

  test('drives no terminal from a message of refusal either', () => {
    expect(shown('mkdir', device, DIRECTORY)).toContain('exists already');
    expect(shown('ls', device, `gone${ESCAPE}`)).toContain('gone\\u001b]0;owned\\u0007: no such');
    expect(shown('create', '--size', '1M', device, `gone\u009b/x`)).toContain('is missing');
    expect(shown('info', `/nowhere${ESCAPE}`)).toContain('no such device');
    expect(shown(`frob${ESCAPE}`)).toContain("unknown command 'frob\\u001b]0;owned\\u0007'");
    expect(shown('check', device, `--x${ESCAPE}`)).toContain('unknown option');
  });

  test('drives no terminal when it is deleted', () => {
    expect(shown('rm', '-r', device, DIRECTORY).split('\n').length).toBe(NAMES.length + 1);
    expect(shown('ls', '-r', device)).toBe('(empty)\n');
  });
});

describe('printable', () => {
  test('leaves text of any language alone', () => {
    for (const text of ['', 'plain', 'größe ☃ 日本 עברית', 'a\\nb', '"quoted"', '🙂']) {
      expect(printable(text)).toBe(text);
    }
  });

  test('shows every control character, and JSON of it means the same', () => {
    for (let code = 0; code < 0x3000; code++) {
      const text = `<${String.fromCharCode(code)}>`;
      expect(UNSAFE.exec(printable(text).replace('\n', '\\n'))).toBeNull();
      expect(printable(text)).not.toContain('\n');
      expect(UNSAFE.exec(printableJson({ text }))).toBeNull();
      expect(JSON.parse(printableJson({ text }))).toEqual({ text });
    }
  });
});

describe('a reader that has seen enough', () => {
  test('ends the output, with no complaint', () => {
    const script = `{ "$0" "$1" --help; echo "exit $?" >&2; } | true`;
    const options = { encoding: 'utf8' } as const;
    // The pipe's other end is gone before there is output: `true` ends at once, Node takes longer.
    const { stderr } = spawnSync('sh', ['-c', script, process.execPath, MAIN], options);
    expect(stderr).toBe('exit 0\n');
  });
});
