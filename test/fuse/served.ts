import { Responder } from '../../src/fuse/responder.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { flatten } from './messages.ts';

export const FILE_INO = 0x100_0000_0010;
export const OTHER_INO = 3;

/** A Responder over a root with `hello` (5000 bytes) and `größe`, and what its hooks were told. */
export function served() {
  const file = { nlink: 1, uid: 1000, gid: 100, timeSeconds: 1_700_000_000, mode: 0o100644 };
  const fs = new MemoryFileSystem({
    root: { ...file, ino: 1, sizeBytes: 4096, mode: 0o040755 },
    files: [
      { name: 'hello', attr: { ...file, ino: FILE_INO, sizeBytes: 5000 } },
      { name: 'größe', attr: { ...file, ino: OTHER_INO, sizeBytes: 0 } },
    ],
    validSeconds: [1.5, 3600],
  });
  const problems: string[] = [];
  const failures: { operation: string; error: unknown }[] = [];
  const responder = new Responder(fs, {
    malformed: (problem) => problems.push(problem),
    failed: (operation, error) => failures.push({ operation, error }),
  });
  const answer = (request: Uint8Array) => flatten(responder.answer(request));
  return { fs, responder, answer, problems, failures };
}
