import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { AptState, debianSuite } from './apt-state.ts';

export interface Kernel {
  /** The bzImage that QEMU boots. */
  readonly image: string;
  /** What to load, in this order, before anything else runs; none of them may be `kmem`. */
  readonly modules: readonly KernelModule[];
  /** Where it comes from, for the report. */
  readonly origin: string;
}

export interface KernelModule {
  readonly name: string;
  readonly image: Uint8Array;
}

/**
 * What the guests need of a kernel, where it is a module and not built in. `kmem` is not among
 * them: it would turn the shared memory into system memory.
 */
const WANTED = ['virtio_pci', 'virtio_console', 'fuse', 'dax_hmem', 'device_dax', 'fsdev_dax'];

/** Debian's suite with kernels that have `fsdev_dax` (Linux ≥ 7.0). */
const SUITE = 'sid';
const META_PACKAGE = 'linux-image-amd64';
const KERNEL_PACKAGE = /^linux-(?:image|binary|modules)-\d/;

/** The kernel at `FAMFS_KERNEL`, which has all it needs built in, or Debian's newest. */
export function kernelToTest(): Kernel {
  const own = process.env.FAMFS_KERNEL;
  if (own === undefined || own === '') return stockKernel();
  if (!existsSync(own)) throw new Error(`FAMFS_KERNEL: ${own} does not exist; give a bzImage`);
  return { image: own, modules: [], origin: `FAMFS_KERNEL, ${basename(own)}` };
}

/**
 * The distribution's kernel, unpacked from its packages and not installed. It is fetched once and
 * kept in the user's cache folder; remove that folder to get a newer one.
 */
function stockKernel(): Kernel {
  const folder = join(cacheFolder(), `${SUITE}-kernel`);
  if (!existsSync(folder)) fetchStockKernel(folder);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const image = files.find((file) => /(?:^|\/)vmlinuz/.test(file));
  if (image === undefined) {
    throw new Error(`${folder}: holds no vmlinuz; remove the folder, it is fetched again then`);
  }
  const modules = new Map(
    files.flatMap((file) => {
      const name = /([^/]+)\.ko(?:\.xz|\.zst|\.gz)?$/.exec(file)?.[1];
      return name === undefined ? [] : [[name.replaceAll('-', '_'), join(folder, file)] as const];
    }),
  );
  return {
    image: join(folder, image),
    modules: loadOrder(modules),
    origin: `Debian ${SUITE}, ${/lib\/modules\/([^/\n]+)/.exec(files.join('\n'))?.[1]}`,
  };
}

function cacheFolder(): string {
  const { XDG_CACHE_HOME: given } = process.env;
  const base = given || (process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache'));
  return join(base, 'famfs-csi-vm');
}

function fetchStockKernel(folder: string): void {
  const making = `${folder}.new-${process.pid}`;
  process.stderr.write(`fetching the packages of ${META_PACKAGE} of Debian ${SUITE}\n`);
  mkdirSync(making, { recursive: true });
  try {
    using apt = new AptState(debianSuite(SUITE));
    for (const archive of apt.download(apt.dependencies(META_PACKAGE, KERNEL_PACKAGE))) {
      execFileSync('dpkg-deb', ['-x', archive, making]);
    }
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Modules by name → those that are wanted, each after the ones that it depends on. */
function loadOrder(paths: ReadonlyMap<string, string>): KernelModule[] {
  const loaded = new Map<string, KernelModule>();
  const load = (name: string) => {
    const path = paths.get(name);
    // Not there: built in. What it is for is looked at in the guest.
    if (path === undefined || loaded.has(name)) return;
    const image = decompress(path);
    for (const other of dependenciesOf(image)) load(other);
    loaded.set(name, { name, image });
  };
  for (const name of WANTED) load(name);
  return [...loaded.values()];
}

function decompress(path: string): Uint8Array {
  const options = { maxBuffer: 256 * 1024 * 1024 };
  if (path.endsWith('.xz')) return execFileSync('xz', ['-dc', path], options);
  if (path.endsWith('.zst')) return execFileSync('zstd', ['-dc', path], options);
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** A module's `.modinfo` section says `depends=one,two` among other texts. */
function dependenciesOf(image: Uint8Array): string[] {
  const text = Buffer.from(image).toString('latin1');
  const names = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  return names.split(',').flatMap((name) => (name === '' ? [] : [name.replaceAll('-', '_')]));
}
