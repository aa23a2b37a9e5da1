import type { Acks, NodeAck, PoolName } from './acks.ts';

/** What a mounter says of a pool; as its protocol has it. */
interface MountedPool {
  readonly mount?:
    | {
        readonly fsUuid: string;
        readonly logPosition: number;
        readonly logGeneration: number;
      }
    | undefined;
  readonly usage?: { readonly heldInodes?: readonly number[] | undefined } | undefined;
}

export interface AskedMounter {
  /** For people: its socket. */
  readonly name: string;
  status(): Promise<{ readonly pools: readonly MountedPool[] }>;
}

/**
 * Without Kubernetes: the mounters that the controller was told of, each asked at its socket. One
 * that does not answer is waited for. Pools are told apart by their uuid: their names are each
 * mounter's own.
 */
export class MounterAcks implements Acks {
  readonly #mounters: readonly AskedMounter[];
  /** By pool's uuid and mounter: what it said last, however long ago. */
  readonly #last = new Map<string, NodeAck>();

  constructor(mounters: readonly AskedMounter[]) {
    this.#mounters = mounters;
  }

  known({ fsUuid }: PoolName): readonly NodeAck[] {
    return this.#mounters.map(({ name }) => this.#last.get(keyOf(fsUuid, name)) ?? { node: name });
  }

  async ask(pool: PoolName): Promise<readonly NodeAck[]> {
    await this.refresh(pool);
    return this.known(pool);
  }

  /** Never throws. */
  async refresh({ fsUuid }: PoolName): Promise<void> {
    await Promise.all(
      this.#mounters.map(async (mounter) => {
        const ack = await askOne(mounter, fsUuid).catch(() => undefined);
        if (ack !== undefined) this.#last.set(keyOf(fsUuid, mounter.name), ack);
      }),
    );
  }
}

/** Undefined: it has not the pool mounted now, which says nothing of what its kernel refers to. */
async function askOne(mounter: AskedMounter, fsUuid: string): Promise<NodeAck | undefined> {
  const { pools } = await mounter.status();
  const found = pools.find(({ mount }) => mount?.fsUuid === fsUuid);
  if (found?.mount === undefined) return undefined;
  const { logGeneration: generation, logPosition: position } = found.mount;
  const inodes = found.usage?.heldInodes;
  return {
    node: mounter.name,
    said: {
      fsUuid,
      place: { generation, position },
      held: inodes === undefined ? 'unknown' : new Set(inodes),
      saidAt: new Date().toISOString(),
    },
  };
}

function keyOf(fsUuid: string, mounter: string): string {
  return `${fsUuid} ${mounter}`;
}
