import type { KubeObject } from '../support/helm.ts';

type PodSpec = KubeObject['spec'];
type Container = KubeObject['spec'];

/** What "restricted" permits: kubernetes.io/docs/concepts/security/pod-security-standards */
const VOLUME_TYPES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];
const SECCOMP = ['RuntimeDefault', 'Localhost'];
const SELINUX_TYPES = [
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
];
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
];

/** How a pod breaks the Pod Security level "restricted", of which "baseline" is a part. */
export function restrictedViolations(spec: PodSpec): string[] {
  const pod = spec.securityContext ?? {};
  const found: string[] = [];
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) if (spec[key]) found.push(key);
  for (const volume of spec.volumes ?? []) {
    const types = Object.keys(volume).filter((key) => key !== 'name');
    for (const type of types) {
      if (!VOLUME_TYPES.includes(type)) found.push(`volume ${volume.name}: ${type}`);
    }
  }
  for (const { name } of pod.sysctls ?? []) {
    if (!SAFE_SYSCTLS.includes(name)) found.push(`sysctl ${name}`);
  }
  found.push(...contextViolations('pod', pod));
  for (const container of containersOf(spec)) {
    const own = container.securityContext ?? {};
    const merged = { ...pod, ...own };
    const at = `container ${container.name}`;
    found.push(...contextViolations(at, own), ...containerViolations(at, container));
    if (merged.runAsNonRoot !== true) found.push(`${at}: runAsNonRoot`);
    if (!SECCOMP.includes(merged.seccompProfile?.type)) found.push(`${at}: seccompProfile`);
  }
  return found;
}

export function containersOf(spec: PodSpec): Container[] {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = spec;
  return [...initContainers, ...containers, ...ephemeralContainers];
}

/** What may be wrong in the security context of a pod, and of a container too. */
function contextViolations(at: string, context: Container): string[] {
  const found: string[] = [];
  if (context.runAsUser === 0) found.push(`${at}: runAsUser 0`);
  if (context.runAsNonRoot === false) found.push(`${at}: runAsNonRoot false`);
  if (context.seccompProfile?.type === 'Unconfined') found.push(`${at}: seccomp Unconfined`);
  if (context.appArmorProfile?.type === 'Unconfined') found.push(`${at}: AppArmor Unconfined`);
  if (context.windowsOptions?.hostProcess) found.push(`${at}: hostProcess`);
  const { type = '', user, role } = context.seLinuxOptions ?? {};
  if (!SELINUX_TYPES.includes(type) || user || role) found.push(`${at}: seLinuxOptions`);
  return found;
}

function containerViolations(at: string, container: Container): string[] {
  const found: string[] = [];
  const context = container.securityContext ?? {};
  const { add = [], drop = [] } = context.capabilities ?? {};
  if (context.privileged) found.push(`${at}: privileged`);
  if (context.allowPrivilegeEscalation !== false) found.push(`${at}: allowPrivilegeEscalation`);
  if (!drop.includes('ALL')) found.push(`${at}: capabilities.drop`);
  for (const name of add) if (name !== 'NET_BIND_SERVICE') found.push(`${at}: adds ${name}`);
  if (![undefined, 'Default'].includes(context.procMount)) found.push(`${at}: procMount`);
  for (const { hostPort } of container.ports ?? []) if (hostPort) found.push(`${at}: hostPort`);
  const probes = ['livenessProbe', 'readinessProbe', 'startupProbe'].map((key) => container[key]);
  const hooks = [container.lifecycle?.postStart, container.lifecycle?.preStop];
  for (const probe of [...probes, ...hooks]) {
    if (probe?.httpGet?.host || probe?.tcpSocket?.host) found.push(`${at}: probe of a host`);
  }
  return found;
}
