import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { codeOf, Fault } from '../base/errors.ts';

/** Tells the process in the namespace who has put it there. */
const MARK = 'FAMFS_CSI_NAMESPACE_OF';
const UNSHARE = ['--user', '--map-root-user', '--mount', '--propagation', 'private'];

/**
 * For an ordinary user: runs `node ARGS…` again as root of a new user and mount namespace, where a
 * FUSE mount is allowed, and resolves with its exit code. Undefined for root: go on. PERMISSION,
 * saying what to change, where the system forbids it.
 */
export async function reexecUnprivileged(args: readonly string[]): Promise<number | undefined> {
  if (process.getuid?.() === 0) return undefined;
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
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new Fault(
      'PERMISSION',
      `/dev/fuse: an ordinary user cannot open it here (${codeOf(error)}); run as root, or ` +
        'have the administrator load the module and allow it: modprobe fuse; chmod 666 /dev/fuse',
    );
  }
}

function checkNamespaces(): void {
  const probe = spawnSync('unshare', [...UNSHARE, 'true'], { encoding: 'utf8' });
  if (probe.status === 0) return;
  const reason = probe.error ? `unshare: ${codeOf(probe.error)}` : probe.stderr.trim();
  throw new Fault(
    'PERMISSION',
    `user namespaces: this system does not give them to ordinary users (${reason}); run as ` +
      'root, or have the administrator set user.max_user_namespaces above 0 and ' +
      'kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns to allow',
  );
}
