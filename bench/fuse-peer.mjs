// Compares the FUSE server of this product with one on fuse-native: real mounts, one run, both
// alive, rounds that alternate. `npm run bench:peer`; options: --rounds N, --names N, --data BYTES.
// Prints a table and one line of JSON. Root only: it mounts, and drops the kernel's caches.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LocalCluster, POOL } from '../dist/cli/demo/local-cluster.js';
import { MounterClient } from '../dist/mounter/client.js';
import { Mapping } from '../dist/native/mapping.js';
import { mountsAt, unmount } from '../dist/native/mounts.js';
import { createEmulatedDevice } from '../dist/pool/emulated-device.js';
import { systemUuid } from '../dist/pool/identity.js';
import { mkfs } from '../dist/pool/mkfs.js';
import { Pool } from '../dist/pool/pool.js';
import { fillPattern, nameOf } from './files.mjs';

const MiB = 1024 * 1024;
const NAME_BYTES = 2 * MiB;
const LOAD_MS = 120_000;
const READY_MS = 20_000;
const PEER = fileURLToPath(new URL('./peer-fuse-native/', import.meta.url));
const LOAD = fileURLToPath(new URL('./load.mjs', import.meta.url));
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

const KINDS = {
  lookup: 'access(2) of names that exist, lookups a second',
  missing: 'the same of names that do not exist',
  stat: 'statx(2) of names that exist, lookups a second',
  read: 'sequential reads of 128 KiB, bytes a second',
};

function options() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      names: { type: 'string', default: '8000' },
      data: { type: 'string', default: String(256 * MiB) },
    },
  });
  const [rounds, names, dataBytes] = [values.rounds, values.names, values.data].map(Number);
  for (const [name, value] of Object.entries({ rounds, names, data: dataBytes })) {
    if (!(Number.isSafeInteger(value) && value > 0)) {
      throw new Error(`--${name}: found "${values[name]}", expected a whole number above 0`);
    }
  }
  return { rounds, names, dataBytes };
}

/** What must be undone, in the reverse order; also after Ctrl-C. */
const cleanups = [];
let cleaned;

function cleanUp() {
  const undo = async () => {
    for (const each of cleanups.reverse()) await each();
  };
  cleaned ??= undo();
  return cleaned;
}

/** Our side as users have it: the mounter, its server, a pool on an emulated fabric. */
async function mountOurs({ names, dataBytes }) {
  const cluster = new LocalCluster({ main: MAIN, nodes: 1 });
  cleanups.push(() => cluster.stop());
  const [node] = cluster.nodes;
  createEmulatedDevice(cluster.fabric, 64 * MiB + dataBytes + names * NAME_BYTES);
  const writer = systemUuid();
  await withResource(Mapping.open(cluster.fabric, { writable: true }), (memory) =>
    mkfs(memory, { deviceName: 'bench', systemUuid: writer }),
  );
  await withResource(openPool(cluster.fabric, writer), (pool) =>
    fillPool(pool, { names, dataBytes }),
  );
  cluster.startMounter(node);
  const client = new MounterClient(node.mounterSocket);
  const { mountPoint } = await eventually('our mount', () => client.poolMount(POOL, 0));
  return mountPoint;
}

/** `using`, which Node 20 does not have. */
async function withResource(resource, run) {
  try {
    return await run(resource);
  } finally {
    resource[Symbol.dispose]();
  }
}

/** `data` with its bytes, and the names that are looked up. */
async function fillPool(pool, { names, dataBytes }) {
  const file = (path, sizeBytes) => pool.append((replica) => newFile(replica, path, sizeBytes));
  const made = [file('data', dataBytes)];
  for (let at = 0; at < names; at++) made.push(file(nameOf(at), NAME_BYTES));
  await Promise.all(made);
  const bytes = new Uint8Array(dataBytes);
  fillPattern(bytes);
  const [extent] = pool.replica.namespace.lookup('data').fmap.extents;
  pool.memoryOf(0).copyIn(extent.offset, bytes);
}

function openPool(device, writer) {
  return Pool.open({ name: 'bench', device, writable: true, systemUuid: writer });
}

function newFile({ space }, path, sizeBytes) {
  const fmap = space.find({ strips: 0 }, sizeBytes);
  const owner = { uid: 0, gid: 0, mode: 0o644, flags: 2 };
  return { entries: [{ type: 'file', path, sizeBytes, fmap, ...owner }], result: undefined };
}

