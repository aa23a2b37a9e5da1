// Does in a guest what the host's test says: one JSON object a line over a virtio serial port, each
// with an id that its answer repeats. It knows nothing of the story.
import { spawn } from 'node:child_process';
import { createReadStream, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connectCsi } from '../dist/csi/client.js';
import { MounterClient } from '../dist/mounter/client.js';

const PORTS = '/sys/class/virtio-ports';
const OUTPUT_MAX_BYTES = 4 * 1024 * 1024;

const running = new Map();

const operations = {
  /** Runs a program to its end. */
  run({ argv, stdin }) {
    return new Promise((resolve, reject) => {
      const [program, ...args] = argv;
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
      const output = { stdout: '', stderr: '' };
      for (const stream of ['stdout', 'stderr']) {
        child[stream].setEncoding('utf8').on('data', (text) => {
          if (output[stream].length < OUTPUT_MAX_BYTES) output[stream] += text;
        });
      }
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, ...output }));
      child.stdin.on('error', () => {});
      child.stdin.end(stdin ?? '');
    });
  },

  /** Starts a program that runs on; its output goes to the console. */
  start({ name, argv }) {
    const [program, ...args] = argv;
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    const ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      child.on('error', (error) => resolve(String(error)));
    });
    running.set(name, { child, ended });
    return { pid: child.pid };
  },

  /** Ends one that was started, and says how it ended. */
  async stop({ name, signal }) {
    const { child, ended } = running.get(name);
    child.kill(signal);
    running.delete(name);
    return { how: await ended };
  },

  /** One call of a CSI service. */
  async csi({ socket, service, method, request }) {
    const client = connectCsi(socket);
    try {
      return await client[service][method](request, { waitForReady: true });
    } finally {
      client.close();
    }
  },

  mounterStatus({ socket }) {
    return new MounterClient(socket).status();
  },

  poolMount({ socket, pool, atLeast }) {
    return new MounterClient(socket).poolMount(pool, { generation: 0, position: atLeast });
  },
};

function portPath() {
  const name = readdirSync(PORTS).find((port) => {
    return readFileSync(`${PORTS}/${port}/name`, 'utf8').trim() === 'agent';
  });
  return `/dev/${name}`;
}

const port = openSync(portPath(), 'r+');

function answer(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(port, bytes, done);
}

async function serve({ id, op, ...parameters }) {
  try {
    answer({ id, ok: true, result: (await operations[op](parameters)) ?? null });
  } catch (error) {
    answer({ id, ok: false, error: { code: error.code, message: String(error.message) } });
  }
}

answer({ id: 0, ok: true, result: null });
for await (const line of createInterface({ input: createReadStream('', { fd: port }) })) {
  void serve(JSON.parse(line));
}
