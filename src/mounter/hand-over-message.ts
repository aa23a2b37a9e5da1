import { closeSync } from 'node:fs';
import { z } from 'zod';
import { Fault } from '../base/errors.ts';
import { GENERATIONS } from '../fs/data-path.ts';
import type { Negotiated } from '../fuse/init.ts';
import { DESCRIPTORS_MAX, type DescriptorMessage } from '../native/descriptor-socket.ts';
import { FileLock } from '../native/file-lock.ts';
import type { SessionFacts } from './sessions.ts';

/** Mounts that one message carries, with a descriptor each, beside the lock's. */
export const MOUNTS_MAX = DESCRIPTORS_MAX - 1;

/** A mount as one keeper gives it to another. */
export interface GivenMount {
  readonly pool: string;
  /** `major:minor`, by which the other finds the mount in its own table. */
  readonly connection: string;
  /** Whether the old keeper had a server that served it: then the new one must, too. */
  readonly isServed: boolean;
  readonly facts: SessionFacts;
  readonly fuseFd: number;
}

export interface Given {
  /** The lock of the mount root, shared while both keepers live: it is never free between them. */
  readonly lock: FileLock;
  readonly mounts: readonly GivenMount[];
}

const count = z.number().int().nonnegative();

/** Loose: a keeper of another release may know more. */
const facts = z.looseObject({
  negotiated: z.looseObject({
    minor: count,
    flags: count,
    flags2: count,
    maxReadaheadBytes: count,
    maxWriteBytes: count,
    canResend: z.boolean(),
  }),
  generation: z.enum(GENERATIONS),
  dataPathReason: z.string(),
  devices: z.array(z.looseObject({ path: z.string() })),
  switched: z.array(z.string()),
});

const message = z.object({
  v: z.literal(1),
  mounts: z.array(
    z.object({
      pool: z.string(),
      connection: z.string().regex(/^\d+:\d+$/),
      isServed: z.boolean(),
      facts,
    }),
  ),
});

export function encodeGiven({ lock, mounts }: Given): DescriptorMessage {
  const told = mounts.map(({ fuseFd: _, ...rest }) => rest);
  return {
    text: JSON.stringify({ v: 1, mounts: told }),
    fds: [lock.fd, ...mounts.map(({ fuseFd }) => fuseFd)],
  };
}

/** UNSUPPORTED for anything else; the descriptors are closed then. */
export function decodeGiven({ text, fds }: DescriptorMessage): Given {
  try {
    const { mounts } = message.parse(JSON.parse(text));
    const [lock, ...fuse] = fds;
    if (lock === undefined || fuse.length !== mounts.length) {
      throw new Fault(
        'INVALID',
        `${fds.length} descriptors for ${mounts.length} mounts and a lock`,
      );
    }
    return {
      lock: FileLock.adopt(lock),
      mounts: mounts.map((one, at) => ({
        ...one,
        facts: { ...one.facts, negotiated: one.facts.negotiated as unknown as Negotiated },
        fuseFd: fuse[at] as number,
      })),
    };
  } catch (cause) {
    for (const fd of fds) closeSync(fd);
    throw new Fault('UNSUPPORTED', 'hand-over: the other keeper sent what is not understood here', {
      cause,
    });
  }
}