/** The peer. Its package ships libfuse.so, while its addon asks for that library's own name. */
async function mountPeer(folder, { names, dataBytes }) {
  const library = join(PEER, 'node_modules/fuse-native/prebuilds/linux-x64/libfuse.so');
  if (!existsSync(library)) {
    throw new Error(`${library}: is missing; run "npm run bench:peer", on x86-64 only`);
  }
  const libraries = join(folder, 'lib');
  const directory = join(folder, 'peer');
  mkdirSync(libraries);
  mkdirSync(directory);
  symlinkSync(library, join(libraries, 'libfuse.so.2'));
  const args = [join(PEER, 'serve.mjs'), directory, dataBytes, names, NAME_BYTES].map(String);
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  cleanups.push(async () => {
    while (mountsAt(directory).length > 0) unmount(directory, { detach: true });
    child.kill('SIGKILL');
    await ended;
  });
  const mounted = new Promise((resolve) => child.once('message', resolve));
  const first = await Promise.race([mounted, ended, delay(READY_MS)]);
  if (first?.mounted === true) return directory;
  throw new Error('the peer did not mount; what it said is above');
}

/** Runs one load in a process of its own. One that hangs is let go of when its server ends. */
function load(kind, directory, count) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [LOAD, kind, directory, String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${kind} on ${directory}: no end in ${LOAD_MS} ms`));
    }, LOAD_MS);
    let text = '';
    child.stdout.on('data', (piece) => {
      text += piece;
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`${kind} on ${directory}: ended with ${code}`));
    });
  });
}

/** Per round: ours, the peer, and the same load on tmpfs, which tells what the load itself costs. */
async function measure(sides, { rounds, names, dataBytes }) {
  const samples = [];
  for (let round = 0; round < rounds; round++) {
    for (const kind of Object.keys(KINDS)) {
      const count = kind === 'read' ? dataBytes : names;
      const unit = kind === 'read' ? MiB : 1;
      const sample = { kind };
      // Who goes first alternates, so that a drift of the machine falls on both.
      const order = round % 2 === 0 ? ['ours', 'peer', 'tmpfs'] : ['peer', 'ours', 'tmpfs'];
      for (const side of order) {
        const { seconds } = await load(kind, sides[side], count);
        sample[side] = count / unit / seconds;
      }
      samples.push(sample);
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
  }
  return samples;
}

/** Ratios alone: how fast one machine is in itself says nothing about another. */
function summary(samples) {
  return Object.entries(KINDS).map(([kind, title]) => {
    const own = samples.filter((sample) => sample.kind === kind);
    const toPeer = own.map(({ ours, peer }) => ours / peer);
    const tmpfsToOurs = median(own.map(({ ours, tmpfs }) => tmpfs / ours));
    const [lowest, highest] = [Math.min(...toPeer), Math.max(...toPeer)];
    return { kind, title, oursToPeer: median(toPeer), lowest, highest, tmpfsToOurs };
  });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function table(rows) {
  const head = ['', 'ours ÷ peer', 'lowest', 'highest', 'tmpfs ÷ ours'];
  const body = rows.map(({ title, oursToPeer, lowest, highest, tmpfsToOurs }) => [
    title,
    ...[oursToPeer, lowest, highest, tmpfsToOurs].map((value) => value.toFixed(2)),
  ]);
  const widths = head.map((_, at) => Math.max(...[head, ...body].map((row) => row[at].length)));
  const line = (row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at])))
      .join('  ');
  return [head, ...body].map(line).join('\n');
}

function machine() {
  const { model } = cpus()[0] ?? { model: 'unknown' };
  return `${model}, ${cpus().length} CPUs, Linux ${release()}, Node ${process.version}`;
}

function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

async function eventually(what, look) {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`${what}: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A directory of tmpfs with the same names and bytes. */
function fillTmpfs(directory, { names, dataBytes }) {
  const data = Buffer.alloc(dataBytes);
  fillPattern(data);
  writeFileSync(join(directory, 'data'), data);
  for (let at = 0; at < names; at++) writeFileSync(join(directory, nameOf(at)), '');
  return directory;
}

function temporaryFolder(prefix) {
  const folder = mkdtempSync(prefix);
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function main() {
  const chosen = options();
  const tmpfs = fillTmpfs(temporaryFolder('/dev/shm/famfs-bench-'), chosen);
  const ours = await mountOurs(chosen);
  const peer = await mountPeer(temporaryFolder(join(tmpdir(), 'famfs-bench-')), chosen);
  const sides = { tmpfs, ours, peer };
  const digests = [];
  for (const side of Object.values(sides)) digests.push((await load('sha256', side, 0)).sha256);
  if (new Set(digests).size !== 1) throw new Error(`data differs: ${digests.join(', ')}`);
  const results = summary(await measure(sides, chosen));
  process.stdout.write(`${machine()}\n${table(results)}\n`);
  process.stdout.write(`${JSON.stringify({ machine: machine(), ...chosen, results })}\n`);
}

if (process.getuid() !== 0) throw new Error('bench:peer: run as root; it drops caches and mounts');
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void cleanUp().then(() => process.exit(1)));
}
try {
  await main();
} finally {
  await cleanUp();
}
