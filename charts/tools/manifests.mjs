// Renders the chart to manifests/, for clusters without Helm: `npm run manifests`. With a folder as
// argument it writes there, and changes nothing else.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const NAMESPACE = 'famfs-csi';

/** File → the values that it is made with. */
const SETS = {
  'emulated-fabric.yaml': { emulatedFabric: { enabled: true } },
  'dax-device.yaml': {
    pools: [{ name: 'famfs', devices: [{ path: '/dev/dax0.0' }], format: 'ifBlank' }],
  },
};

const HEAD = `# Made from charts/famfs-csi by \`npm run manifests\`; a test holds it to the chart.
apiVersion: v1
kind: Namespace
metadata:
  name: ${NAMESPACE}
  labels:
    # For node plugin and mounter; the controller would pass "restricted".
    pod-security.kubernetes.io/enforce: privileged
`;

function helm() {
  const script = join(root, 'test', 'tools', 'build.sh');
  return execFileSync('bash', [script, 'helm'], { encoding: 'utf8' }).trim();
}

const folder = process.argv[2] ?? join(root, 'manifests');
const binary = helm();
mkdirSync(folder, { recursive: true });
for (const [name, values] of Object.entries(SETS)) {
  const chart = join(root, 'charts', 'famfs-csi');
  const sets = Object.entries(values).flatMap(([key, value]) => [
    '--set-json',
    `${key}=${JSON.stringify(value)}`,
  ]);
  const args = ['template', 'famfs', chart, '--namespace', NAMESPACE, '--include-crds', ...sets];
  const rendered = execFileSync(binary, args, { encoding: 'utf8' });
  writeFileSync(join(folder, name), tidied(HEAD + rendered));
}

/** Helm leaves blank lines where a template said nothing. */
function tidied(text) {
  return text.replace(/[ \t]+$/gm, '').replace(/\n{2,}/g, '\n');
}
