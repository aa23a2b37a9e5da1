import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CpioWriter } from './cpio.ts';
import type { Kernel } from './kernel.ts';

const repository = join(__dirname, '..', '..');
const BUSYBOX = '/bin/busybox';
/** What Node loads at run time; types, maps and texts would only make the archive larger. */
const RUNTIME_FILE = /\.(?:[cm]?js|json|node|proto)$/;

/**
 * Writes what a guest runs on: busybox, this machine's Node with its libraries, the kernel's
 * modules, and the product as `npm run build` made it with its dependencies, below /app. It is
 * made anew for every run, in a few seconds, so it cannot be out of date. `extra`: more files, by
 * their path in the guest.
 */
export function writeRootFileSystem(
  path: string,
  kernel: Kernel,
  extra: ReadonlyMap<string, Uint8Array>,
): void {
  using archive = new CpioWriter(path);
  const copy = (from: string, to: string) => {
    archive.file(to, readFileSync(from), statSync(from).mode & 0o777);
  };
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'var/lib']) archive.folder(name);
  copy(BUSYBOX, 'bin/busybox');
  copy(process.execPath, 'bin/node');
  const libraries = new Set([BUSYBOX, process.execPath].flatMap(librariesOf));
  for (const library of libraries) copy(library, library.slice(1));
  for (const [at, module] of kernel.modules.entries()) {
    archive.file(`modules/${String(at).padStart(2, '0')}-${module.name}.ko`, module.image);
  }
  archive.file('init', readFileSync(join(__dirname, 'guest', 'init.sh')), 0o755);
  for (const file of filesBelow(join(__dirname, 'guest'), /\.mjs$/)) {
    copy(file, `app/vm/${relative(join(__dirname, 'guest'), file)}`);
  }
  copy(join(repository, 'package.json'), 'app/package.json');
  copy(join(repository, 'csi', 'csi.proto'), 'app/csi/csi.proto');
  copy(join(repository, 'native', 'build', 'famfs.node'), 'app/native/build/famfs.node');
  for (const folder of [join(repository, 'dist'), ...dependencies()]) {
    for (const file of filesBelow(folder, RUNTIME_FILE)) {
      copy(file, join('app', relative(repository, file)));
    }
  }
  for (const [at, bytes] of extra) archive.file(at.slice(1), bytes);
}

/** Paths of the shared objects that the dynamic linker would load: none for a static program. */
function librariesOf(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

/** Folders of the packages that the product needs when it runs, as the lock file has them. */
function dependencies(): string[] {
  const args = ['ls', '--omit=dev', '--all', '--parseable'];
  const text = execFileSync('npm', args, { cwd: repository, encoding: 'utf8' });
  return text.split('\n').filter((path) => path.includes('/node_modules/'));
}

/** Files below a folder, without those of packages nested in it, which are listed themselves. */
function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(path, pattern);
    return entry.isFile() && pattern.test(entry.name) ? [path] : [];
  });
}
