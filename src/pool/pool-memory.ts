import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Mapping } from '../native/mapping.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { META_DIRECTORY, MetaMemory } from './meta-memory.ts';

/** Memory that holds a pool's superblock and log, and maybe its files. */
export interface PoolMemory extends SharedMemory {
  readonly writable: boolean;
}

/**
 * What a pool can be reached by: its device (raw devdax, or the file of an emulated fabric), mapped
 * whole; or the directory where the pool is mounted, where the kernel holds the device.
 */
export function openPoolMemory(path: string, options: { writable: boolean }): Mapping | MetaMemory {
  const isMount = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isMount
    ? MetaMemory.open(join(path, META_DIRECTORY), options)
    : Mapping.open(path, options);
}
