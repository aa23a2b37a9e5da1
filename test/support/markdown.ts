import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folders that hold nothing of ours, or what was built. */
const FOREIGN = new Set(['node_modules', '.git', 'dist', 'build', 'bin', 'coverage']);

/** Every Markdown file below a folder, but for those of others and of builds. */
export function markdownFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return FOREIGN.has(entry.name) ? [] : markdownFiles(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** Markdown read line by line: just what the documents of this project use. */
export class Markdown {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  static read(path: string): Markdown {
    return new Markdown(readFileSync(path, 'utf8'));
  }

  /** The text without fenced blocks and code spans, where nothing is a link or a heading. */
  get prose(): string {
    return this.text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, (span) => {
      return '·'.repeat(span.length);
    });
  }

  /** Targets of links, as they are written. */
  links(): string[] {
    return [...this.prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target ?? '');
  }

  headings(): string[] {
    const outside = this.text.replace(/^```[\s\S]*?^```$/gm, '');
    return [...outside.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title ?? '');
  }

  /** The anchors that links may name: headings as GitHub turns them into ids. */
  anchors(): string[] {
    return this.headings().map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    );
  }

  /** From a heading to the next one of the same level or above, the heading left out. */
  section(title: string): Markdown {
    const lines = this.text.split('\n');
    const start = lines.findIndex(
      (line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === title,
    );
    if (start < 0) throw new Error(`no heading "${title}"`);
    const level = /^#+/.exec(lines[start] ?? '')?.[0].length ?? 0;
    const rest = lines.slice(start + 1);
    const end = rest.findIndex((line) => {
      const found = /^(#+) /.exec(line)?.[1]?.length;
      return found !== undefined && found <= level;
    });
    return new Markdown(rest.slice(0, end < 0 ? rest.length : end).join('\n'));
  }

  /** Cells of the first table, its head and rule left out; empty where there is none. */
  table(): string[][] {
    const lines = this.text.split('\n');
    const start = lines.findIndex((line) => /^\|[-| ]+\|$/.test(line));
    if (start < 0) return [];
    const rest = lines.slice(start + 1);
    const end = rest.findIndex((line) => !line.startsWith('|'));
    return rest.slice(0, end < 0 ? rest.length : end).map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
  }
}

/** Code spans of a cell or a line: `--mode`, `a`. */
export function codeSpans(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}
