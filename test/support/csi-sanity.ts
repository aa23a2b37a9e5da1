import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import type { LocalCluster } from '../../src/cli/demo/local-cluster.ts';
import type { Requirement } from './requirements.ts';

const run = promisify(execFile);
const BUILD = join(__dirname, '..', 'tools', 'build.sh');
/** A first build compiles ginkgo and gRPC, on a small machine with nothing cached. */
export const BUILD_MS = 600_000;

/** Go, or the tool as go.mod pins it, built before. */
export const csiSanity: Requirement = () => {
  if (spawnSync('go', ['version']).status === 0) return undefined;
  if (spawnSync('bash', [BUILD, 'csi-sanity']).status === 0) return undefined;
  return 'csi-sanity is not built and Go, which builds it, is missing: install Go';
};

/** Path of the tool; builds it first where that is needed. */
export async function buildCsiSanity(): Promise<string> {
  const { stdout } = await run('bash', [BUILD, 'csi-sanity'], { timeout: BUILD_MS });
  return stdout.trim();
}

/** What became of a spec, by ginkgo's words. */
export interface Spec {
  /** The texts of its containers and its own: `Node Service › NodePublishVolume › should fail …` */
  readonly name: string;
  readonly state: string;
  /** Why it failed, or skipped itself; empty for the others. */
  readonly message: string;
}

export interface SanityRun {
  readonly specs: readonly Spec[];
  readonly exitCode: number;
  /** What it printed: the seed of the order, and every failure with its steps. */
  readonly output: string;
}

interface GinkgoReport {
  readonly SpecReports: readonly {
    readonly ContainerHierarchyTexts: readonly string[] | null;
    readonly LeafNodeText: string;
    readonly LeafNodeType: string;
    readonly State: string;
    readonly Failure?: { readonly Message: string };
  }[];
}

/** All of csi-sanity on the controller and the first node of a cluster, with nothing left out. */
export async function runCsiSanity(
  binary: string,
  cluster: LocalCluster,
  parameters: Readonly<Record<string, string>>,
  volumeBytes: number,
): Promise<SanityRun> {
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error('csi-sanity needs a node');
  const at = (name: string) => join(cluster.directory, name);
  const yaml = Object.entries(parameters).map(([key, value]) => `${key}: "${value}"\n`);
  writeFileSync(at('parameters.yaml'), yaml.join(''));
  const { exitCode, output } = await outcome(binary, [
    ...['--csi.endpoint', `unix://${node.csiSocket}`],
    ...['--csi.controllerendpoint', `unix://${cluster.controllerSocket}`],
    ...['--csi.mountdir', at('sanity-mount'), '--csi.stagingdir', at('sanity-staging')],
    ...['--csi.testvolumeparameters', at('parameters.yaml')],
    ...['--csi.testvolumesize', String(volumeBytes), '--csi.testnodevolumeattachlimit'],
    ...['--ginkgo.json-report', at('sanity.json'), '--ginkgo.no-color'],
  ]);
  const [report] = JSON.parse(readFileSync(at('sanity.json'), 'utf8')) as GinkgoReport[];
  const specs = (report?.SpecReports ?? []).map((spec) => ({
    name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' › '),
    state: spec.State,
    message: spec.Failure?.Message ?? '',
  }));
  return { specs, exitCode, output };
}

async function outcome(binary: string, args: string[]) {
  try {
    const { stdout } = await run(binary, args, { timeout: 120_000 });
    return { exitCode: 0, output: stdout };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as Record<string, string | undefined>;
    const exitCode = typeof code === 'number' ? code : -1;
    return { exitCode, output: `${messageOf(error)}\n${stdout}${stderr}` };
  }
}
