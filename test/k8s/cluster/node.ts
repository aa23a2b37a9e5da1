import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { makeCgroup } from './cgroups.ts';
import { API_SERVER } from './control-plane.ts';
import { Daemon, type Finished, finish, output } from './processes.ts';
import { until } from './wait.ts';

const CONTAINERD = '/run/containerd/containerd.sock';
export const PAUSE_IMAGE = 'famfs-test/pause:1';

/** Where the test has things that all nodes use. */
export interface NodePlaces {
  readonly folder: string;
  /** The emulated fabric: one folder of memory, which each node sees as its own. */
  readonly fabric: string;
  readonly cniPrograms: string;
  readonly runc: string;
  /** Parent of the nodes' cgroups, in each hierarchy. */
  readonly cgroup: string;
}

/**
 * A node: containerd and a kubelet in mount and UTS namespaces of their own. So each has its own
 * /var/lib/kubelet, /var/lib/famfs and /run at the paths that everybody knows, and all that is
 * mounted there goes with the namespace. The network is the test's: both nodes, one bridge.
 */
export class Node {
  readonly name: string;
  readonly daemons: Daemon[] = [];
  readonly #address: string;
  readonly #folder: string;
  readonly #places: NodePlaces;
  #namespaces: Daemon | undefined;

  constructor(index: number, places: NodePlaces) {
    this.name = `node${index}`;
    this.#address = `10.98.0.${index}`;
    this.#folder = join(places.folder, this.name);
    this.#places = places;
  }

