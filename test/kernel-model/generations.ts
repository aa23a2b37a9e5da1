import { MiB } from '../../src/base/numbers.ts';

/** A kernel with famfs, as far as its generation decides; fuse-famfs-abi.md. */
export interface FamfsFacts {
  /** How it learns devices: by asking (GET_DAXDEV), or by being told (DAXDEV_OPEN). */
  readonly devices: 'get-daxdev' | 'daxdev-open';
  /** GET_FMAP says how much room there is, and comes again with more. */
  readonly asksWithRoom: boolean;
  readonly interleaved: boolean;
  readonly extentsMax: number;
  readonly stripsMax: number;
  readonly devicesMax: number;
  readonly alignBytes: number;
}

export interface KernelFacts {
  /** INIT `flags2` that it offers. */
  readonly offersFlags2: number;
  /** Undefined: no famfs, whatever bit 43 says. */
  readonly famfs: FamfsFacts | undefined;
}

/** Of the recorded kernels; the one without bit 43 is the same without it. */
const FLAGS2_FAMFS = 0xdff;
const FLAGS2_URING = 0xfff;
const FLAGS2_PLAIN = 0x5ff;

const PULL: FamfsFacts = {
  devices: 'get-daxdev',
  asksWithRoom: false,
  interleaved: true,
  extentsMax: 32,
  stripsMax: 32,
  devicesMax: 1,
  alignBytes: 2 * MiB,
};
const PUSH2: FamfsFacts = {
  devices: 'daxdev-open',
  asksWithRoom: true,
  interleaved: true,
  extentsMax: Number.POSITIVE_INFINITY,
  stripsMax: Number.POSITIVE_INFINITY,
  devicesMax: 64,
  alignBytes: 4096,
};
const PUSH: FamfsFacts = { ...PUSH2, interleaved: false, devicesMax: 1, alignBytes: 2 * MiB };

export const KERNELS = {
  /** A stock kernel that does not offer bit 43. */
  stock: { offersFlags2: FLAGS2_PLAIN, famfs: undefined },
  /** A stock kernel with fuse.enable_uring=1: bit 43 means something else there. */
  'stock-bit43': { offersFlags2: FLAGS2_URING, famfs: undefined },
  pull: { offersFlags2: FLAGS2_FAMFS, famfs: PULL },
  push2: { offersFlags2: FLAGS2_FAMFS, famfs: PUSH2 },
  push: { offersFlags2: FLAGS2_FAMFS, famfs: PUSH },
} as const satisfies Record<string, KernelFacts>;

export type KernelName = keyof typeof KERNELS;
export const FAMFS_KERNELS = ['pull', 'push2', 'push'] as const;
