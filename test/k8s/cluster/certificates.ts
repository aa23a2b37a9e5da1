import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from './processes.ts';

export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** The test's own authority, and what it signs: files in one folder, for some hours. */
export class Certificates {
  readonly folder: string;
  readonly authority: Identity;
  /** Signs the tokens of service accounts, and checks them. */
  readonly serviceAccounts: { readonly key: string; readonly publicKey: string };

  private constructor(folder: string) {
    this.folder = folder;
    this.authority = this.#files('ca');
    this.serviceAccounts = {
      key: join(folder, 'service-accounts.key'),
      publicKey: join(folder, 'service-accounts.pub'),
    };
  }

  static async make(folder: string): Promise<Certificates> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const made = new Certificates(folder);
    const { certificate, key } = made.authority;
    await output([
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-nodes', '-days', '2', '-subj', '/CN=famfs-csi test', '-keyout', key],
      ...['-out', certificate],
    ]);
    const curve = ['-pkeyopt', 'ec_paramgen_curve:P-256'];
    const { serviceAccounts } = made;
    await output(['openssl', 'genpkey', '-algorithm', 'EC', ...curve, '-out', serviceAccounts.key]);
    await output([
      ...['openssl', 'pkey', '-in', serviceAccounts.key, '-pubout'],
      ...['-out', serviceAccounts.publicKey],
    ]);
    return made;
  }

  /** A key and its certificate, for a client (`organization` is its group) and for a server. */
  async issue(
    name: string,
    organization: string,
    names: readonly string[] = [],
  ): Promise<Identity> {
    const files = this.#files(name.replace(/[^a-z0-9-]/g, '-'));
    const request = `${files.certificate}.csr`;
    await output([
      ...['openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-nodes', '-subj', `/O=${organization}/CN=${name}`, '-keyout', files.key],
      ...['-out', request],
    ]);
    const extensions = ['extendedKeyUsage=clientAuth,serverAuth'];
    if (names.length > 0) extensions.push(`subjectAltName=${names.join(',')}`);
    const extensionFile = `${files.certificate}.ext`;
    writeFileSync(extensionFile, `${extensions.join('\n')}\n`);
    await output([
      ...['openssl', 'x509', '-req', '-in', request, '-days', '2', '-CAcreateserial'],
      ...['-CA', this.authority.certificate, '-CAkey', this.authority.key],
      ...['-extfile', extensionFile, '-out', files.certificate],
    ]);
    return files;
  }

  /** Writes a kubeconfig for an identity; returns its path. */
  kubeConfig(name: string, identity: Identity, server: string): string {
    const base64 = (path: string) => readFileSync(path).toString('base64');
    const file = join(this.folder, `${name}.kubeconfig`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'test',
          cluster: { server, 'certificate-authority-data': base64(this.authority.certificate) },
        },
      ],
      users: [
        {
          name,
          user: {
            'client-certificate-data': base64(identity.certificate),
            'client-key-data': base64(identity.key),
          },
        },
      ],
      contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
      'current-context': 'test',
    };
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    return file;
  }

  #files(name: string): Identity {
    return {
      certificate: join(this.folder, `${name}.crt`),
      key: join(this.folder, `${name}.key`),
    };
  }
}
