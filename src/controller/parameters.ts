import { z } from 'zod';
import { Fault } from '../base/errors.ts';
import { isPowerOfTwo, MiB, parseSize } from '../base/numbers.ts';
import type { DataPathDemand } from '../csi/capability.ts';
import type { Layout } from '../format/allocator.ts';

/** A StorageClass, as CreateVolume needs it. */
export interface StorageClass {
  /** Name of the pool; undefined leaves it to a controller with one pool. */
  readonly pool: string | undefined;
  readonly dataPath: DataPathDemand;
  readonly fileName: string;
  /** Permission bits of the file. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly layout: Layout;
}

const ALLOC_UNIT_BYTES = 2 * MiB;
const MAX_FILE_NAME_BYTES = 38; // a path in the log has 79 bytes: 40 of a volume id, "/", these
const MAX_ID = 0xffff_fffe; // 2^32 - 1 means "none" to chown(2)

/** Added by the provisioner's --extra-create-metadata; they say who asked and change nothing. */
const METADATA = [
  'csi.storage.k8s.io/pvc/name',
  'csi.storage.k8s.io/pvc/namespace',
  'csi.storage.k8s.io/pv/name',
];

function text(pattern: RegExp, expected: string) {
  return z.string().regex(pattern, { error: expected });
}

function id() {
  const expected = `a number from 0 to ${MAX_ID}`;
  return text(/^\d{1,10}$/, expected)
    .transform(Number)
    .refine((value) => value <= MAX_ID, { error: expected });
}

const SCHEMA = z.strictObject({
  pool: z.string().min(1, { error: 'the name of a pool' }).optional(),
  dataPath: z.enum(['dax', 'any'], { error: 'dax or any' }).default('dax'),
  fileName: text(
    /^[^./\s\p{Cc}][^/\p{Cc}]*$/u,
    `a file name of at most ${MAX_FILE_NAME_BYTES} bytes without "/" or control characters that ` +
      'does not begin with "."',
  )
    .refine((name) => Buffer.byteLength(name) <= MAX_FILE_NAME_BYTES, {
      error: `at most ${MAX_FILE_NAME_BYTES} bytes`,
    })
    .default('data'),
  // Who may mount a volume is settled by who holds its claim, as with emptyDir: by default any
  // user of those pods can use it. The log fixes owner and mode for ever, fsGroup cannot help.
  mode: text(/^0?[0-7]{3}$/, 'permission bits in octal such as 0660')
    .default('0666')
    .transform((octal) => Number.parseInt(octal, 8)),
  uid: id().default(0),
  gid: id().default(0),
  strips: text(/^([0-9]|1[0-6])$/, 'a number of strips from 2 to 16, or 0 for contiguous files')
    .transform(Number)
    .default(0),
  chunkSize: z.string().optional(),
});

/** The names of all StorageClass parameters. */
export const PARAMETER_NAMES: readonly string[] = Object.keys(SCHEMA.shape);

/**
 * Checks the parameters of a StorageClass against the closed schema. INVALID names the key, what
 * was found and what is expected; an unknown key is refused with the list of those that exist.
 */
export function parseParameters(parameters: Readonly<Record<string, string>>): StorageClass {
  const own = Object.entries(parameters).filter(([key]) => !METADATA.includes(key));
  const parsed = SCHEMA.safeParse(Object.fromEntries(own));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    if (issue?.code === 'unrecognized_keys') {
      throw new Fault(
        'INVALID',
        `parameters.${issue.keys[0]}: unknown, expected one of ${PARAMETER_NAMES.join(', ')}`,
      );
    }
    const key = String(issue?.path[0]);
    throw new Fault(
      'INVALID',
      `parameters.${key}: found "${parameters[key]}", expected ${issue?.message}`,
    );
  }
  const { pool, strips, chunkSize, ...file } = parsed.data;
  return { ...file, pool, layout: layoutOf(strips, chunkSize) };
}

/**
 * One bucket a strip: every strip may then take any extent of its share of the device, which
 * leaves the largest files possible.
 */
function layoutOf(strips: number, chunkSize: string | undefined): Layout {
  if (strips < 2) {
    if (chunkSize === undefined) return { strips: 0 };
    throw new Fault(
      'INVALID',
      `parameters.chunkSize: found "${chunkSize}" for a contiguous file, expected it only ` +
        'together with strips of 2 or more',
    );
  }
  const chunkBytes = chunkSize === undefined ? ALLOC_UNIT_BYTES : parseChunkSize(chunkSize);
  if (!isPowerOfTwo(chunkBytes) || chunkBytes < ALLOC_UNIT_BYTES) {
    throw new Fault(
      'INVALID',
      `parameters.chunkSize: found "${chunkSize}", expected a power of two of at least 2 MiB`,
    );
  }
  return { strips, buckets: strips, chunkBytes };
}

/** Takes `4Mi`, as Kubernetes writes quantities, besides what the command line takes. */
function parseChunkSize(chunkSize: string): number {
  return parseSize('parameters.chunkSize', chunkSize.replace(/i$/, 'iB'));
}
