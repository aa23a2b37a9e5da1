import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Api } from './api.ts';
import type { Certificates } from './certificates.ts';
import { Daemon } from './processes.ts';
import { until } from './wait.ts';

/**
 * The address of the API server, and of the service `kubernetes` that pods ask: it is an address of
 * the test's own network namespace, so pods reach it by their gateway, without a kube-proxy.
 */
export const API_ADDRESS = '10.96.0.1';
export const API_SERVER = `https://${API_ADDRESS}:443`;
const SERVICE_RANGE = '10.96.0.0/24';
const ETCD = 'http://127.0.0.1:2379';

/** Who did what to which object, once it is answered; nobody's bodies, and no reads of leases. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata' }],
};

export interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource: string;
    readonly apiGroup?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number };
}

/** etcd, the API server, the controller manager and the scheduler. */
export class ControlPlane {
  readonly daemons: Daemon[] = [];
  readonly adminConfig: string;
  readonly api: Api;
  readonly #folder: string;
  readonly #auditLog: string;

  private constructor(folder: string, adminConfig: string, api: Api) {
    this.#folder = folder;
    this.adminConfig = adminConfig;
    this.api = api;
    this.#auditLog = join(folder, 'audit.log');
  }

  static async start(folder: string, certificates: Certificates): Promise<ControlPlane> {
    const admin = await certificates.issue('admin', 'system:masters');
    const plane = new ControlPlane(
      folder,
      certificates.kubeConfig('admin', admin, API_SERVER),
      new Api(API_ADDRESS, certificates.authority.certificate, admin),
    );
    plane.#start('etcd', [
      ...['etcd', '--data-dir', join(folder, 'etcd'), '--unsafe-no-fsync'],
      ...['--listen-client-urls', ETCD, '--advertise-client-urls', ETCD],
      ...['--listen-peer-urls', 'http://127.0.0.1:2380'],
    ]);
    await plane.#startApiServer(certificates);
    for (const [name, user] of [
      ['kube-controller-manager', 'system:kube-controller-manager'],
      ['kube-scheduler', 'system:kube-scheduler'],
    ] as const) {
      const identity = await certificates.issue(user, user);
      const config = certificates.kubeConfig(name, identity, API_SERVER);
      const extra = name === 'kube-scheduler' ? [] : controllerManagerArgs(certificates);
      plane.#start(name, [
        ...[name, `--kubeconfig=${config}`, '--leader-elect=false', '--bind-address=127.0.0.1'],
        ...extra,
      ]);
    }
    return plane;
  }

  async #startApiServer(certificates: Certificates): Promise<void> {
    const serving = await certificates.issue('kube-apiserver', 'system:masters', [
      `IP:${API_ADDRESS}`,
      'IP:127.0.0.1',
      'DNS:kubernetes.default.svc',
    ]);
    const policy = join(this.#folder, 'audit-policy.json');
    writeFileSync(policy, JSON.stringify(AUDIT_POLICY));
    const { key, publicKey } = certificates.serviceAccounts;
    this.#start('kube-apiserver', [
      'kube-apiserver',
      `--etcd-servers=${ETCD}`,
      `--bind-address=${API_ADDRESS}`,
      `--advertise-address=${API_ADDRESS}`,
      '--secure-port=443',
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      '--allow-privileged=true',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      `--client-ca-file=${certificates.authority.certificate}`,
      `--tls-cert-file=${serving.certificate}`,
      `--tls-private-key-file=${serving.key}`,
      `--kubelet-client-certificate=${serving.certificate}`,
      `--kubelet-client-key=${serving.key}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${publicKey}`,
      `--service-account-signing-key-file=${key}`,
      `--audit-policy-file=${policy}`,
      `--audit-log-path=${this.#auditLog}`,
      // Of a node's addresses the one that the test gave it; there is no name service.
      '--kubelet-preferred-address-types=InternalIP',
      '--profiling=false',
    ]);
    await until('the API server is ready', async () => {
      for (const daemon of this.daemons) daemon.mustRun();
      return (await this.api.ask('GET', 'readyz')).body === 'ok' || undefined;
    });
  }

  #start(name: string, command: readonly string[]): Daemon {
    const daemon = new Daemon(name, command, join(this.#folder, `${name}.log`));
    this.daemons.push(daemon);
    return daemon;
  }

  /** Everything that the API server was asked until now, in the order of the answers. */
  auditEvents(): AuditEvent[] {
    const lines = readFileSync(this.#auditLog, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditEvent);
  }

  async stop(): Promise<void> {
    this.api.close();
    for (const daemon of [...this.daemons].reverse()) await daemon.stop();
  }
}

function controllerManagerArgs(certificates: Certificates): string[] {
  return [
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${certificates.serviceAccounts.key}`,
    `--root-ca-file=${certificates.authority.certificate}`,
    '--profiling=false',
  ];
}
