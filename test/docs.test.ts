import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { codeSpans, Markdown, markdownFiles } from './support/markdown.ts';
import { helpOf, rerunConsoleBlocks } from './support/transcript-blocks.ts';

const root = join(__dirname, '..');
const MAIN = join(root, 'dist', 'main.js');
const RERUN_MS = 180_000;

const at = (...names: string[]) => join(root, ...names);
const read = (...names: string[]) => readFileSync(at(...names), 'utf8');
const doc = (...names: string[]) => Markdown.read(at(...names));

const sorted = (values: Iterable<string>) => [...new Set(values)].sort();

/** Everything that src/format says in capitals: fault codes, and codes of problems. */
function codesOfFormat(): string[] {
  const sources = readdirSync(at('src', 'format')).map((name) => read('src', 'format', name));
  return sorted(
    sources.flatMap((text) => [...text.matchAll(/'([A-Z][A-Z_]{2,})'/g)].map((m) => m[1] ?? '')),
  );
}

function faultCodes(): string[] {
  const [, union = ''] = /type FaultCode =\n([\s\S]*?)\n\n/.exec(read('src/base/errors.ts')) ?? [];
  return [...union.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map((m) => m[1] ?? '');
}

/** `layout('name', size, { field: [offset, size], … })` in src/format, by name. */
function layoutsOfFormat(): Map<string, { size: number; fields: string[][] }> {
  const layouts = new Map<string, { size: number; fields: string[][] }>();
  for (const file of readdirSync(at('src', 'format'))) {
    const text = read('src', 'format', file);
    for (const [, name, size, body] of text.matchAll(/layout\('([^']+)', (\d+), \{([^}]*)\}/g)) {
      const fields = [...(body ?? '').matchAll(/(\w+): \[(\d+), (\d+)\]/g)];
      layouts.set(name ?? '', {
        size: Number(size),
        fields: fields.map(([, field, offset, bytes]) => [offset ?? '', bytes ?? '', field ?? '']),
      });
    }
  }
  return layouts;
}

function commandsOfHelp(): string[] {
  const [, list = ''] = /\nCommands:\n([\s\S]*?)\n\n/.exec(helpOf(MAIN)) ?? [];
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].map((m) => m[1] ?? '');
}

