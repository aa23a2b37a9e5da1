import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every log of a folder, each under its name: what a failed start leaves to be read. */
export function drawLogs(folder: string): string {
  return readdirSync(folder)
    .map((name) => `--- ${name}\n${readFileSync(join(folder, name), 'utf8')}`)
    .join('\n');
}
