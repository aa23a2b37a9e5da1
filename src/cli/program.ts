import { Command, CommanderError, Option } from 'commander';
import { codeOf, type FaultCode, isFault, messageOf } from '../base/errors.ts';
import { printable, printableJson } from './printable.ts';

/** 0 fine; 1 refused, or problems found; 2 unusable, or wrong use. */
const EXIT_CODE = {
  INVALID: 2,
  NOT_FOUND: 1,
  EXISTS: 1,
  NO_SPACE: 1,
  LOG_FULL: 1,
  NOT_FAMFS: 2,
  CORRUPT: 2,
  UNSUPPORTED: 2,
  READ_ONLY: 1,
  PERMISSION: 2,
  PRECONDITION: 1,
  BUSY: 1,
  MEMORY_ERROR: 2,
  UNAVAILABLE: 2,
  IO: 2,
  INTERNAL: 2,
} as const satisfies Record<FaultCode, 1 | 2>;

export const EXIT_PROBLEMS = 1;
export const EXIT_WRONG_USE = 2;

/**
 * Runs the command line and returns the exit code. Foreseen failures are one line on standard
 * error, `famfs-csi: subject: …`; with `--json` the command's own output stays on standard output.
 */
export async function runProgram(
  commands: readonly Command[],
  version: string,
  argv: readonly string[],
): Promise<number> {
  process.stdout.on('error', ignoreBrokenPipe);
  const program = new Command('famfs-csi')
    .description('Volumes in memory that many hosts share: a CSI driver and tools for famfs.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${usageError(text)}\n`) })
    .showHelpAfterError('(see famfs-csi --help)')
    .addHelpText(
      'after',
      '\nExit codes: 0 fine; 1 refused, or problems found; 2 unusable or wrong use.',
    );
  for (const command of commands) {
    command.copyInheritedSettings(program);
    command.showHelpAfterError(`(see famfs-csi ${command.name()} --help)`);
    program.addCommand(command, { hidden: isHidden(command) });
  }
  try {
    await program.parseAsync([...argv]);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_WRONG_USE;
    if (isFault(error)) {
      process.stderr.write(`famfs-csi: ${printable(error.message)}\n`);
      return EXIT_CODE[error.code];
    }
    const stack = error instanceof Error ? error.stack : undefined;
    process.stderr.write(`famfs-csi: ${stack ?? `${codeOf(error)} ${messageOf(error)}`}\n`);
    return EXIT_WRONG_USE;
  }
}

/** Commands that the product runs for itself have no description, and no place in the help. */
function isHidden(command: Command): boolean {
  return command.description() === '';
}

/** Commander's `error: …` in the shape of our own messages; the arguments in it are anything. */
function usageError(text: string): string {
  const lines = text
    .trimEnd()
    .replace(/^error: /, 'famfs-csi: ')
    .split('\n');
  return lines.map(printable).join('\n');
}

/** The reader, `head` perhaps, has seen enough: what is left to say is for nobody. */
function ignoreBrokenPipe(error: Error): void {
  if (codeOf(error) !== 'EPIPE') throw error;
}

/** A command for users: a description, and examples that a stranger can paste. */
export function userCommand(
  name: string,
  description: string,
  examples: readonly string[] = [],
): Command {
  const command = new Command(name).description(description);
  if (examples.length === 0) return command;
  const lines = examples.map((example) => `  famfs-csi ${name} ${example}`);
  return command.addHelpText('after', ['\nExamples:', ...lines].join('\n'));
}

export const jsonOption = () => new Option('--json', 'print one JSON object');

/** Prints a report: the object with `--json`, else the lines for people. */
export function report(json: boolean | undefined, value: object, lines: readonly string[]): void {
  const text = json ? printableJson(value) : lines.map(printable).join('\n');
  process.stdout.write(`${text}\n`);
}
