import { assert } from './errors.ts';

/** `[offset, size]` of a field, in bytes. */
type Field = readonly [offset: number, size: number];

export type Layout<Name extends string> = {
  readonly [K in Name]: number;
} & { readonly size: number };

/**
 * Declares a binary struct once: field name → `[offset, size]` in bytes. Proves when it is loaded
 * that the fields tile the struct exactly (every pad is a named field), and returns the offsets
 * plus `size`, for plain `DataView` lines in the codecs.
 */
export function layout<const F extends Record<string, Field>>(
  struct: string,
  size: number,
  fields: F,
): Layout<Extract<keyof F, string>> {
  let end = 0;
  const offsets: Record<string, number> = { size };
  for (const [name, [offset, length]] of Object.entries(fields)) {
    assert(
      offset === end && length > 0,
      `${struct}.${name} is at ${offset}+${length}, expected at ${end}`,
    );
    offsets[name] = offset;
    end = offset + length;
  }
  assert(end === size, `${struct} ends at ${end}, expected ${size}`);
  return offsets as Layout<Extract<keyof F, string>>;
}
