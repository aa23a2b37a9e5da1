import { PATH_MAX_BYTES } from './log-entry.ts';

/** The pool's own directory on a mount; no entry may take its name. */
const RESERVED_NAME = '.meta';

/**
 * Names of letters, digits and `_-.`, none with a dot first: the paths that there are. One look
 * says that they are right; the questions one by one took an eighth of a replay's time.
 */
const PLAIN_PATH = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/;

/** What is wrong with a path as a log's, or undefined. Paths are relative to the pool's root. */
export function pathProblem(path: string): string | undefined {
  if (path.length <= PATH_MAX_BYTES && PLAIN_PATH.test(path)) return undefined;
  const length = Buffer.byteLength(path);
  if (length === 0 || length > PATH_MAX_BYTES) {
    return `has ${length} bytes, expected 1 to ${PATH_MAX_BYTES}`;
  }
  if (path.includes('\0')) return 'holds a NUL';
  if (path.startsWith('/')) return 'is absolute, expected one relative to the pool';
  if (path === RESERVED_NAME || path.startsWith(`${RESERVED_NAME}/`)) {
    return `${RESERVED_NAME} is reserved for the pool's own files`;
  }
  for (const name of path.split('/')) {
    if (name === '') return 'has an empty component';
    if (name === '.' || name === '..') return `has the component "${name}"`;
  }
  return undefined;
}
