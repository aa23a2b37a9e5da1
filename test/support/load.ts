import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Reads and stats the file as fast as it can, dropping the page cache so that every read is a
 * request, and counts. The first error ends it with that error; an order on stdin ends it well.
 */
const LOAD = `
import os, select, sys
path = sys.argv[1]
rounds = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    fd = os.open(path, os.O_RDONLY)
    at = (rounds * 1048576) % int(sys.argv[2])
    if len(os.pread(fd, 131072, at)) != 131072: raise SystemExit('short read')
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    os.stat(path)
    try:
        os.stat(path + '.none')
        raise SystemExit('a file that is not there')
    except FileNotFoundError:
        pass
    rounds += 1
    if rounds % 50 == 0: print(rounds, flush=True)
print('fine after', rounds, flush=True)
`;

export interface Load {
  /** Rounds done so far. */
  rounds(): number;
  /** Ends the load; resolves with its last line or its error. */
  finish(): Promise<string>;
}

export function startLoad(file: string, sizeBytes: number): Load {
  const child = spawn('python3', ['-c', LOAD, file, String(sizeBytes)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let rounds = 0;
  let last = '';
  let errors = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    last = line;
    rounds = Number(line) || rounds;
  });
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    rounds: () => rounds,
    async finish() {
      child.stdin.write('stop\n');
      await ended;
      return errors || last;
    },
  };
}
