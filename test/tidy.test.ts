import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/**
 * The arrows of docs/ARCHITECTURE.md: what each layer of src/ may import. A layer may always import
 * itself; `main.ts` wires everything and may import anything.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  format: ['base'],
  native: ['base'],
  fuse: ['base', 'native'],
  pool: ['base', 'format', 'native'],
  fs: ['base', 'format', 'native', 'fuse', 'pool'],
  csi: ['base'],
  kubernetes: ['base'],
  observe: ['base'],
  controller: ['base', 'format', 'pool', 'csi', 'kubernetes', 'observe'],
  mounter: ['base', 'native', 'fuse', 'pool', 'fs'],
  node: ['base', 'native', 'csi', 'mounter/client.ts', 'kubernetes', 'observe'],
  cli: [
    'base',
    'format',
    'native',
    'fuse',
    'pool',
    'fs',
    'csi',
    'kubernetes',
    'observe',
    'controller',
    'mounter',
    'node',
  ],
};

/** Packages that only one place may import, so that only it has to change with them. */
const ONLY_IN: Readonly<Record<string, string>> = {
  '@kubernetes/client-node': 'kubernetes/kube-config.ts',
  'prom-client': 'observe/metrics.ts',
};

/** Layers that hold facts only: no file, socket, process, log or clock of the outside world. */
const PURE_LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  format: ['node:zlib', 'node:crypto'],
};

const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
const MAX_COLUMNS = 100;

const root = join(__dirname, '..');
const src = join(root, 'src');

function filesUnder(folder: string, endings: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((end) => entry.name.endsWith(end)))
    .map((entry) => join(entry.parentPath, entry.name));
}

const sources = filesUnder(src, ['.ts']).filter((path) => !path.includes('/generated/'));
const tests = filesUnder(join(root, 'test'), ['.ts']);
const nativeSources = filesUnder(join(root, 'native'), ['.c', '.h']);

function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/(?:from|import\(|import)\s*['"]([^'"]+)['"]/g)].map((m) => m[1] ?? '');
}

function layerOf(path: string): string {
  return relative(src, path).split('/')[0] ?? '';
}

/** Start line and length of every function-like block, found by its indentation (Biome formats). */
function functionBlocks(text: string): { line: number; lines: number; head: string }[] {
  const blocks: { line: number; lines: number; head: string }[] = [];
  const open: { indent: number; line: number; head: string }[] = [];
  const starts = [
    /^\s*(?:export )?(?:default )?(?:async )?function/,
    /^\s*(?:(?:static|async|override|get|set|private|public) )*[#\w[\].]+(?:<[^>]*>)?\(.*\{$/,
    /^\s*(?:export )?const \w+ = (?:async )?\(?/,
  ];
  text.split('\n').forEach((line, at) => {
    const indent = line.length - line.trimStart().length;
    const top = open.at(-1);
    if (top && line.trim() !== '' && indent === top.indent && /^\s*\}/.test(line)) {
      open.pop();
      blocks.push({ line: top.line, lines: at + 2 - top.line, head: top.head });
    }
    const isControl = /^\s*(?:if|for|while|switch|catch|do|else|return|describe)\b/.test(line);
    if (!isControl && starts.some((start) => start.test(line)) && line.trimEnd().endsWith('{')) {
      open.push({ indent, line: at + 1, head: line.trim() });
    }
  });
  return blocks;
}

describe('tidy', () => {
  test('finds the layers that it guards', () => {
    const layers = new Set(sources.map(layerOf).filter((layer) => layer !== 'main.ts'));
    expect([...layers].filter((layer) => !(layer in MAY_IMPORT))).toEqual([]);
    expect(sources.length).toBeGreaterThan(20);
  });

  test('lets every import point down', () => {
    const wrong: string[] = [];
    for (const path of sources) {
      const layer = layerOf(path);
      const allowed = MAY_IMPORT[layer];
      if (!allowed) continue;
      for (const name of importsOf(path).filter((name) => name.startsWith('.'))) {
        const target = relative(src, normalize(join(dirname(path), name)));
        const fine = [layer, ...allowed].some(
          (ok) => target === ok || (!ok.endsWith('.ts') && target.startsWith(`${ok}/`)),
        );
        if (!fine) wrong.push(`${relative(root, path)} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('keeps the pure layers away from the outside world', () => {
    const wrong: string[] = [];
    for (const path of sources) {
      const allowed = PURE_LAYERS[layerOf(path)];
      if (!allowed) continue;
      for (const name of importsOf(path)) {
        if (!name.startsWith('.') && !allowed.includes(name)) {
          wrong.push(`${relative(root, path)} imports ${name}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('keeps single-owner packages with their owner', () => {
    const wrong = sources.flatMap((path) =>
      importsOf(path)
        .filter((name) => name in ONLY_IN && relative(src, path) !== ONLY_IN[name])
        .map((name) => `${relative(root, path)} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('maps faults to gRPC status in one file only', () => {
    const users = sources.filter((path) => /Record<FaultCode, [\w.]*[sS]tatus>/.test(read(path)));
    expect(users.map((path) => relative(src, path))).toEqual(['csi/status.ts']);
  });

  test('keeps files, functions and lines short', () => {
    const long: string[] = [];
    for (const path of [...sources, ...tests, ...nativeSources]) {
      const lines = read(path).split('\n');
      const name = relative(root, path);
      if (lines.length - 1 > MAX_FILE_LINES) long.push(`${name}: ${lines.length - 1} lines`);
      lines.forEach((line, at) => {
        if (line.length > MAX_COLUMNS) long.push(`${name}:${at + 1}: ${line.length} columns`);
      });
    }
    for (const path of sources) {
      for (const block of functionBlocks(read(path))) {
        if (block.lines > MAX_FUNCTION_LINES && !block.head.includes('class ')) {
          long.push(`${relative(root, path)}:${block.line}: ${block.lines} lines: ${block.head}`);
        }
      }
    }
    expect(long).toEqual([]);
  });

  test('recognises a function that is too long', () => {
    const body = Array.from({ length: 80 }, () => '    x();').join('\n');
    const blocks = functionBlocks(
      `class A {\n  async run(a: number): Promise<void> {\n${body}\n  }\n}`,
    );
    expect(blocks).toEqual([{ line: 2, lines: 82, head: 'async run(a: number): Promise<void> {' }]);
  });
});

function read(path: string): string {
  return readFileSync(path, 'utf8');
}
