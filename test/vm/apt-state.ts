import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where packages come from, in the terms of sources.list(5), deb822 style. */
export interface Source {
  readonly uris: string;
  readonly suite: string;
  readonly signedBy: string | undefined;
}

const ROLLING = ['stable', 'testing', 'unstable', 'sid'];

/** The machine's own Debian archive, at another suite: it knows the host, nothing here does. */
export function debianSuite(suite: string): Source {
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const own = machineSources().find((source) => {
    return source.suite === codename || ROLLING.includes(source.suite);
  });
  if (own === undefined) {
    throw new Error(
      'apt: no source of a Debian release is configured here to take the stock kernel from; run ' +
        'this on Debian, or give a kernel: FAMFS_KERNEL=<bzImage>',
    );
  }
  return { ...own, suite };
}

/** Every source of the machine with the component "main", one for each of its suites. */
function machineSources(): Source[] {
  const folder = '/etc/apt/sources.list.d';
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))];
  return paths
    .filter((path) => existsSync(path))
    .flatMap((path) => {
      const text = readFileSync(path, 'utf8');
      return path.endsWith('.sources') ? fromStanzas(text) : fromLines(text);
    });
}

function fromStanzas(text: string): Source[] {
  const plain = text.replace(/^#.*\n/gm, '');
  return plain.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) => new RegExp(`^${name}:\\s*(.+)$`, 'mi').exec(stanza)?.[1];
    const uris = field('URIs');
    const isMain = field('Components')?.split(/\s+/).includes('main');
    if (uris === undefined || !isMain || !/\bdeb\b/.test(field('Types') ?? '')) return [];
    const suites = field('Suites')?.split(/\s+/) ?? [];
    return suites.map((suite) => ({ uris, suite, signedBy: field('Signed-By') }));
  });
}

function fromLines(text: string): Source[] {
  return text.split('\n').flatMap((line) => {
    const found = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
    const [, options, uris, suite, components] = found ?? [];
    if (uris === undefined || suite === undefined) return [];
    if (!components?.split(/\s+/).includes('main')) return [];
    return [{ uris, suite, signedBy: /signed-by=(\S+)/.exec(options ?? '')?.[1] }];
  });
}

/** apt with lists and a cache of its own: what the machine has installed or knows stays as is. */
export class AptState implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'famfs-apt-'));
  readonly #options: readonly string[];

  /** Reads the source's list of packages. */
  constructor({ uris, suite, signedBy }: Source) {
    const sources = join(this.#folder, 'vm.sources');
    const lines = ['Types: deb', `URIs: ${uris}`, `Suites: ${suite}`, 'Components: main'];
    if (signedBy !== undefined) lines.push(`Signed-By: ${signedBy}`);
    writeFileSync(sources, `${lines.join('\n')}\n`);
    for (const name of ['lists/partial', 'cache/archives/partial', 'debs']) {
      mkdirSync(join(this.#folder, name), { recursive: true });
    }
    const settings = {
      'Dir::Etc::sourcelist': sources,
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::State::lists': join(this.#folder, 'lists'),
      'Dir::Cache': join(this.#folder, 'cache'),
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
    };
    this.#options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    try {
      this.#run('apt-get', ['update', '-qq']);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Names of all packages below `name` that match, following only those. */
  dependencies(name: string, pattern: RegExp): string[] {
    const text = this.#run('apt-cache', ['show', '--no-all-versions', name]);
    const depends = /^Depends: (.*)$/m.exec(text)?.[1] ?? '';
    const names = depends.split(',').map((one) => one.trim().split(/[\s:]/)[0] ?? '');
    const matching = names.filter((one) => pattern.test(one));
    return [...new Set(matching.flatMap((one) => [one, ...this.dependencies(one, pattern)]))];
  }

  /** Paths of the archives, for as long as this state lives. */
  download(packages: readonly string[]): string[] {
    if (packages.length === 0) throw new Error('apt: found no package of a kernel');
    const folder = join(this.#folder, 'debs');
    this.#run('apt-get', ['download', '-qq', ...packages], folder);
    return readdirSync(folder).map((name) => join(folder, name));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #run(command: string, args: readonly string[], cwd = this.#folder): string {
    return execFileSync(command, [...this.#options, ...args], { cwd, encoding: 'utf8' });
  }
}
