import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';

const OPTIONS = {
  jsc: {
    parser: { syntax: 'typescript', explicitResourceManagement: true },
    target: 'es2022',
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};
/** Jest gives this to tests, which are CommonJS there. */
const DIRNAME = 'const __dirname = import.meta.dirname;\n';

/** A module hook: the types go, the imports stay as they are, `.ts` and all. */
export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context);
  const path = fileURLToPath(url);
  const text = await readFile(path, 'utf8');
  const source = text.includes('__dirname') ? DIRNAME + text : text;
  const { code } = await transform(source, { ...OPTIONS, filename: path });
  return { format: 'module', source: code, shortCircuit: true };
}
