import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { commandLines, DemoRun } from '../support/demo-run.ts';
import { describeWith, fuse, machineRoot } from '../support/requirements.ts';
import { eventually } from '../support/test-cluster.ts';

const ODD_BYTES = 3_000_001;
const SMALL = ['--size', '64M'];
const STEP = /^ +\d+ ms {2}(\S.*?) {2,}/;

jest.setTimeout(120_000);

let folder: string;
let dataset: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-demo-data-'));
  dataset = join(folder, 'my \\ data');
  writeFileSync(dataset, randomBytes(ODD_BYTES));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The steps that it has printed as done. */
function stepsOf(demo: DemoRun): string[] {
  return demo.lines.flatMap((line) => STEP.exec(line)?.[1] ?? []);
}

describeWith([fuse], 'demo', () => {
  test('shares the Node executable between two nodes and leaves nothing behind', async () => {
    await using demo = new DemoRun([]);
    expect(await demo.ended).toBe(0);
    const { size } = statSync(process.execPath);
    expect(demo.last).toMatch(
      new RegExp(`^demo: ok, ${size} bytes \\([\\d.]+ MiB\\) shared by 2 nodes$`),
    );
    expect(demo.errors).toBe('');
    expect(stepsOf(demo)).toEqual([
      'make an emulated fabric',
      'format it as a famfs pool',
      'start the controller',
      'start mounter and plugin of node-a',
      'start mounter and plugin of node-b',
      'CreateVolume',
      'attach, stage, publish on node-a',
      'attach, stage, publish on node-b',
      'pod on node-a writes',
      'pod on node-b verifies',
      'sha256sum, cmp, dd on node-b',
      'a write on node-b is refused',
      'unpublish, unstage, detach',
      'delete the volume',
      'clean up',
    ]);
    expect(demo.left()).toEqual([]);
  });

  test('shares any file of any size between any nodes, also below a symbolic link', async () => {
    const real = join(folder, 'real');
    const tmp = join(folder, 'a link');
    mkdirSync(real);
    symlinkSync(real, tmp);
    await using demo = new DemoRun([...SMALL, '--data', dataset, '--nodes', '3'], { tmp });
    expect(await demo.ended).toBe(0);
    expect(demo.last).toBe(`demo: ok, ${ODD_BYTES} bytes (2.9 MiB) shared by 3 nodes`);
    expect(demo.errors).toBe('');
    const text = demo.lines.join('\n');
    for (const node of ['node-b', 'node-c']) {
      expect(text).toMatch(new RegExp(`pod on ${node} verifies .* all ${ODD_BYTES} bytes`));
      expect(text).toMatch(new RegExp(`a write on ${node} is refused +Read-only file system`));
    }
    const sum = createHash('sha256').update(readFileSync(dataset)).digest('hex');
    expect(text).toContain(`they agree: sha256 ${sum.slice(0, 16)}`);
    expect(text).toMatch(/^ +data path: buffered, since the pool is a file, an emulated fabric/m);
    // 64 MiB in cells of 2 MiB: superblock, log, two for the file.
    expect(text).toMatch(/^ +ABBBBCC·{25}$/m);
    expect(text).toMatch(/^ +A superblock: 2 MiB at \[0 B, 2 MiB\)$/m);
    expect(text).toMatch(/^ +C demo-dataset\/data: 4 MiB at \[10 MiB, 14 MiB\)$/m);
    expect(demo.left()).toEqual([]);
  });
});

/** The commands that `--keep` has printed, by what they show. */
async function hintsOf(demo: DemoRun): Promise<Map<string, string>> {
  await demo.line(/^Ctrl-C cleans up\.$/);
  const begin = demo.lines.indexOf('It is all still running. Look around:');
  const hints = demo.lines.slice(begin + 1, -1).map((line) => /^ {2}(.+?): +(.+)$/.exec(line));
  return new Map(hints.map((hint) => [hint?.[1] ?? '', hint?.[2] ?? '']));
}

function sh(command: string): string {
  return execFileSync('sh', ['-c', command], { encoding: 'utf8' });
}

