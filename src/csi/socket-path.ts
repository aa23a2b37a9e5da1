import { lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { codeOf, Fault } from '../base/errors.ts';

/** sizeof(sun_path) of Linux less its NUL; what is longer would be cut off silently. */
const MAX_BYTES = 107;

/**
 * Makes the path free for a unix socket: removes a socket that a dead process left behind. EXISTS
 * when a process listens there or the path is no socket, INVALID when it is not absolute or too
 * long.
 */
export async function claimSocketPath(socketPath: string): Promise<void> {
  const bytes = Buffer.byteLength(socketPath);
  if (!socketPath.startsWith('/') || bytes > MAX_BYTES) {
    throw new Fault(
      'INVALID',
      `socket ${socketPath}: found ${bytes} bytes, expected an absolute path of at most ` +
        `${MAX_BYTES} bytes`,
    );
  }
  const stat = lstatSync(socketPath, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new Fault('EXISTS', `socket ${socketPath}: exists and is no socket; give another path`);
  }
  if (await someoneListens(socketPath)) {
    throw new Fault(
      'EXISTS',
      `socket ${socketPath}: another process listens on it; stop that one or give another path`,
    );
  }
  rmSync(socketPath, { force: true });
}

function someoneListens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Refused: nobody. Anything else (full backlog, no permission) is no proof that it is dead.
    probe.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'));
  });
}
