// Packs a folder as a container image of one layer, as `docker save` writes it and as
// `ctr images import`, `docker load` and `podman load` take it. No registry, no daemon.
//   node deploy/image-archive.mjs NAME:TAG FOLDER OUT.tar [CONFIG]
// CONFIG is JSON with the fields of an image's config: Entrypoint, Env, User, WorkingDir …
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';

const [name, folder, output, config = '{}'] = process.argv.slice(2);
if (!name?.includes(':') || folder === undefined || output === undefined) {
  process.stderr.write('usage: image-archive.mjs NAME:TAG FOLDER OUT.tar [CONFIG]\n');
  process.exit(2);
}

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };
/** One moment for every file, so that the same files give the same image. */
const WHEN = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString();

/** An archive of some names in a folder, all of them root's. */
function tar(archive, from, names) {
  const args = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=${WHEN}`];
  const { status, stderr } = spawnSync(
    'tar',
    ['-C', from, ...args, '-cf', archive, '--', ...names],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`tar ${archive}: exit code ${status}: ${stderr}`);
}

async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

const work = mkdtempSync(`${resolve(output)}.`);
try {
  const layer = join(work, 'layer.tar');
  tar(layer, folder, ['.']);
  const image = JSON.stringify({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    created: WHEN,
    config: JSON.parse(config),
    rootfs: { type: 'layers', diff_ids: [`sha256:${await sha256(layer)}`] },
    history: [{ created: WHEN, created_by: 'famfs-csi deploy/image-archive.mjs' }],
  });
  const imageFile = `${createHash('sha256').update(image).digest('hex')}.json`;
  writeFileSync(join(work, imageFile), image);
  writeFileSync(
    join(work, 'manifest.json'),
    JSON.stringify([{ Config: imageFile, RepoTags: [name], Layers: ['layer.tar'] }]),
  );
  tar(resolve(output), work, ['manifest.json', imageFile, 'layer.tar']);
} finally {
  rmSync(work, { recursive: true, force: true });
}
