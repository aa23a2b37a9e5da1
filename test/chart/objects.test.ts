import { beforeAll, expect, test } from '@jest/globals';
import { controllerCommand } from '../../src/cli/services/controller.ts';
import { mounterCommand } from '../../src/cli/services/mounter.ts';
import { nodeCommand } from '../../src/cli/services/node.ts';
import {
  EMULATED,
  find,
  HELM_BUILD_MS,
  helm,
  type KubeObject,
  ON_DEVICE,
  render,
  type Values,
} from '../support/helm.ts';
import { describeWith } from '../support/requirements.ts';
import { containersOf, restrictedViolations } from './pod-security.ts';

const BOTH: Values = { ...EMULATED, ...ON_DEVICE };
const LABELS = ['name', 'instance', 'version', 'managed-by'].map(
  (label) => `app.kubernetes.io/${label}`,
);
const METADATA = ['name', 'namespace', 'labels', 'annotations'];
/** The objects that have no namespace. */
const OF_CLUSTER = [
  'ClusterRole',
  'ClusterRoleBinding',
  'CSIDriver',
  'PersistentVolume',
  'StorageClass',
];

const controllerOf = (objects: readonly KubeObject[]) =>
  find(objects, 'Deployment', 'famfs-csi-controller').spec.template.spec;
const daemonSetOf = (objects: readonly KubeObject[], name: string) =>
  find(objects, 'DaemonSet', `famfs-csi-${name}`).spec.template.spec;
const named = (list: readonly { name: string }[], name: string): KubeObject['spec'] =>
  list.find((one) => one.name === name);

