// What a test run left on the machine. Its processes are known by a variable that every child
// inherits, its files by a temporary folder of its own; /dev/shm and the machine's temporary folder
// have other users: there, what a process of somebody else names is not ours.
import { randomUUID } from 'node:crypto';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Servers end within a second or two of their mount; another run's files go when that ends. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 100;
const MARK = 'FAMFS_TEST_RUN';
const SHARED_FOLDERS = [...new Set([tmpdir(), '/tmp', '/dev/shm'])];
const DAXDEVS = '/sys/bus/dax/devices';

function orElse(read, otherwise) {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const names = (folder) => orElse(() => readdirSync(folder), []);
const text = (path) => orElse(() => readFileSync(path, 'latin1'), '');

function processes() {
  return names('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);
}

/** Everything that a process names: arguments, variables, mappings, open files. */
function namedBy(pid) {
  const open = names(`/proc/${pid}/fd`).map((fd) =>
    orElse(() => readlinkSync(`/proc/${pid}/fd/${fd}`), ''),
  );
  const texts = ['cmdline', 'environ', 'maps'].map((name) => text(`/proc/${pid}/${name}`));
  return [...texts, ...open].join('\n');
}

/** `device: driver` of every dax device. */
function daxModes() {
  return names(DAXDEVS).map((device) => {
    const driver = orElse(() => basename(readlinkSync(join(DAXDEVS, device, 'driver'))), 'none');
    return `dax device ${device}: driver ${driver}`;
  });
}

const sharedEntries = () =>
  SHARED_FOLDERS.flatMap((folder) =>
    names(folder)
      .filter((name) => name.startsWith('famfs-'))
      .map((name) => join(folder, name)),
  );

export class Leftovers {
  /** For the run's processes: `env` is theirs. */
  env;
  #folder = realpathSync(mkdtempSync(join(tmpdir(), 'famfs-run-')));
  #id = randomUUID();
  #before = new Set(sharedEntries());
  #modes = daxModes();

  constructor() {
    this.env = { ...process.env, TMPDIR: this.#folder, [MARK]: this.#id };
  }

  /** One line for each thing that is left, after some patience; ends the processes among them. */
  async find(patienceMs = PATIENCE_MS) {
    let left = this.#look();
    for (let waited = 0; left.length > 0 && waited < patienceMs; waited += PAUSE_MS) {
      await delay(PAUSE_MS);
      left = this.#look();
    }
    for (const pid of this.#processes()) orElse(() => process.kill(pid, 'SIGKILL'), false);
    const hasMounts = left.some((line) => line.startsWith('mount '));
    if (!hasMounts) rmSync(this.#folder, { recursive: true, force: true });
    return left;
  }

  #look() {
    const running = this.#processes().map((pid) => {
      const command = text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
      return `process ${pid}: ${command || text(`/proc/${pid}/comm`).trim()}`;
    });
    const mounts = text('/proc/self/mountinfo')
      .split('\n')
      .filter((line) => line.includes(` ${this.#folder}/`))
      .map((line) => `mount ${line}`);
    const files = names(this.#folder).map((name) => `file ${join(this.#folder, name)}`);
    const modes = daxModes().filter((mode) => !this.#modes.includes(mode));
    return [...running, ...mounts, ...files, ...this.#sharedFiles(), ...modes];
  }

  /** The environment is that of the start of a program, so a thread that forked has it too. */
  #processes() {
    const mark = `${MARK}=${this.#id}`;
    return processes().filter((pid) => text(`/proc/${pid}/environ`).includes(mark));
  }

  #sharedFiles() {
    const added = sharedEntries().filter(
      (path) => !this.#before.has(path) && path !== this.#folder,
    );
    if (added.length === 0) return [];
    const named = processes().map(namedBy).join('\n');
    return added.filter((path) => !named.includes(path)).map((path) => `file ${path}`);
  }
}
