import { beforeAll, describe, expect, test } from '@jest/globals';
import { famfs } from '../support/command-line.ts';

const TOOLS = ['mkfs', 'info', 'ls', 'mkdir', 'create', 'rm', 'check', 'map', 'repair'];
const OTHERS = ['demo', 'controller', 'node', 'mounter'];

/** `  name <x>   what it is`, its continuation lines joined, of one section of a help text. */
function section(help: string, title: string): [string, string][] {
  const body = new RegExp(`^${title}:\\n((?: .*\\n)+)`, 'm').exec(`${help}\n`)?.[1] ?? '';
  const joined = body.replace(/\n {8,}/g, ' ').trimEnd();
  return joined.split('\n').flatMap((line) => {
    const [, term, text] = /^ {2}(\S.*?)(?: {2,}(.*))?$/.exec(line) ?? [];
    return term === undefined ? [] : [[term, text ?? ''] as [string, string]];
  });
}

describe('famfs-csi --help', () => {
  let help: string;

  beforeAll(() => {
    const ran = famfs(['--help']);
    expect({ ...ran, stdout: '' }).toEqual({ status: 0, stdout: '', stderr: '' });
    help = ran.stdout;
  });

  test('lists every command with what it does, and hides those for the product itself', () => {
    const commands = section(help, 'Commands').map(([term, text]) => [term.split(' ')[0], text]);
    expect(commands.map(([name]) => name)).toEqual(
      expect.arrayContaining([...TOOLS, ...OTHERS, 'help']),
    );
    expect(commands.filter(([, text]) => (text ?? '').length < 15)).toEqual([]);
    expect(help).not.toMatch(/serve|pod-/);
  });

  test('tells the exit codes', () => {
    expect(help).toContain('0 fine; 1 refused, or problems found; 2 unusable or wrong use');
  });
});

describe.each([...TOOLS, ...OTHERS])('famfs-csi %s --help', (name) => {
  let help: string;

  beforeAll(() => {
    const ran = famfs([name, '--help']);
    expect({ ...ran, stdout: '' }).toEqual({ status: 0, stdout: '', stderr: '' });
    help = ran.stdout;
  });

  test('says how it is used and what it does', () => {
    expect(help).toMatch(new RegExp(`^Usage: famfs-csi ${name} .*\n\n\\w.{15,}\n`));
  });

  test('describes every argument of its usage, and every option', () => {
    const usage = /^Usage: (.*)$/m.exec(help)?.[1] ?? '';
    const wanted = [...usage.matchAll(/[<[](\w+)\.{0,3}[>\]]/g)].map(([, argument]) => argument);
    const found = section(help, 'Arguments');
    const names = wanted.filter((argument) => argument !== 'options');
    expect(found.map(([term]) => term)).toEqual(names);
    const options = section(help, 'Options');
    expect(options.length).toBeGreaterThan(0);
    const bare = [...found, ...options].filter(([, text]) => text.length < 5);
    expect(bare).toEqual([]);
  });

  test('names a default once, as a user would write it', () => {
    for (const [term, text] of section(help, 'Options')) {
      expect({ term, more: text.split('default:').length > 2 }).toEqual({ term, more: false });
      // A size in bytes, or a mode in decimal, is nothing that a user writes.
      expect(text).not.toMatch(/default: [1-9]\d{2,}\)|default: \[/);
    }
  });

  test('gives examples that the command takes', () => {
    const lines = [...help.matchAll(/^ {2}famfs-csi (\S+) (.*)$/gm)];
    if (TOOLS.includes(name)) expect(lines.length).toBeGreaterThan(0);
    const options = section(help, 'Options').map(([term]) => term);
    const positional = section(help, 'Arguments').length;
    for (const [line, command, rest] of lines) {
      expect(command).toBe(name);
      let words = (rest ?? '').split(' ');
      for (const flag of words.filter((word) => word.startsWith('-'))) {
        const known = options.find((term) => term.split(/,? /).includes(flag));
        expect({ line, known }).toEqual({ line, known: expect.any(String) });
        const at = words.indexOf(flag);
        words = words.toSpliced(at, known?.includes('<') ? 2 : 1);
      }
      expect(words.length).toBeGreaterThan(0);
      expect(words.length).toBeLessThanOrEqual(positional);
    }
  });
});

describe('wrong use', () => {
  test('of famfs-csi without a command shows the help, on standard error, with exit code 2', () => {
    const { status, stdout, stderr } = famfs([]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Usage: famfs-csi [options] [command]');
  });

  const DEVICE = '/nowhere/device';
  test.each<[string[], string]>([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['chekc', DEVICE], "unknown command 'chekc'"],
    [['check'], "missing required argument 'device'"],
    [['check', DEVICE, 'more'], "too many arguments for 'check'. Expected 1 argument but got 2."],
    [['check', DEVICE, '--jsno'], "unknown option '--jsno'"],
    [['create', DEVICE, 'f'], "required option '--size <size>' not specified"],
    [['create', DEVICE, 'f', '--size'], "option '--size <size>' argument missing"],
    [['create', DEVICE, 'f', '--size', '12Q'], 'found "12Q", expected a size such as 4096, 8M or'],
    [['create', DEVICE, 'f', '--size', '-1'], 'found "-1", expected a size'],
    [['create', DEVICE, 'f', '--size', '9000000T'], 'found "9000000T", expected a size'],
    [['create', DEVICE, 'f', '--size', '0'], '--size: found 0, expected at least 1 byte'],
    [['create', DEVICE, 'f', '--size', '1M', '--strips', '17'], 'found "17", expected 0 to 16'],
    [['create', DEVICE, 'f', '--size', '1M', '--mode', '0999'], 'found "0999", expected octal'],
    [['create', DEVICE, 'f', '--size', '1M', '--uid', 'root'], 'found "root", expected 0 to'],
    [['mkfs', DEVICE, '--fs-uuid', 'no-uuid'], 'found "no-uuid", expected'],
    [['mkfs', DEVICE], `${DEVICE}: no such device; give --size to make a file`],
    [['mkfs', '/dev/dax9.9', '--size', '1G'], '/dev/dax9.9: no such device; give --size'],
    [['info', DEVICE], `${DEVICE}: no such device or file`],
    [['mkdir', DEVICE, 'd'], `${DEVICE}: no such device or file`],
    [['mkdir', DEVICE, 'd', '--system-uuid', '1'], 'found "1", expected'],
    [['demo', '--nodes', '0'], 'found "0", expected 1 to 16'],
    [['demo', '--data', '/nowhere'], '--data: /nowhere is not a file with data'],
    [['node', '--node-id', 'a', '--mounter', 'rel', '--endpoint', '/e'], 'found "rel", expected'],
    [
      ['mounter', '--socket', '/s', '--pool', 'a=/b', '--log-level', 'loud'],
      '--log-level: found "loud", expected one of trace, debug',
    ],
    [
      ['controller', '--endpoint', '/s', '--state-dir', '/d', '--pool', 'nodevice'],
      'found "nodevice", expected NAME=DEVICE',
    ],
  ])('%j says what, on standard error, with exit code 2', (args, message) => {
    const { status, stdout, stderr } = famfs(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^famfs-csi: /);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/ {4}at /); // a stack trace is for bugs
  });
});