describeWith([helm], 'the objects of the chart', () => {
  let objects: KubeObject[];

  beforeAll(() => {
    objects = render(BOTH);
  }, HELM_BUILD_MS);

  test('have names, labels and namespaces, and no field of metadata that does not exist', () => {
    const wrong: string[] = [];
    for (const { apiVersion, kind, metadata } of objects) {
      const what = `${kind} ${metadata?.name}`;
      if (!apiVersion || !metadata?.name) wrong.push(`${what}: no apiVersion or name`);
      const unknown = Object.keys(metadata).filter((key) => !METADATA.includes(key));
      if (unknown.length > 0) wrong.push(`${what}: ${unknown}`);
      const missing = LABELS.filter((label) => !metadata.labels?.[label]);
      if (missing.length > 0) wrong.push(`${what}: ${missing}`);
      const namespace = OF_CLUSTER.includes(kind) ? undefined : 'storage';
      if (metadata.namespace !== namespace) wrong.push(`${what}: in ${metadata.namespace}`);
    }
    expect(wrong).toEqual([]);
    expect(objects.length).toBeGreaterThan(15);
  });

  test('select their own pods by labels that no upgrade changes', () => {
    for (const { kind, spec } of objects) {
      if (kind !== 'Deployment' && kind !== 'DaemonSet') continue;
      const { matchLabels } = spec.selector;
      expect(Object.keys(matchLabels).sort()).toEqual([
        'app.kubernetes.io/component',
        'app.kubernetes.io/instance',
        'app.kubernetes.io/name',
      ]);
      expect(spec.template.metadata.labels).toMatchObject(matchLabels);
    }
  });

  test('have a controller that passes the restricted Pod Security level', () => {
    for (const values of [EMULATED, ON_DEVICE, BOTH]) {
      expect(restrictedViolations(controllerOf(render(values)))).toEqual([]);
    }
  });

  test('have privilege in the node and mounter containers, and in no other', () => {
    const pods = [
      controllerOf(objects),
      ...['node', 'mounter'].map((n) => daemonSetOf(objects, n)),
    ];
    const containers = pods.flatMap(containersOf);
    const privileged = containers.filter((one) => one.securityContext?.privileged);
    expect(privileged.map(({ name }) => name)).toEqual(['node', 'mounter']);
    for (const { securityContext } of containers) {
      expect(securityContext.readOnlyRootFilesystem).toBe(true);
      if (securityContext.privileged) continue;
      expect(securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      });
    }
    for (const spec of pods) {
      for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec[key]).toBeUndefined();
    }
  });

  test('are looked at by a checker that sees what is wrong with the other pods', () => {
    expect(restrictedViolations(daemonSetOf(objects, 'mounter'))).toEqual([
      'volume driver-dir: hostPath',
      'volume dev: hostPath',
      'volume emulated: hostPath',
      'container mounter: runAsUser 0',
      'container mounter: privileged',
      'container mounter: allowPrivilegeEscalation',
      'container mounter: capabilities.drop',
      'container mounter: runAsNonRoot',
      'container mounter: seccompProfile',
    ]);
  });

  test('reach the log by a claim that is bound to one volume of the host, and by its group', () => {
    const { containers, volumes, securityContext } = controllerOf(objects);
    expect(securityContext.supplementalGroups).toEqual([2222]);
    const mounts = containers[0].volumeMounts;
    for (const [name, path, mountPropagation] of [
      ['emulated', '/var/lib/famfs/emulated', undefined],
      ['pools', '/var/lib/famfs/csi.famfs.io/pools', 'HostToContainer'],
    ] as const) {
      const claim = `famfs-csi-${name}`;
      expect(named(volumes, name)).toEqual({ name, persistentVolumeClaim: { claimName: claim } });
      expect(named(mounts, name)).toMatchObject({ mountPath: path });
      expect(named(mounts, name).mountPropagation).toBe(mountPropagation);
      const volume = find(objects, 'PersistentVolume', claim).spec;
      expect(volume.hostPath.path).toBe(path);
      expect(volume.claimRef).toMatchObject({ namespace: 'storage', name: claim });
      expect(volume.persistentVolumeReclaimPolicy).toBe('Retain');
      const { spec } = find(objects, 'PersistentVolumeClaim', claim);
      expect([spec.volumeName, spec.storageClassName]).toEqual([claim, '']);
    }
  });

  test('mount only what the pools need', () => {
    const emulated = render(EMULATED);
    expect(named(daemonSetOf(emulated, 'mounter').volumes, 'dev')).toBeUndefined();
    expect(named(controllerOf(emulated).volumes, 'pools')).toBeUndefined();
    const onDevice = render(ON_DEVICE);
    expect(named(daemonSetOf(onDevice, 'mounter').volumes, 'emulated')).toBeUndefined();
    expect(named(controllerOf(onDevice).volumes, 'emulated')).toBeUndefined();
  });

  test('probe the driver itself, and never end a mounter by a probe', () => {
    const probes = [controllerOf(objects), daemonSetOf(objects, 'node')].map(({ containers }) =>
      containers.filter((one: KubeObject) => one.livenessProbe).map((one: KubeObject) => one.name),
    );
    expect(probes).toEqual([['controller'], ['node']]);
    for (const { containers } of [controllerOf(objects), daemonSetOf(objects, 'node')]) {
      for (const probe of [containers[0].livenessProbe, containers[0].readinessProbe]) {
        const ports = containers[0].ports.map(({ name }: { name: string }) => name);
        expect(ports).toContain(probe.httpGet.port);
      }
    }
    // A standby controller, and a node plugin that holds the mounts of a mounter that is away, are
    // healthy though they do not answer Probe with ready: to end them would do harm.
    for (const { containers } of [controllerOf(objects), daemonSetOf(objects, 'node')]) {
      expect(containers[0].livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'metrics' });
    }
    const [mounter] = daemonSetOf(objects, 'mounter').containers;
    expect([mounter.livenessProbe, mounter.startupProbe]).toEqual([undefined, undefined]);
    expect(find(objects, 'DaemonSet', 'famfs-csi-mounter').spec.updateStrategy).toEqual({
      type: 'OnDelete',
    });
  });

  test('give the mounter no token and no rights', () => {
    expect(daemonSetOf(objects, 'mounter').automountServiceAccountToken).toBe(false);
    const bindings = objects.filter(({ kind }) => kind.endsWith('RoleBinding'));
    const accounts = bindings.flatMap(({ subjects }) =>
      subjects.map((one: KubeObject) => one.name),
    );
    expect([...new Set(accounts)].sort()).toEqual(['famfs-csi-controller', 'famfs-csi-node']);
    const used = ['node', 'mounter'].map((name) => daemonSetOf(objects, name).serviceAccountName);
    expect(used).toEqual(['famfs-csi-node', 'famfs-csi-mounter']);
  });

  test('grant no wildcard, no secret, and no lease but the own ones by name', () => {
    const rules = objects
      .filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
      .flatMap((role) => role.rules as Record<string, string[]>[]);
    for (const rule of rules) {
      const all = [...(rule.apiGroups ?? []), ...(rule.resources ?? []), ...(rule.verbs ?? [])];
      expect(all).not.toContain('*');
      expect(all).not.toContain('secrets');
    }
    const leases = rules.filter(({ resources }) => resources?.includes('leases'));
    expect(leases.map(({ verbs, resourceNames }) => [verbs, resourceNames])).toEqual([
      [['create'], undefined],
      [
        ['get', 'update'],
        [
          'csi-famfs-io',
          'external-attacher-leader-csi-famfs-io',
          'famfs-csi-fast',
          'famfs-csi-famfs',
        ],
      ],
    ]);
  });

  test('say of the driver what csi.md decided', () => {
    expect(find(objects, 'CSIDriver', 'csi.famfs.io').spec).toEqual({
      attachRequired: true,
      podInfoOnMount: true,
      fsGroupPolicy: 'None',
      storageCapacity: true,
      requiresRepublish: false,
      seLinuxMount: false,
      volumeLifecycleModes: ['Persistent'],
    });
    const wanted = { ...EMULATED, csiDriver: { preventPodSchedulingIfMissing: true } };
    const { spec } = find(render(wanted), 'CSIDriver', 'csi.famfs.io');
    expect(spec.preventPodSchedulingIfMissing).toBe(true);
  });

  test('give every process options that it has', () => {
    const commands = { controller: controllerCommand(), node: nodeCommand() };
    const all = { ...commands, mounter: mounterCommand('main.js') };
    for (const [name, command] of Object.entries(all)) {
      const pod = name === 'controller' ? controllerOf(objects) : daemonSetOf(objects, name);
      const [verb, ...args] = pod.containers[0].args as string[];
      expect(verb).toBe(name);
      const known = command.options.map(({ long }) => long);
      const given = args.map((arg) => arg.replace(/=.*/, ''));
      expect(given.filter((option) => !known.includes(option))).toEqual([]);
    }
  });

  test('keep one controller from being drained alone, and spread two', () => {
    const names = (values: Values) => render({ ...EMULATED, ...values }).map(({ kind }) => kind);
    expect(names({})).toContain('PodDisruptionBudget');
    expect(names({ controller: { replicas: 1 } })).not.toContain('PodDisruptionBudget');
    const term = controllerOf(objects).affinity.podAntiAffinity;
    expect(Object.keys(term)).toEqual(['preferredDuringSchedulingIgnoredDuringExecution']);
    const { priorityClassName, nodeSelector } = controllerOf(objects);
    expect(priorityClassName).toBe('system-cluster-critical');
    expect(nodeSelector).toEqual({ 'kubernetes.io/os': 'linux' });
  });

  test('keep controller and mounter on the nodes that reach the memory', () => {
    const selected = render({ ...ON_DEVICE, node: { nodeSelector: { cxl: 'yes' } } });
    const wanted = { 'kubernetes.io/os': 'linux', cxl: 'yes' };
    expect(controllerOf(selected).nodeSelector).toEqual(wanted);
    for (const name of ['node', 'mounter']) {
      expect(daemonSetOf(selected, name).nodeSelector).toEqual(wanted);
    }
  });
});