function optionsOfHelp(command: string): string[] {
  const [, list = ''] = /\nOptions:\n([\s\S]*?)(?:\n\n|$)/.exec(helpOf(MAIN, [command])) ?? [];
  return [...list.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map((m) => m[1] ?? '');
}

describe('the documents', () => {
  const files = markdownFiles(root);

  test('are found', () => {
    const names = files.map((path) => relative(root, path));
    for (const name of ['README.md', 'CHANGELOG.md', 'docs/ARCHITECTURE.md', 'bench/README.md']) {
      expect(names).toContain(name);
    }
  });

  test('link to files and headings that exist', () => {
    const broken: string[] = [];
    for (const path of files) {
      const links = Markdown.read(path)
        .links()
        .filter((target) => !/^[a-z]+:/.test(target));
      for (const link of links) {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : resolve(dirname(path), file);
        const exists = existsSync(target);
        const found =
          exists && (anchor === undefined || Markdown.read(target).anchors().includes(anchor));
        if (!found) broken.push(`${relative(root, path)}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });

  test('name npm scripts that package.json has', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = files.flatMap((path) => [
      ...Markdown.read(path).text.matchAll(/\bnpm (?:run (?:--silent )?)?([a-z0-9:]+)/g),
    ]);
    const own = named
      .filter(([all, name]) => all.includes(' run ') || name === 'test')
      .map(([, name]) => name ?? '');
    expect(sorted(own)).toEqual(expect.arrayContaining(['bench:peer', 'build', 'demo', 'test']));
    expect(sorted(own).filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe('README.md', () => {
  test('names every command of the program, and no other', () => {
    const named = doc('README.md')
      .section('Commands')
      .table()
      .flatMap(([first = '']) => codeSpans(first).map((code) => code.split(' ')[0] ?? ''));
    expect(sorted(named)).toEqual(sorted(commandsOfHelp()));
  });

  test('is under 150 lines', () => {
    expect(read('README.md').split('\n').length).toBeLessThan(150);
  });
});

describe('docs/cli.md', () => {
  const cli = doc('docs', 'cli.md');
  const sections = cli.headings().filter((title) => /^[a-z]+$/.test(title));

  test('has a section and a line for every command of the program, and for no other', () => {
    const lines = cli.table().flatMap(([first = '']) => codeSpans(first));
    expect(sorted(sections)).toEqual(sorted(commandsOfHelp()));
    expect(sorted(lines)).toEqual(sorted(commandsOfHelp()));
  });

  test.each(sections.filter((name) => name !== 'help'))('has the options of %s', (command) => {
    const documented = cli
      .section(command)
      .table()
      .flatMap(([first = '']) => codeSpans(first).filter((code) => code.startsWith('--')));
    const offered = optionsOfHelp(command).filter((option) => option !== '--help');
    expect(sorted(documented)).toEqual(sorted(offered));
  });

  test('describes every field of the JSON that check prints', () => {
    const [, source = ''] =
      /interface CheckReport \{([\s\S]*?)\n\}/.exec(read('src', 'format', 'check.ts')) ?? [];
    const [, log = ''] = /log: \{([^}]*)\}/.exec(source) ?? [];
    const names = (text: string) =>
      [...text.matchAll(/readonly (\w+)[:?]/g)].map((m) => m[1] ?? '');
    const inLog = names(log);
    const top = names(source).filter((name) => name !== 'log' && !inLog.includes(name));
    const section = cli.section('check').text;
    const table = new Markdown(section.slice(section.indexOf('| field |'))).table();
    const documented = table.flatMap(([first = '']) => codeSpans(first));
    expect(sorted(documented)).toEqual(sorted([...top, ...inLog.map((name) => `log.${name}`)]));
  });

  test(
    'shows what the commands print',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'famfs-docs-'));
      try {
        const now = rerunConsoleBlocks(cli.text, folder, MAIN);
        if (process.env.UPDATE_DOCS === '1') writeFileSync(at('docs', 'cli.md'), now);
        else expect(cli.text).toBe(now);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    RERUN_MS,
  );
});

describe('docs/format.md', () => {
  const format = doc('docs', 'format.md');

  test('has the layouts of the code, field by field', () => {
    const documented = new Map(
      [...format.text.matchAll(/^Layout `([^`]+)`, (\d+) bytes/gm)].map((match) => {
        const table = new Markdown(format.text.slice(match.index)).table();
        const fields = table.map(([offset = '', bytes = '', name = '']) => [
          offset,
          bytes,
          codeSpans(name)[0] ?? '',
        ]);
        return [match[1] ?? '', { size: Number(match[2]), fields }] as const;
      }),
    );
    expect(documented.size).toBeGreaterThan(5);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(layoutsOfFormat()));
  });

  test('has the problem codes of the code, and no other', () => {
    const documented = format
      .section('Problem codes')
      .table()
      .flatMap(([first = '']) => codeSpans(first));
    const faults = faultCodes();
    expect(sorted(documented)).toEqual(codesOfFormat().filter((code) => !faults.includes(code)));
  });

  test('has the fault codes with which a pool is refused', () => {
    const documented = format
      .section('Codes of a pool that cannot be used')
      .table()
      .flatMap(([first = '']) => codeSpans(first));
    const opening = ['format/superblock.ts', 'format/log-header.ts', 'pool/log-follower.ts'];
    const thrown = opening.flatMap((path) => [
      ...read('src', path).matchAll(/new Fault\(\s*'([A-Z_]+)'/g),
    ]);
    expect(sorted(documented)).toEqual(
      expect.arrayContaining(sorted(thrown.map((match) => match[1] ?? ''))),
    );
    expect(documented.filter((code) => !faultCodes().includes(code))).toEqual([]);
  });
});

describe('docs/ARCHITECTURE.md', () => {
  test('has the arrows that the tidy test holds', () => {
    const [, held = ''] = /MAY_IMPORT[^{]*\{([^}]*)\}/.exec(read('test', 'tidy.test.ts')) ?? [];
    const arrows = [...held.matchAll(/^ {2}(\w+): \[([^\]]*)\]/gm)].map(([, layer, names]) => [
      layer,
      [...(names ?? '').matchAll(/'([^']+)'/g)].map((match) => match[1]),
    ]);
    const table = doc('docs', 'ARCHITECTURE.md').section('Layers').table();
    const documented = table.map(([layer = '', names = '']) => [
      codeSpans(layer)[0],
      codeSpans(names),
    ]);
    expect(documented.length).toBeGreaterThan(5);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(arrows));
  });
});

describe('docs/decisions', () => {
  const names = readdirSync(at('docs', 'decisions')).sort();

  test('are numbered without a gap, each under its own number', () => {
    const expected = names.map((_, index) => String(index + 1).padStart(4, '0'));
    expect(names.map((name) => name.slice(0, 4))).toEqual(expected);
    const titles = names.map((name) => doc('docs', 'decisions', name).headings()[0] ?? '');
    expect(titles.map((title) => Number.parseInt(title, 10))).toEqual(expected.map(Number));
  });

  test.each(names)('%s says question, choice, why, and what was measured', (name) => {
    const parts = [...read('docs', 'decisions', name).matchAll(/^\*\*(\w+)\.\*\*/gm)];
    expect(parts.map((part) => part[1])).toEqual(['Question', 'Choice', 'Why', 'Measured']);
  });
});
