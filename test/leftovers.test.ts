import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { eventually } from './support/test-cluster.ts';

const LEAVER = join(__dirname, 'support', 'leaver.mjs');

function leave(what: 'all' | 'nothing'): { left: string[]; shared: string } {
  return JSON.parse(execFileSync(process.execPath, [LEAVER, what], { encoding: 'utf8' }));
}

test('a mount, a process, a socket and files that a run leaves behind are named', async () => {
  const { left, shared } = leave('all');
  const [process = '', mount, ...files] = left;
  expect(process).toMatch(/^process \d+: sleep 600$/);
  expect(mount).toMatch(/^mount .* tmpfs left /);
  const folder = /\S+(?=\/mount )/.exec(mount ?? '')?.[0];
  expect(files.filter((line) => !/ (?:\/tmp|\/dev\/shm)\/[^/]+$/.test(line)).sort()).toEqual([
    `file ${folder}/mount`,
    `file ${folder}/sock`,
  ]);
  // Beside what others make there meanwhile.
  expect(files).toContain(`file ${shared}`);
  // Whoever is named is ended.
  const exe = `/proc/${process.split(/\W+/)[1]}/exe`;
  await eventually('it has ended', () => (existsSync(exe) ? undefined : true));
});

test('what ends within the patience of the look is none', () => {
  expect(leave('nothing').left.filter((line) => line.includes('famfs-run-'))).toEqual([]);
});
