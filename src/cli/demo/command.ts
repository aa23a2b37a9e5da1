import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { codeOf, Fault, isFault, messageOf } from '../../base/errors.ts';
import { formatSize, GiB } from '../../base/numbers.ts';
import { reexecUnprivileged } from '../namespace.ts';
import { integerArgument, sizeArgument } from '../options.ts';
import { EXIT_PROBLEMS, userCommand } from '../program.ts';
import { Demo } from './demo.ts';
import { leftovers } from './leftovers.ts';
import { LocalCluster } from './local-cluster.ts';
import { copyIn, verify } from './programs.ts';
import { Steps } from './steps.ts';

interface DemoArguments {
  readonly data: string;
  readonly size: number;
  readonly nodes: number;
  readonly keep?: boolean;
}

const print = (line: string) => void process.stdout.write(`${line}\n`);

/** `main`: path of the executable script, which runs every process of the demo. */
export function demoCommand(main: string): Command {
  return userCommand('demo', 'show the whole product on this machine, on an emulated fabric')
    .option(
      '--data <file>',
      'the dataset to share (default: the Node executable)',
      process.execPath,
    )
    .option('--size <size>', 'memory of the fabric', sizeArgument, GiB)
    .option('--nodes <n>', 'how many nodes', integerArgument(1, 16), 2)
    .option('--keep', 'leave it running, with commands to look around, until Ctrl-C')
    .action(async (options: DemoArguments) => {
      const datasetBytes = sizeOfDataset(options.data);
      const inNamespace = await reexecUnprivileged(process.argv.slice(1));
      process.exitCode = inNamespace ?? (await runDemo(main, datasetBytes, options));
    });
}

/** What the demo runs in its pods; no command for users. */
export function podCommands(): Command[] {
  const program = (name: string, run: typeof copyIn) =>
    new Command(name).arguments('<dataset> <target>').action((dataset: string, target: string) => {
      print(JSON.stringify(run(dataset, target)));
    });
  return [program('pod-write', copyIn), program('pod-verify', verify)];
}

function sizeOfDataset(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size === 0) {
    throw new Fault('INVALID', `--data: ${path} is not a file with data; give one that exists`);
  }
  return found.size;
}

async function runDemo(main: string, datasetBytes: number, options: DemoArguments) {
  const signal = interruption();
  const cluster = new LocalCluster({ main, nodes: options.nodes });
  const steps = new Steps(signal, print);
  const demo = new Demo({
    cluster,
    steps,
    signal,
    main,
    dataset: resolve(options.data),
    datasetBytes,
    fabricBytes: options.size,
  });
  try {
    await demo.setUp();
    const bytes = await demo.share();
    if (options.keep) await keepUntil(signal, demo);
    else await demo.tearDown();
    await demo.cleanUp();
    const nodes = options.nodes === 1 ? '1 node' : `${options.nodes} nodes`;
    print(`demo: ok, ${bytes} bytes (${formatSize(bytes)}) shared by ${nodes}`);
    return 0;
  } catch (error) {
    demo.closeClients();
    print(`demo: failed at "${steps.current}": ${explain(error)}`);
    await cleanUp(cluster, { keepLogs: !signal.aborted });
    return EXIT_PROBLEMS;
  }
}

/** Aborts when the user wants it to end: Ctrl-C, or nobody reads the output any more. */
function interruption(): AbortSignal {
  const interrupt = new AbortController();
  const stop = (why: string) => interrupt.abort(new Fault('UNAVAILABLE', `stopped by ${why}`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  process.stdout.on('error', (error) => stop(`its output's end (${codeOf(error)})`));
  return interrupt.signal;
}

/** After a failure: takes everything away, and says what is there to be read, or stays. */
async function cleanUp(cluster: LocalCluster, { keepLogs }: { keepLogs: boolean }): Promise<void> {
  try {
    await cluster.stop({ keepLogs });
  } catch (error) {
    print(`clean up: ${explain(error)}`);
  }
  const left = leftovers(cluster, { keptLogs: keepLogs });
  if (left.length > 0) print(`left behind: ${left.join(', ')}`);
  else if (!keepLogs) print('nothing is left behind');
  if (keepLogs) print(`logs: ${cluster.logs}`);
}

/** What was foreseen, here or by the driver over gRPC, is a sentence; of the rest the stack. */
function explain(error: unknown): string {
  const isStatus = typeof (error as { code?: unknown } | null)?.code === 'number';
  if (isFault(error) || isStatus) return messageOf(error);
  return String((error as Error).stack ?? error);
}

/** Resolves at Ctrl-C, which then is no failure but the wish to clean up. */
async function keepUntil(signal: AbortSignal, demo: Demo): Promise<void> {
  print('\nIt is all still running. Look around:');
  for (const [what, command] of demo.hints()) print(`  ${`${what}:`.padEnd(15)} ${command}`);
  print('Ctrl-C cleans up.');
  const alive = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve());
    if (signal.aborted) resolve();
  });
  clearInterval(alive);
}