  /** Starts it, with its images loaded before it registers. */
  async start(certificates: Certificates, images: readonly string[]): Promise<void> {
    await output(['ip', 'address', 'add', `${this.#address}/32`, 'dev', 'lo']);
    await this.#makeNamespaces();
    this.#writeContainerdConfig();
    this.#start('containerd', ['containerd', '--config', join(this.#folder, 'containerd.toml')]);
    await until(`${this.name}: containerd answers`, async () => {
      for (const daemon of this.daemons) daemon.mustRun();
      return (await this.run(['ctr', '--address', CONTAINERD, 'version'])).code === 0 || undefined;
    });
    const identity = await certificates.issue(`system:node:${this.name}`, 'system:nodes');
    const kubeConfig = certificates.kubeConfig(this.name, identity, API_SERVER);
    await this.#loadImages(images);
    this.#writeKubeletConfig(certificates.authority.certificate);
    this.#start('kubelet', [
      'kubelet',
      `--config=${join(this.#folder, 'kubelet.json')}`,
      `--kubeconfig=${kubeConfig}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.#address}`,
      '--v=2',
    ]);
  }

  /** Runs a program as on this node. */
  run(command: readonly string[]): Promise<Finished> {
    return finish(this.#enter(command));
  }

  output(command: readonly string[]): Promise<string> {
    return output(this.#enter(command));
  }

  async #loadImages(archives: readonly string[]): Promise<void> {
    const load = ['ctr', '--address', CONTAINERD, '-n', 'k8s.io', 'images', 'import'];
    for (const archive of archives) await this.output([...load, archive]);
  }

  async stop(): Promise<void> {
    for (const daemon of [...this.daemons].reverse()) await daemon.stop();
    await this.#namespaces?.stop('SIGKILL');
  }

  /** Ends all its processes at once, daemons and pods, with no time to do anything. */
  async kill(): Promise<void> {
    await until(`${this.name}: nothing runs`, () => {
      const left = this.#processes();
      for (const pid of left) killHard(pid);
      return left.length === 0 || undefined;
    });
    await this.#namespaces?.stop('SIGKILL');
  }

  /** Those in its mount namespace, but for the one that holds it; and those of pods, by cgroup. */
  #processes(): number[] {
    const root = this.#namespaces?.pid ?? 0;
    const namespace = mountNamespaceOf(root);
    const group = `/${this.#cgroup}/`;
    return pids().filter((pid) => {
      const isDaemon = pid !== root && mountNamespaceOf(pid) === namespace;
      return isDaemon || cgroupsOf(pid).includes(group);
    });
  }

  #enter(command: readonly string[]): string[] {
    const pid = String(this.#namespaces?.pid ?? 0);
    return ['nsenter', '--target', pid, '--mount', '--uts', '--wd=/', '--', ...command];
  }

  #start(name: string, command: readonly string[]): Daemon {
    const log = join(this.#folder, `${name}.log`);
    const daemon = new Daemon(`${name} of ${this.name}`, this.#enter(command), log);
    this.daemons.push(daemon);
    return daemon;
  }

  async #makeNamespaces(): Promise<void> {
    for (const name of ['var-lib/famfs/emulated', 'log', 'sysctl']) {
      mkdirSync(join(this.#folder, name), { recursive: true });
    }
    makeCgroup(this.#cgroup);
    const script = join(this.#folder, 'namespaces.sh');
    const log = join(this.#folder, 'namespaces.log');
    writeFileSync(script, namespaceScript(this.name, this.#folder, this.#places.fabric));
    this.#namespaces = new Daemon(
      `namespaces of ${this.name}`,
      ['unshare', '--mount', '--uts', '--', 'bash', '-euo', 'pipefail', script],
      log,
    );
    await until(`${this.name}: namespaces`, () => {
      this.#namespaces?.mustRun();
      return this.#namespaces?.lastLines(1) === 'ready' || undefined;
    });
  }

  get #cgroup(): string {
    return join(this.#places.cgroup, this.name);
  }

  #writeContainerdConfig(): void {
    const { cniPrograms, folder, runc } = this.#places;
    const conf = join(this.#folder, 'cni');
    mkdirSync(conf);
    writeFileSync(join(conf, '10-bridge.conflist'), JSON.stringify(bridge(join(folder, 'ipam'))));
    writeFileSync(
      join(this.#folder, 'containerd.toml'),
      `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "${CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
# A machine whose root lacks CAP_SYS_RESOURCE cannot lower a score; it is no matter here.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${cniPrograms}"
conf_dir = "${conf}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "${runc}"
SystemdCgroup = false
`,
    );
  }

  #writeKubeletConfig(authority: string): void {
    const config = {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: this.#address,
      healthzBindAddress: this.#address,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: authority },
      },
      authorization: { mode: 'Webhook' },
      containerRuntimeEndpoint: `unix://${CONTAINERD}`,
      cgroupDriver: 'cgroupfs',
      cgroupRoot: this.#cgroup,
      failCgroupV1: false,
      failSwapOn: false,
      // Only what pods ask for is held to anything; the machine is not the test's alone.
      enforceNodeAllocatable: [],
      cpuCFSQuota: false,
      oomScoreAdj: 0,
      makeIPTablesUtilChains: false,
      serializeImagePulls: false,
      imageGCHighThresholdPercent: 100,
      evictionHard: { 'memory.available': '100Mi' },
      // No name service runs; pods are told of one, as they are everywhere.
      clusterDNS: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      resolvConf: '',
    };
    writeFileSync(join(this.#folder, 'kubelet.json'), JSON.stringify(config));
  }
}

function pids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Empty for a process that has ended. */
function mountNamespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return '';
  }
}

/** Of one that has ended and is not waited for yet, too: it is in none. */
function cgroupsOf(pid: number): string {
  try {
    return mountNamespaceOf(pid) === '' ? '' : readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return '';
  }
}

function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Pods of both nodes on one bridge; the addresses are given out from one folder. */
function bridge(addresses: string): object {
  const ipam = {
    type: 'host-local',
    dataDir: addresses,
    ranges: [[{ subnet: '10.97.0.0/16' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return {
    cniVersion: '0.4.0',
    name: 'famfs-test',
    plugins: [{ type: 'bridge', bridge: 'cni0', isGateway: true, ipam }],
  };
}

/** What kubelet wants of the kernel. It finds these there, and leaves the machine's own alone. */
const SYSCTLS = {
  'vm/overcommit_memory': 1,
  'vm/panic_on_oom': 0,
  'kernel/panic': 10,
  'kernel/panic_on_oops': 1,
  'kernel/keys/root_maxkeys': 1_000_000,
  'kernel/keys/root_maxbytes': 25_000_000,
};

function namespaceScript(name: string, folder: string, fabric: string): string {
  const sysctls = Object.entries(SYSCTLS).map(([path, value]) => {
    const file = join(folder, 'sysctl', path.replaceAll('/', '.'));
    return `echo ${value} > ${file}; mount --bind ${file} /proc/sys/${path}`;
  });
  return `hostname ${name}
mount --bind ${folder}/var-lib /var/lib
mount --bind ${folder}/log /var/log
mount --bind ${fabric} /var/lib/famfs/emulated
mount -t tmpfs -o mode=755 tmpfs /run
${sysctls.join('\n')}
mount --make-rshared /
echo ready
exec sleep infinity
`;
}
