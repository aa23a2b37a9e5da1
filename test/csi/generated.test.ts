import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');
const generated = join(root, 'src', 'csi', 'generated');

function filesIn(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]),
  );
}

describe('csi.proto', () => {
  test('is the upstream file that its README names', () => {
    const bytes = readFileSync(join(root, 'csi', 'csi.proto'));
    const sum = createHash('sha256').update(bytes).digest('hex');
    expect(readFileSync(join(root, 'csi', 'README.md'), 'utf8')).toContain(sum);
  });

  test('gives the types that are checked in', () => {
    const folder = mkdtempSync(join(tmpdir(), 'famfs-csi-types-'));
    try {
      execFileSync('bash', [join(root, 'csi', 'generate.sh'), folder], { stdio: 'pipe' });
      const fresh = filesIn(folder);
      expect(Object.keys(fresh).length).toBeGreaterThan(50);
      expect(fresh).toEqual(filesIn(generated));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