/** The first that a command prints which never ends. */
async function firstWords(command: string): Promise<string> {
  const child = spawn('sh', ['-c', `exec ${command}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    return String(await new Promise((resolve) => child.stdout.once('data', resolve)));
  } finally {
    child.kill('SIGKILL');
  }
}

describeWith([fuse], 'demo --keep', () => {
  test('prints commands that show what runs, and cleans up at Ctrl-C', async () => {
    const tmp = join(folder, "of 'mine'");
    mkdirSync(tmp);
    await using demo = new DemoRun([...SMALL, '--keep', '--data', dataset], { tmp });
    const hints = await hintsOf(demo);
    expect([...hints.keys()]).toEqual([
      'pod on node-a',
      'pod on node-b',
      'the log',
      'the memory',
      'the check',
      'the logs',
    ]);
    const hint = (name: string) => hints.get(name) ?? '';
    for (const node of ['node-a', 'node-b']) {
      expect(sh(hint(`pod on ${node}`))).toMatch(new RegExp(` ${ODD_BYTES} .* data\\n$`));
    }
    expect(sh(hint('the log'))).toContain('demo-dataset/data');
    expect(sh(hint('the memory'))).toContain('demo-dataset/data: 4 MiB');
    expect(sh(hint('the check'))).toContain(`${demo.fabric}: clean`);
    expect(await firstWords(hint('the logs'))).toContain('controller.log');
    // A shell that stands in a pod must not keep the demo from cleaning up.
    const mounted = hint('pod on node-a').replace('ls -l', 'cd');
    const bystander = spawn('sh', ['-c', `${mounted} && echo there && exec sleep 300`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve) => bystander.stdout.once('data', resolve));
      demo.child.kill('SIGINT');
      expect(await demo.ended).toBe(0);
    } finally {
      bystander.kill('SIGKILL');
    }
    expect(demo.last).toBe(`demo: ok, ${ODD_BYTES} bytes (2.9 MiB) shared by 2 nodes`);
    expect(demo.errors).toBe('');
    await eventually('the bystander has ended', () =>
      demo.left().length === 0 ? true : undefined,
    );
  });
});

describeWith([fuse, machineRoot], 'demo --keep', () => {
  test('works for an ordinary user, and lets other terminals look in', async () => {
    // The machine as an ordinary user may have it: /dev/fuse open to all, the program readable.
    const place = mkdtempSync(join(tmpdir(), 'famfs-demo-user-'));
    chmodSync(place, 0o777);
    const prepare = `
      set -e
      mount -t tmpfs -o mode=755 tmpfs "$0"
      mknod -m 666 "$0/fuse" c 10 229 && mount --bind "$0/fuse" /dev/fuse
      mkdir "$0/program" && mount --bind "$1" "$0/program"
      mkdir -m 777 "$0/tmp" && export TMPDIR="$0/tmp"
      shift
      exec "$@"`;
    const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const root = join(__dirname, '..', '..');
    const by = ['unshare', '--mount', 'sh', '-c', prepare, place, root, ...user];
    const data = join(place, 'program', 'package.json');
    const main = join(place, 'program', 'dist', 'main.js');
    await using demo = new DemoRun([...SMALL, '--keep', '--data', data], { tmp: place, by, main });
    const hints = await hintsOf(demo);
    const { size } = statSync(join(root, 'package.json'));
    for (const node of ['node-a', 'node-b']) {
      const command = hints.get(`pod on ${node}`) ?? '';
      expect(command).toMatch(/^nsenter .* ls -l /);
      expect(sh(`${user.join(' ')} ${command}`)).toMatch(new RegExp(` ${size} .* data\n$`));
    }
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(0);
    expect(demo.last).toMatch(new RegExp(`^demo: ok, ${size} bytes`));
    expect(demo.errors).toBe('');
    expect(demo.left()).toEqual([]);
  });
});

describeWith([fuse], 'demo, interrupted', () => {
  /** Returns the step that was stopped, or that was not begun any more. */
  async function stopped(demo: DemoRun, signal: NodeJS.Signals): Promise<string> {
    demo.child.kill(signal);
    expect(await demo.ended).toBe(1);
    const [failed, left] = demo.lines.slice(-2);
    const step = new RegExp(`^demo: failed at "(.+)": stopped by ${signal}$`).exec(
      failed ?? '',
    )?.[1];
    expect(step ?? failed).toBe(step);
    expect(left).toBe('nothing is left behind');
    expect(stepsOf(demo)).not.toContain(step);
    expect(demo.errors).toBe('');
    expect(demo.left()).toEqual([]);
    return step ?? '';
  }

  test.each([
    ['SIGINT', 'make an emulated fabric'],
    ['SIGTERM', 'start the controller'],
    ['SIGHUP', 'start mounter and plugin of node-a'],
    ['SIGTERM', 'attach, stage, publish on node-a'],
    ['SIGINT', 'pod on node-a writes'],
  ] as const)('by %s after "%s" leaves nothing behind', async (signal, step) => {
    await using demo = new DemoRun([...SMALL, '--nodes', '1', '--data', dataset]);
    await demo.line(new RegExp(step));
    await stopped(demo, signal);
  });

  test.each([
    ['pod-write', 'pod on node-a writes'],
    ['dd', 'sha256sum, cmp, dd on node-a'],
  ])('while %s runs in a pod, ends that too', async (program, step) => {
    const large = join(folder, 'large');
    writeFileSync(large, '');
    truncateSync(large, program === 'dd' ? 100 * MiB : 600 * MiB);
    await using demo = new DemoRun(['--nodes', '1', '--data', large]);
    await demo.line(/make an emulated fabric/);
    const pod = `/${basename(demo.fabric ?? '')}/node-`;
    await eventually('it runs', () =>
      commandLines().find((words) => {
        const isProgram = words[0] === program || words[2] === program;
        return isProgram && words.some((word) => word.includes(pod));
      }),
    );
    expect(await stopped(demo, 'SIGINT')).toBe(step);
  });

  test('by the end of who reads its output leaves nothing behind', async () => {
    await using demo = new DemoRun([...SMALL, '--data', dataset]);
    await demo.line(/start the controller/);
    demo.child.stdout?.destroy();
    expect(await demo.ended).toBe(1);
    expect(demo.errors).toBe('');
    expect(demo.left()).toEqual([]);
  });
});

describeWith([fuse], 'demo, with a step that fails', () => {
  async function failed(demo: DemoRun, step: string, error: RegExp): Promise<string> {
    expect(await demo.ended).toBe(1);
    expect(demo.lines.at(-2)).toMatch(new RegExp(`^demo: failed at "${step}": `));
    expect(demo.lines.at(-2)).toMatch(error);
    const logs = /^logs: (.+)$/.exec(demo.last)?.[1] ?? '';
    expect(logs).toBe(join(demo.tmp, readdirSync(demo.tmp)[0] ?? '', 'logs'));
    expect(existsSync(logs)).toBe(true);
    expect(readdirSync(join(logs, '..'))).toEqual(['logs']);
    expect(demo.errors).toBe('');
    expect(demo.left()).toEqual([join(logs, '..')]);
    return logs;
  }

  test('says that the dataset does not fit, and keeps the logs only', async () => {
    await using demo = new DemoRun(['--data', dataset, '--size', '12M']);
    const logs = await failed(
      demo,
      'CreateVolume',
      /RESOURCE_EXHAUSTED: .* found 3000001 .* fits pool demo now is 2097152 bytes/,
    );
    expect(readdirSync(logs).sort()).toEqual([
      'controller.log',
      'node-a-mounter.log',
      'node-a.log',
      'node-b-mounter.log',
      'node-b.log',
    ]);
    expect(readFileSync(join(logs, 'controller.log'), 'utf8')).toContain('RESOURCE_EXHAUSTED');
  });

  test('says that the memory is too small for a pool', async () => {
    await using demo = new DemoRun(['--data', dataset, '--size', '8M']);
    await failed(demo, 'format it as a famfs pool', /device: has 8 MiB .* at least 12 MiB/);
  });

  test('says that the dataset has vanished', async () => {
    const gone = join(folder, 'gone');
    writeFileSync(gone, randomBytes(5000));
    await using demo = new DemoRun([...SMALL, '--nodes', '1', '--data', gone]);
    await demo.line(/start the controller/);
    rmSync(gone);
    await failed(
      demo,
      'pod on node-a writes',
      /gone: the dataset cannot be read any more \(ENOENT\)/,
    );
  });

  test('says that /dev/shm has too little room, before it takes any', async () => {
    const small = 'mount -t tmpfs -o size=2M tmpfs /dev/shm && exec "$@"';
    const by = ['unshare', '--mount', 'sh', '-c', small, 'sh'];
    await using demo = new DemoRun(['--data', dataset], { by });
    await failed(demo, 'make an emulated fabric', /\/dev\/shm: has 2 MiB free, .* takes 2.9 MiB/);
  });

  test('refuses a dataset that is none, and makes nothing', async () => {
    for (const data of ['/nowhere', folder, '/dev/null']) {
      await using demo = new DemoRun(['--data', data]);
      expect(await demo.ended).toBe(2);
      expect(demo.errors).toBe(
        `famfs-csi: --data: ${data} is not a file with data; give one that exists\n`,
      );
      expect(readdirSync(demo.tmp)).toEqual([]);
    }
  });
});
