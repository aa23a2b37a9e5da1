import { fstatSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { codeOf, messageOf } from '../base/errors.ts';
import { OPENER_ROOT_FD, type OpenAnswer, type OpenQuestion } from './opener.ts';

/**
 * The process of an Opener: opens what standard input names, and holds it until that ends. Its
 * server takes the descriptors by pidfd_getfd(2).
 */
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`);
}

function answer({ path }: OpenQuestion): OpenAnswer {
  try {
    if (path === undefined) return { dev: fstatSync(OPENER_ROOT_FD).dev };
    return { fd: openSync(path, 'r+') };
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
}
