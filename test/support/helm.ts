import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import type { Requirement } from './requirements.ts';

const BUILD = join(__dirname, '..', 'tools', 'build.sh');
export const CHART = join(__dirname, '..', '..', 'charts', 'famfs-csi');
/** A first build compiles Kubernetes' client, on a small machine with nothing cached. */
export const HELM_BUILD_MS = 900_000;

let built: string | undefined;

function helmBinary(): string {
  if (built !== undefined) return built;
  const ran = spawnSync('bash', [BUILD, 'helm'], { encoding: 'utf8', timeout: HELM_BUILD_MS });
  if (ran.status !== 0) throw new Error(`test/tools/build.sh helm: ${ran.stderr}`);
  built = ran.stdout.trim();
  return built;
}

/** Go, or Helm as test/tools/helm/go.mod pins it, built before. */
export const helm: Requirement = () => {
  if (spawnSync('go', ['version']).status === 0) return undefined;
  if (spawnSync('bash', [BUILD, 'helm']).status === 0) return undefined;
  return 'helm is not built and Go, which builds it, is missing: install Go';
};

export type Values = Readonly<Record<string, unknown>>;

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: of any kind
  readonly [field: string]: any;
}

/** What `helm template` prints, without the CRDs; throws with what it says where it refuses. */
export function renderText(values: Values, release = 'famfs'): string {
  const sets = Object.entries(values).flatMap(([key, value]) => [
    '--set-json',
    `${key}=${JSON.stringify(value)}`,
  ]);
  const args = ['template', release, CHART, '--namespace', 'storage', ...sets];
  const ran = spawnSync(helmBinary(), args, { encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return ran.stdout.replace(/[ \t]+$/gm, '').replace(/\n{2,}/g, '\n');
}

export function render(values: Values, release = 'famfs'): KubeObject[] {
  return parseObjects(renderText(values, release));
}

export function parseObjects(text: string): KubeObject[] {
  const objects = loadAll(text) as (KubeObject | null)[];
  return objects.filter((object) => object !== null);
}

/** The object of that kind and name; fails where there is none. */
export function find(objects: readonly KubeObject[], kind: string, name: string): KubeObject {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  if (found !== undefined) return found;
  const names = objects.map((one) => `${one.kind} ${one.metadata.name}`).join(', ');
  throw new Error(`no ${kind} ${name} among ${names}`);
}

/** The first line with a reason that Helm gives for refusing these values. */
export function refusal(values: Values): string {
  let text: string;
  try {
    text = renderText(values);
  } catch (error) {
    return String((error as Error).message);
  }
  throw new Error(`these values were taken: ${text.slice(0, 100)}`);
}

export const EMULATED: Values = { emulatedFabric: { enabled: true } };
export const ON_DEVICE: Values = { pools: [{ name: 'fast', devices: [{ path: '/dev/dax0.0' }] }] };
