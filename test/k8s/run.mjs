// A real cluster on this machine, and the chart in it; the last line is `k8s: N passed, 0 failed`.
//   --install  first installs the programs that are missing, with apt
//   --only=NAMES  only these groups of steps, on an installed chart: see cluster.k8s.ts
//   --hold     leaves the cluster up after the tests, until SIGINT, and says how to look around
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { checkPrograms, fail, say, sayFailures, secondsSince } from '../support/story-run.mjs';

const NAME = 'k8s';
/** What has to be there, and the Debian package that has it. */
const PROGRAMS = {
  busybox: 'busybox-static',
  cc: 'gcc',
  'dpkg-deb': 'dpkg',
  go: 'golang',
  ip: 'iproute2',
  nsenter: 'util-linux',
  openssl: 'openssl',
  python3: 'python3',
  unshare: 'util-linux',
};
const CACHE = process.env.FAMFS_K8S_CACHE ?? '/var/cache/famfs-csi-k8s';
const CGROUPS = '/sys/fs/cgroup';
const PAUSE_IMAGE = 'famfs-test/pause:1';

function run(program, args) {
  const { status, stdout } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, FAMFS_K8S_CACHE: CACHE },
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) fail(NAME, `${program} ${args.join(' ')}: exit code ${status}`);
  return stdout;
}

/** Names of the images in manifests: those of the rendered chart, and those of the examples. */
function imagesOf(text) {
  return [...text.matchAll(/^\s*(?:- )?image: *["']?([^"'\s]+)/gm)].map(([, name]) => name);
}

function imageNames() {
  const chart = run('helm', [
    ...['template', 'famfs', 'charts/famfs-csi', '--set', 'emulatedFabric.enabled=true'],
  ]);
  const examples = readdirSync('docs/examples', { recursive: true })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join('docs/examples', name), 'utf8'));
  return [...new Set([PAUSE_IMAGE, ...[chart, ...examples].flatMap(imagesOf)])];
}

function buildImages(folder) {
  mkdirSync(folder);
  return imageNames().map((name, at) => {
    const archive = join(folder, `${at}.tar`);
    run('test/k8s/images/build.sh', [name, archive]);
    return archive;
  });
}

/** Version 2 has one hierarchy, version 1 has one for each controller. */
function hierarchies() {
  return [CGROUPS, ...readdirSync(CGROUPS).map((name) => join(CGROUPS, name))];
}

/** What outlives the namespaces of the cluster: its cgroups, and mounts or processes by mistake. */
function leftovers(folder, cgroup) {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const processes = readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });
  return [
    ...mounts.filter((line) => line.includes(folder)).map((line) => `mount: ${line}`),
    ...processes.map((pid) => `process: ${pid}`),
    ...hierarchies()
      .map((at) => join(at, cgroup))
      .filter((at) => existsSync(at)),
  ];
}

/** Cgroups are no part of a namespace: the emptied ones are taken away here. */
function removeCgroups(cgroup) {
  const removeTree = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name));
    }
    // A cgroup's files go with it.
    spawnSync('rmdir', [folder]);
  };
  for (const at of hierarchies()) {
    if (existsSync(join(at, cgroup))) removeTree(join(at, cgroup));
  }
}

const only = process.argv.find((word) => word.startsWith('--only='))?.slice(7) ?? '';

if (process.getuid() !== 0)
  fail(NAME, 'a cluster makes namespaces, mounts and cgroups: run it as root');
checkPrograms(NAME, PROGRAMS);
const begin = performance.now();
run('test/k8s/tools/build.sh', []);
const helm = run('test/tools/build.sh', ['helm']).trim();
say(`k8s: tools are built, ${secondsSince(begin)}`);
process.env.PATH = [
  ...[
    dirname(helm),
    join(CACHE, 'bin'),
    join(CACHE, 'debian/usr/bin'),
    join(CACHE, 'debian/usr/sbin'),
  ],
  process.env.PATH,
].join(delimiter);

const folder = mkdtempSync(join(tmpdir(), 'famfs-k8s-'));
const cgroup = basename(folder);
const output = join(folder, 'results.json');
const imagesBegin = performance.now();
const images = buildImages(join(folder, 'images'));
say(`k8s: images are built, ${secondsSince(imagesBegin)}`);

// In namespaces of their own the network, the mounts and the processes of the cluster end with it;
// the shell is their first process, which reaps what containers leave.
const jest = spawn(
  'unshare',
  [
    ...['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
    ...['bash', '-c', '"$@"; exit $?', 'famfs-k8s'],
    ...[process.execPath, 'node_modules/jest/bin/jest.js', '--config', 'test/k8s/jest.config.mjs'],
    ...['--runInBand', '--json', `--outputFile=${output}`],
  ],
  {
    env: {
      ...process.env,
      FAMFS_K8S_FOLDER: folder,
      FAMFS_K8S_CACHE: CACHE,
      FAMFS_K8S_IMAGES: images.join(delimiter),
      FAMFS_K8S_ONLY: only,
      ...(process.argv.includes('--hold') ? { FAMFS_K8S_HOLD: '1' } : {}),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  },
);
if (process.argv.includes('--hold')) {
  const config = join(folder, 'certificates/admin.kubeconfig');
  say('k8s: the cluster stays up until this is interrupted; to look around:');
  say(`  nsenter --target ${jest.pid} --mount --net -- env KUBECONFIG=${config} PATH=$PATH bash`);
  say(`  where PATH has ${join(CACHE, 'bin')}`);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => jest.kill('SIGKILL'));
}
const how = await new Promise((resolve) => {
  jest.on('exit', (code, signal) => resolve(signal ?? code));
});
// The last process of a namespace is gone a little later than its first.
let left;
for (let turn = 0; turn < 100; turn++) {
  removeCgroups(cgroup);
  left = leftovers(folder, cgroup);
  if (left.length === 0) break;
  await setTimeout(100);
}
for (const line of left) say(`left behind: ${line}`);

/** Logs stay for who has to find out what went wrong. */
function cleanUp(keepLogs) {
  if (keepLogs) {
    rmSync(join(folder, 'images'), { recursive: true, force: true });
    say(`k8s: the logs of the cluster are kept in ${folder}`);
  } else {
    rmSync(folder, { recursive: true, force: true });
  }
}

let results;
try {
  results = JSON.parse(readFileSync(output, 'utf8'));
} catch {
  cleanUp(how !== 'SIGKILL');
  fail(NAME, `Jest ended with ${how} and gave no results`);
}
sayFailures(results);
const failed = results.numFailedTests + results.numRuntimeErrorTestSuites + left.length;
const isFine = failed === 0 && results.numPassedTests > 0 && how === 0;
cleanUp(!isFine);
say(`k8s: took ${secondsSince(begin)}`);
say(`k8s: ${results.numPassedTests} passed, ${failed} failed`);
process.exit(isFine ? 0 : 1);
