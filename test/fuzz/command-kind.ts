import type { Command } from 'commander';
import { checkCommand } from '../../src/cli/tools/check.ts';
import { infoCommand } from '../../src/cli/tools/info.ts';
import { lsCommand } from '../../src/cli/tools/ls.ts';
import { mapCommand } from '../../src/cli/tools/map.ts';
import { type AnyKind, anyKind } from './kind.ts';
import { simplerImages } from './log-images.ts';
import { showImage } from './log-kinds.ts';
import type { LogImage } from './media.ts';
import { Model } from './model.ts';
import { mountableImage } from './mounted-kind.ts';
import type { Random } from './random.ts';
import { deviceFile } from './sparse-device.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';

const COMMANDS: Readonly<Record<string, () => Command>> = {
  info: infoCommand,
  ls: lsCommand,
  map: mapCommand,
  check: checkCommand,
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const DRIVES_A_TERMINAL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e]/;

/** A command that only looks, over a device that anybody may have written. */
function look(image: LogImage, random: Random, tally: Tally): void {
  const model = Model.of(image);
  const name = random.pick(Object.keys(COMMANDS));
  const json = random.oneIn(3);
  const args = [
    ...(json ? ['--json'] : []),
    ...(name === 'ls' ? ['--recursive'] : []),
    deviceFile(image),
  ];
  let output: string;
  try {
    output = outputOf(() => (COMMANDS[name] as () => Command)().parse(args, { from: 'user' }));
  } catch (error) {
    const fault = foreseen(error);
    must(model === undefined, () => `${name}: ${fault.message}`);
    tally.count('command', `${name} ${fault.code}`);
    return;
  }
  tally.count('command', `${name} printed`);
  must(model !== undefined || name === 'check', `${name}: printed what must be refused`);
  must(!DRIVES_A_TERMINAL.test(output), () => `${name}: prints ${JSON.stringify(output)}`);
  must(output.length < 2 ** 20, `${name}: prints ${output.length} characters`);
  if (json) JSON.parse(output);
  if (name !== 'ls' || model === undefined) return;
  const count = json ? JSON.parse(output).entries.length : output.trimEnd().split('\n').length;
  mustEqual(count, json ? model.nodes.size : Math.max(1, model.nodes.size), 'nodes listed');
}

/** What `run` writes to standard output, which is as it was afterwards. */
function outputOf(run: () => void): string {
  const { write } = process.stdout;
  const parts: string[] = [];
  process.stdout.write = ((text: string) => {
    parts.push(text);
    return true;
  }) as typeof process.stdout.write;
  try {
    run();
  } finally {
    process.stdout.write = write;
    process.exitCode = undefined;
  }
  return parts.join('');
}

export const COMMAND_KIND: AnyKind = anyKind<LogImage>({
  name: 'command line',
  weight: 2,
  generate: mountableImage,
  run: look,
  shrink: simplerImages,
  show: showImage,
});
