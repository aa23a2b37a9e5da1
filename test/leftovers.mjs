// What a test run left on the machine. Its processes are known by a variable that every child
// inherits, its files by a temporary folder of its own. What is left in /dev/shm and in the machine's
// temporary folder can be another run's: there, nothing is looked for while somebody else tests.
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
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

/** Whether a test run is going on here that is not `mark`'s. */
function isTestedByOthers(mark) {
  return processes().some((pid) => {
    const command = text(`/proc/${pid}/cmdline`);
    const isTest = command.includes('node_modules/jest') || /test\/(?:vm\/)?run\.mjs/.test(command);
    return isTest && !text(`/proc/${pid}/environ`).includes(mark) && pid !== process.ppid;
  });
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
      .map((name) => join(folder, name))
      .filter((path) => orElse(() => statSync(path).uid, -1) === process.getuid()),
  );

export class Leftovers {
  /** For the run's processes: `env` is theirs. */
  env;
  #folder = realpathSync(mkdtempSync(join(tmpdir(), 'famfs-run-')));
  #id = randomUUID();
  #before = new Set(sharedEntries());
  #modes = daxModes();
  #isAlone;
  #wasAlone;

  /** `isAlone`: whether to look where another run's files can be; default: while there is none. */
  constructor(isAlone = () => !isTestedByOthers(this.#mark)) {
    this.#isAlone = isAlone;
    this.#wasAlone = isAlone();
    // As /tmp: some tests run the product as an ordinary user.
    chmodSync(this.#folder, 0o1777);
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
    return processes().filter((pid) => text(`/proc/${pid}/environ`).includes(this.#mark));
  }

  get #mark() {
    return `${MARK}=${this.#id}`;
  }

  #sharedFiles() {
    const added = sharedEntries().filter(
      (path) => !this.#before.has(path) && path !== this.#folder,
    );
    if (added.length === 0) return [];
    if (!this.#wasAlone || !this.#isAlone()) return [];
    const named = processes().map(namedBy).join('\n');
    return added.filter((path) => !named.includes(path)).map((path) => `file ${path}`);
  }
}
