import { statSync } from 'node:fs';
import { Command, Option } from 'commander';
import { Fault, isFault, messageOf } from '../../base/errors.ts';
import { formatSize, GiB } from '../../base/numbers.ts';
import { reexecUnprivileged } from '../namespace.ts';
import { integerArgument, sizeOption } from '../options.ts';
import { EXIT_PROBLEMS, userCommand } from '../program.ts';
import { Demo } from './demo.ts';
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
    .addOption(dataOption())
    .addOption(sizeOption('--size <size>', 'memory of the fabric', GiB))
    .option('--nodes <n>', 'how many nodes', integerArgument(1, 16), 2)
    .option('--keep', 'leave it running, with commands to look around, until Ctrl-C')
    .action(async (options: DemoArguments) => {
      checkDataset(options.data);
      const inNamespace = await reexecUnprivileged(process.argv.slice(1));
      process.exitCode = inNamespace ?? (await runDemo(main, options));
    });
}

function dataOption(): Option {
  const option = new Option('--data <file>', 'the dataset to share');
  return option.default(process.execPath, 'the Node executable');
}

/** What the demo runs in its pods; no command for users. */
export function podCommands(): Command[] {
  const program = (name: string, run: typeof copyIn) =>
    new Command(name).arguments('<dataset> <target>').action((dataset: string, target: string) => {
      print(JSON.stringify(run(dataset, target)));
    });
  return [program('pod-write', copyIn), program('pod-verify', verify)];
}

function checkDataset(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size === 0) {
    throw new Fault('INVALID', `--data: ${path} is not a file with data; give one that exists`);
  }
}

async function runDemo(main: string, options: DemoArguments): Promise<number> {
  const interrupt = new AbortController();
  const stop = (signal: string) =>
    interrupt.abort(new Fault('UNAVAILABLE', `stopped by ${signal}`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const cluster = new LocalCluster({ main, nodes: options.nodes });
  const steps = new Steps(interrupt.signal, print);
  const demo = new Demo({
    cluster,
    steps,
    main,
    dataset: options.data,
    fabricBytes: options.size,
  });
  try {
    await demo.setUp();
    const bytes = await demo.share();
    const ok = `demo: ok, ${bytes} bytes (${formatSize(bytes)}) shared by ${options.nodes} nodes`;
    if (options.keep) {
      await keepUntil(interrupt.signal, demo);
      demo.closeClients();
      await cluster.stop();
    } else {
      await demo.tearDown();
      await demo.cleanUp();
    }
    print(ok);
    return 0;
  } catch (error) {
    demo.closeClients();
    const interrupted = interrupt.signal.aborted;
    await cluster.stop({ keepLogs: !interrupted });
    const text = isFault(error) || interrupted ? messageOf(error) : String((error as Error).stack);
    print(`demo: failed at "${steps.current}": ${text}`);
    print(interrupted ? 'nothing is left behind' : `logs: ${cluster.logs}`);
    return EXIT_PROBLEMS;
  }
}

/** Resolves at Ctrl-C, which then is no failure but the wish to clean up. */
async function keepUntil(signal: AbortSignal, demo: Demo): Promise<void> {
  print('\nIt is all still running. Look around:');
  for (const hint of demo.hints()) print(`  ${hint}`);
  print('Ctrl-C cleans up.');
  const alive = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  clearInterval(alive);
}
