import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { codeOf, Fault, isFault } from '../base/errors.ts';
import { FuseDevice } from '../native/fuse-device.ts';

/** Tells the process in the namespace who has put it there. */
const MARK = 'FAMFS_CSI_NAMESPACE_OF';
const UNSHARE = ['--user', '--map-root-user', '--mount', '--propagation', 'private'];
const CAP_SYS_ADMIN = 1n << 21n;

/**
 * For a user who may not mount, ordinary or root of a container without the right: runs `node
 * ARGS…` again as root of a new user and mount namespace, where a FUSE mount is allowed, and
 * resolves with its exit code. Undefined for who may mount: go on. PERMISSION, saying what to
 * change, where the system forbids it.
 */
export async function reexecUnprivileged(args: readonly string[]): Promise<number | undefined> {
  if (mayMount()) return undefined;
  checkFuseDevice();
  checkNamespaces();
  const child = spawn('unshare', [...UNSHARE, process.execPath, ...args], {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: String(process.pid) },
  });
  // This process waits for the child to clean up. Ctrl-C may reach the child twice: no harm.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function mayMount(): boolean {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return process.getuid?.() === 0 && (effective & CAP_SYS_ADMIN) !== 0n;
}

/**
 * What goes before a command of another terminal so that it sees the mounts of this process: empty
 * unless `reexecUnprivileged` has given this process a namespace of its own.
 */
export function enterNamespace(): string[] {
  if (process.env[MARK] !== String(process.ppid)) return [];
  return ['nsenter', '--preserve-credentials', '--user', '--mount', `--target=${process.pid}`];
}

function checkFuseDevice(): void {
  try {
    FuseDevice.open()[Symbol.dispose]();
  } catch (error) {
    if (!isFault(error)) throw error;
    throw new Fault(
      'PERMISSION',
      `${error.message}; the administrator does that with: modprobe fuse; chmod 666 /dev/fuse`,
      { cause: error },
    );
  }
}

function checkNamespaces(): void {
  const probe = spawnSync('unshare', [...UNSHARE, 'true'], { encoding: 'utf8' });
  if (probe.status === 0) return;
  if (probe.error !== undefined) {
    throw new Fault(
      'PERMISSION',
      `unshare: cannot be run (${codeOf(probe.error)}), and this user may not mount without it; ` +
        'install util-linux, or run as root',
    );
  }
  throw new Fault(
    'PERMISSION',
    `user namespaces: this system does not give them to this user (${probe.stderr.trim()}); run ` +
      'as root, or have the administrator set user.max_user_namespaces above 0 and ' +
      'kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns to allow',
  );
}
