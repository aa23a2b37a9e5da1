import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Scratch } from '../support/scratch.ts';

const DEPLOY = join(__dirname, '../../deploy');
const CONFIG = { Entrypoint: ['/hello'], User: '65532:65532' };

function output(program: string, args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(program, args, { maxBuffer: 2 ** 24 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}: ${stderr}`);
  return stdout;
}

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

/** Packs a folder with one program. */
function pack(scratch: Scratch, archive: string): string {
  const folder = scratch.join('root');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'hello'), '#!/bin/sh\n', { mode: 0o755 });
  const path = scratch.join(archive);
  const script = join(DEPLOY, 'image-archive.mjs');
  output(process.execPath, [script, 'example/hello:1', folder, path, JSON.stringify(CONFIG)]);
  return path;
}

describe('image-archive', () => {
  test('writes an image whose config names its layer by what it holds', () => {
    using scratch = new Scratch();
    const archive = pack(scratch, 'one.tar');
    const file = (name: string) => output('tar', ['-xOf', archive, name]);
    const [manifest] = JSON.parse(file('manifest.json').toString());
    expect(manifest).toMatchObject({ RepoTags: ['example/hello:1'], Layers: ['layer.tar'] });
    const config = file(manifest.Config);
    expect(manifest.Config).toBe(`${sha256(config)}.json`);
    const layer = file('layer.tar');
    expect(JSON.parse(config.toString())).toMatchObject({
      os: 'linux',
      config: CONFIG,
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    });
    writeFileSync(scratch.join('layer.tar'), layer);
    const listing = output('tar', ['-tvf', scratch.join('layer.tar'), '--numeric-owner']);
    expect(listing.toString()).toMatch(/^-rwxr-xr-x 0\/0 .* \.\/hello$/m);
  });

  test('writes the same bytes for the same files', () => {
    using scratch = new Scratch();
    const [one, two] = [pack(scratch, 'one.tar'), pack(scratch, 'two.tar')];
    expect(sha256(readFileSync(two))).toBe(sha256(readFileSync(one)));
  });

  test('refuses a name without a tag', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(DEPLOY, 'image-archive.mjs'), 'hello', '/nowhere', '/nowhere.tar'],
      { encoding: 'utf8' },
    );
    expect([status, stderr.split(':')[0]]).toEqual([2, 'usage']);
  });
});

describe('the image', () => {
  const containerfile = readFileSync(join(DEPLOY, 'Containerfile'), 'utf8');
  const script = readFileSync(join(DEPLOY, 'build-image.sh'), 'utf8');

  test('is not of root, and has one entry point, however it is built', () => {
    const last = (instruction: string) =>
      [...containerfile.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].at(-1)?.[1] ?? '';
    expect(last('USER')).toBe('65532:65532');
    expect(script).toContain(`"User": "${last('USER')}"`);
    expect(last('ENTRYPOINT')).toBe('["famfs-csi"]');
    expect(script).toContain(`"Entrypoint": ${last('ENTRYPOINT')}`);
  });

  test('has what install-app.sh puts there, however it is built', () => {
    for (const text of [containerfile, script]) expect(text).toContain('install-app.sh');
  });
});
