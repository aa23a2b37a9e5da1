import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * A process with the file mapped MAP_SHARED by Python's mmap, which obeys one-line orders:
 *   map                        map the file; nothing is opened or mapped after this
 *   store-word OFFSET HEX      one store into the mapping, no system call on the file
 *   await-word OFFSET HEX      spin on the mapping until it holds the word
 */
const PROGRAM = `
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
m = None
for line in sys.stdin:
    order, *words = line.split()
    if order == 'map':
        m = mmap.mmap(fd, 0, mmap.MAP_SHARED)
        os.close(fd)
        print('mapped', flush=True)
        continue
    at, word = int(words[0]), bytes.fromhex(words[1])
    if order == 'store-word':
        m[at:at + len(word)] = word
        print('stored', flush=True)
    if order == 'await-word':
        end = time.monotonic() + 20
        while m[at:at + len(word)] != word and time.monotonic() < end:
            pass
        print('saw ' + m[at:at + len(word)].hex(), flush=True)
`;

export interface Peer {
  /** Sends one order and resolves with the line that it answers. */
  ask(order: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startPeer(file: string): Promise<Peer> {
  const child: ChildProcess = spawn('python3', ['-c', PROGRAM, file], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const waiting: ((line: string) => void)[] = [];
  if (child.stdout)
    createInterface({ input: child.stdout }).on('line', (l) => waiting.shift()?.(l));
  return {
    ask(order) {
      return new Promise((resolve, reject) => {
        waiting.push(resolve);
        void ended.then(() => reject(new Error(`the peer ended before it answered "${order}"`)));
        child.stdin?.write(`${order}\n`);
      });
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
