import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  CHART,
  EMULATED,
  find,
  HELM_BUILD_MS,
  helm,
  ON_DEVICE,
  parseObjects,
  render,
  renderText,
  type Values,
} from '../support/helm.ts';
import { describeWith } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';

const ROOT = join(CHART, '..', '..');
const TOOLS = join(CHART, '..', 'tools');
const GOLDENS = join(__dirname, 'goldens');
const read = (...names: string[]) => readFileSync(join(...names), 'utf8');

/** Value sets whose whole rendering is checked in; `UPDATE_GOLDENS=1` renders them anew. */
const SETS: Readonly<Record<string, Values>> = {
  'emulated.yaml': EMULATED,
  'several-pools.yaml': {
    pools: [
      {
        name: 'fast',
        devices: [{ path: '/dev/dax0.0' }, { path: '/dev/dax1.0' }],
        dataPath: 'dax',
      },
      { name: 'wide', devices: [{ uuid: '0a1b2c3d-0000-4000-8000-00000000abcd' }] },
    ],
    emulatedFabric: { enabled: true, poolName: 'try', size: '64Mi', dir: '/dev/shm/famfs' },
    storageClasses: [
      { name: 'famfs', isDefault: true, parameters: { pool: 'fast', strips: '4' } },
      { name: 'famfs-wide', reclaimPolicy: 'Retain', parameters: { pool: 'wide' } },
      { name: 'famfs-try', volumeBindingMode: 'Immediate', parameters: { pool: 'try' } },
    ],
  },
  'everything.yaml': {
    ...ON_DEVICE,
    nameOverride: 'memory',
    fullnameOverride: 'shared',
    image: {
      repository: 'registry.example/famfs',
      digest: `sha256:${'a'.repeat(64)}`,
      pullPolicy: 'Always',
    },
    imagePullSecrets: [{ name: 'pull' }],
    driver: { name: 'memory.example.com' },
    systemUuid: '11111111-1111-4111-8111-111111111111',
    metaGid: 4444,
    kubeletDir: '/var/snap/kubelet',
    stateDir: '/srv/famfs',
    logLevel: 'debug',
    csiDriver: { annotations: { a: 'b' }, preventPodSchedulingIfMissing: true },
    controller: {
      replicas: 3,
      nodeSelector: { role: 'control' },
      tolerations: [{ key: 'control', operator: 'Exists' }],
      priorityClassName: '',
      resources: { limits: { memory: '256Mi' } },
      podAnnotations: { note: 'controller' },
      podLabels: { team: 'memory', 'app.kubernetes.io/name': 'not this' },
      extraArgs: ['--log-level=trace'],
      affinity: { nodeAffinity: {} },
    },
    node: { nodeSelector: { cxl: 'yes' }, affinity: { nodeAffinity: {} } },
    mounter: {
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    },
    sidecars: { provisioner: { extraArgs: ['--v=5'], image: { tag: 'v9' } } },
    metrics: { port: 9000 },
    prometheus: { podMonitor: { enabled: true, interval: '10s', labels: { release: 'prom' } } },
    grafana: { dashboard: { enabled: true, annotations: { folder: 'storage' } } },
  },
  'own-accounts.yaml': {
    ...EMULATED,
    serviceAccount: { create: false, controllerName: 'c', nodeName: 'n', mounterName: 'm' },
    rbac: { create: false },
    controller: { replicas: 1 },
    storageClasses: [],
  },
};

function ran(script: string, ...args: string[]): string {
  const done = spawnSync(process.execPath, [join(TOOLS, script), ...args], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(done.stderr);
  return done.stdout;
}

describeWith([helm], 'what is made from the chart', () => {
  test.each(Object.keys(SETS))(
    'renders the golden %s',
    (name) => {
      const rendered = renderText(SETS[name] ?? {});
      const golden = join(GOLDENS, name);
      if (process.env.UPDATE_GOLDENS === '1') writeFileSync(golden, rendered);
      expect(rendered).toBe(read(golden));
    },
    HELM_BUILD_MS,
  );

  test('has a golden for every set, and no other', () => {
    expect(readdirSync(GOLDENS).sort()).toEqual(Object.keys(SETS).sort());
  });

  test('renders the manifests that are checked in', () => {
    using scratch = new Scratch();
    ran('manifests.mjs', scratch.path);
    const names = readdirSync(scratch.path);
    expect(names).toEqual(readdirSync(join(ROOT, 'manifests')));
    for (const name of names) {
      // `npm run manifests` makes them anew.
      expect(read(scratch.path, name)).toBe(read(ROOT, 'manifests', name));
    }
  });

  test('has, in the manifests, what a cluster without Helm needs: namespace and CRDs', () => {
    for (const name of readdirSync(join(ROOT, 'manifests'))) {
      const objects = parseObjects(read(ROOT, 'manifests', name));
      expect(objects[0]).toMatchObject({ kind: 'Namespace', metadata: { name: 'famfs-csi' } });
      for (const crd of ['famfspools.famfs.io', 'famfsnodes.famfs.io']) {
        find(objects, 'CustomResourceDefinition', crd);
      }
      const elsewhere = objects.filter(
        ({ metadata }) => ![undefined, 'famfs-csi'].includes(metadata.namespace),
      );
      expect(elsewhere).toEqual([]);
    }
  });

  test('documents the values as schema and defaults have them', () => {
    // `npm run docs:configuration` makes it anew.
    expect(ran('configuration.mjs')).toBe(read(ROOT, 'docs', 'kubernetes', 'configuration.md'));
  });

  test('explains every value in the schema', () => {
    const page = read(ROOT, 'docs', 'kubernetes', 'configuration.md');
    const silent = [...page.matchAll(/^\| `([^`]+)` \| {2}\|/gm)].map(([, key]) => key);
    expect(silent).toEqual([]);
  });

  test('draws only metrics that controller and node plugin export', () => {
    const sources = ['controller/controller-metrics', 'node/node-metrics', 'observe/metrics'];
    const text = sources.map((name) => read(ROOT, 'src', `${name}.ts`)).join('\n');
    const exported = [...text.matchAll(/'((?:famfs|csi)_\w+)'/g)].map(([, name]) => name);
    const dashboard = read(CHART, 'dashboards', 'famfs.json');
    const drawn = [...dashboard.matchAll(/\b((?:famfs|csi_plugin)_\w+)\b/g)].map(([, name = '']) =>
      name.replace(/^(csi_plugin_operations_seconds)_(?:count|bucket)$/, '$1'),
    );
    expect(drawn.length).toBeGreaterThan(15);
    expect([...new Set(drawn)].filter((name) => !exported.includes(name))).toEqual([]);
  });

  test('puts the dashboard, whole, into its ConfigMap', () => {
    const enabled = { ...EMULATED, grafana: { dashboard: { enabled: true } } };
    const { data } = find(render(enabled), 'ConfigMap', 'famfs-csi-dashboard');
    expect(JSON.parse(data['famfs.json'])).toEqual(
      JSON.parse(read(CHART, 'dashboards', 'famfs.json')),
    );
  });
});
