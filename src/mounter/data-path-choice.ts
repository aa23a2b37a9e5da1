import { statSync } from 'node:fs';
import { Fault } from '../base/errors.ts';
import type { Generation } from '../fs/data-path.ts';
import type { KernelVerdict } from './probe.ts';

/** What the mounter was told: the best that works, or one and no other. */
export const DATA_PATH_OPTIONS = ['auto', 'buffered', 'dax'] as const;
export type DataPathOption = (typeof DATA_PATH_OPTIONS)[number];

export interface DataPathChoice {
  /** `push2` may turn out to be `push`. */
  readonly generation: Generation;
  /** For the log, the operator and the node plugin. */
  readonly reason: string;
}

/** PRECONDITION where `dax` is demanded and device or kernel cannot give it. */
export function chooseDataPath(
  option: DataPathOption,
  devices: readonly string[],
  verdict: KernelVerdict,
): DataPathChoice {
  const obstacle = obstacleTo(option, devices, verdict);
  if (obstacle === undefined) {
    const generation = verdict.generation === 'pull' ? 'pull' : 'push2';
    return { generation, reason: verdict.evidence };
  }
  if (option !== 'dax') return { generation: 'buffered', reason: obstacle };
  throw new Fault('PRECONDITION', `${devices[0]}: no dax path: ${obstacle}; see famfs-csi doctor`);
}

function obstacleTo(
  option: DataPathOption,
  devices: readonly string[],
  verdict: KernelVerdict,
): string | undefined {
  if (option === 'buffered') return 'the mounter was started with --data-path buffered';
  if (!devices.every((device) => statSync(device).isCharacterDevice())) {
    return 'the pool is a file, an emulated fabric; the dax path needs a dax device';
  }
  return verdict.generation === 'none' ? verdict.evidence : undefined;
}
