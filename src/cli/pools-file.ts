import { readFileSync } from 'node:fs';
import { normalize } from 'node:path';
import { z } from 'zod';
import { codeOf, Fault, messageOf } from '../base/errors.ts';
import { isPowerOfTwo, MiB } from '../base/numbers.ts';
import { DATA_PATH_OPTIONS, type DataPathOption } from '../mounter/data-path-choice.ts';

/** A pool as the file given by `--config` has it, checked. */
export interface ConfiguredPool {
  readonly name: string;
  /** By devindex; each a path, or `uuid:` and a device's uuid. At least one. */
  readonly devices: readonly [string, ...string[]];
  /** Whether the mounter formats memory that is blank; anything else it leaves alone. */
  readonly format: 'never' | 'ifBlank';
  readonly dataPath: DataPathOption;
  /** A file stands for the one device; the mounter makes it where it is missing. */
  readonly emulated: { readonly sizeBytes: number; readonly logSizeBytes?: number } | undefined;
}

const MIN_LOG_BYTES = 8 * MiB;
const MAX_LOG_BYTES = 1024 * MiB;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const path = z
  .string()
  .refine((text) => text.startsWith('/') && !text.split('/').includes('..'), {
    error: 'an absolute path without ".."',
  })
  .transform((text) => normalize(text));

const device = z
  .strictObject({
    path: path.optional(),
    uuid: z.string().regex(UUID, { error: 'a uuid' }).optional(),
  })
  .refine((one) => (one.path === undefined) !== (one.uuid === undefined), {
    error: 'either a path or a uuid',
  })
  .transform((one) => one.path ?? `uuid:${one.uuid?.toLowerCase()}`);

const sizeBytes = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);

const pool = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, {
      error: 'at most 40 lower-case letters, digits and dashes',
    }),
    devices: z.tuple([device], device, { error: 'at least one device' }),
    format: z.enum(['never', 'ifBlank'], { error: 'never or ifBlank' }).default('never'),
    dataPath: z.enum(DATA_PATH_OPTIONS, { error: DATA_PATH_OPTIONS.join(' or ') }).default('auto'),
    emulated: z
      .strictObject({
        sizeBytes,
        logSizeBytes: sizeBytes
          .refine((size) => isPowerOfTwo(size) && size >= MIN_LOG_BYTES && size <= MAX_LOG_BYTES, {
            error: `a power of two from ${MIN_LOG_BYTES} to ${MAX_LOG_BYTES}`,
          })
          .optional(),
      })
      .optional(),
  })
  .superRefine(({ devices, emulated, format }, context) => {
    if (format === 'ifBlank' && devices[0].startsWith('uuid:')) {
      const message = 'never: blank memory has no uuid; give the first device by its path';
      context.addIssue({ code: 'custom', path: ['format'], message });
    }
    if (emulated === undefined) return;
    if (devices.length === 1 && !devices[0].startsWith('uuid:')) return;
    const message = 'one path, of the file that stands for a device';
    context.addIssue({ code: 'custom', path: ['devices'], message });
  });

const SCHEMA = z.strictObject({
  pools: z.array(pool, { error: 'a list of pools' }).min(1, { error: 'at least one pool' }),
});

/** The pools of `--config`; undefined where there are `--pool`s instead. INVALID: both, neither. */
export function configuredPools(options: {
  readonly config?: string;
  readonly pool: readonly unknown[];
}): ConfiguredPool[] | undefined {
  if ((options.config === undefined) === (options.pool.length === 0)) {
    const found = options.config === undefined ? 'neither' : 'both';
    throw new Fault('INVALID', `--config, --pool: found ${found}, expected one of them`);
  }
  return options.config === undefined ? undefined : readPoolsFile(options.config);
}

/** The pools of a file. INVALID names the file, the key, and what is expected there. */
export function readPoolsFile(file: string): ConfiguredPool[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('INVALID', `--config ${file}: cannot be read (${codeOf(error)})`);
  }
  return parsePools(`--config ${file}`, text);
}

export function parsePools(source: string, text: string): ConfiguredPool[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Fault('INVALID', `${source}: is no JSON (${messageOf(error)})`);
  }
  const parsed = SCHEMA.safeParse(value);
  if (!parsed.success) throw invalid(source, value, parsed.error.issues[0]);
  const pools = parsed.data.pools as ConfiguredPool[];
  refuseTwins(source, pools);
  return pools;
}

function invalid(source: string, value: unknown, issue: z.core.$ZodIssue | undefined): Fault {
  const place = issue?.path ?? [];
  if (issue?.code === 'unrecognized_keys') {
    const key = keyOf([...place, issue.keys[0] ?? '']);
    return new Fault('INVALID', `${source}: ${key}: unknown; remove it, or correct its name`);
  }
  const found = place.reduce<unknown>(
    (inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step],
    value,
  );
  const said = found === undefined ? 'missing' : `found ${JSON.stringify(found)}`;
  const key = place.length === 0 ? 'the file' : keyOf(place);
  const expected = issue?.message.replace(/^Invalid input: expected (\w+).*/, 'a $1');
  return new Fault('INVALID', `${source}: ${key}: ${said}, expected ${expected}`);
}

/** `['pools', 1, 'devices']` → `pools[1].devices` */
function keyOf(place: readonly PropertyKey[]): string {
  const steps = place.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`));
  return steps.join('').replace(/^\./, '');
}

/** A name or a device that two places have: each would write over the other's files. */
function refuseTwins(source: string, pools: readonly ConfiguredPool[]): void {
  const seen = new Map<string, string>();
  const claim = (what: string, key: string, advice: string) => {
    const before = seen.get(what);
    if (before !== undefined) {
      const text = `${what} is given twice (also ${before}); ${advice}`;
      throw new Fault('INVALID', `${source}: ${key}: ${text}`);
    }
    seen.set(what, key);
  };
  pools.forEach(({ name, devices }, at) => {
    claim(`"${name}"`, `pools[${at}].name`, 'give each pool its own name');
    devices.forEach((one, which) => {
      claim(one, `pools[${at}].devices[${which}]`, 'a device has one pool');
    });
  });
}
