import { InvalidArgumentError, Option } from 'commander';
import { isFault } from '../base/errors.ts';
import { formatSize, parseSize } from '../base/numbers.ts';
import { parseUuid } from '../base/uuid.ts';

const POOL = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})=(.+)$/;

export interface PoolArgument {
  readonly name: string;
  /** By devindex; each a path, or `uuid:` and a device's uuid. */
  readonly devices: readonly string[];
}

/** Parser of `--pool NAME=DEVICE[,DEVICE…]`, which may come again for another pool. */
export function collectPool(text: string, before: readonly PoolArgument[] = []): PoolArgument[] {
  const [, name, list] = POOL.exec(text) ?? [];
  const devices = list?.split(',') ?? [];
  if (name === undefined || devices.length === 0 || devices.includes('')) {
    const example = 'as in fast=/dev/dax0.0';
    throw new InvalidArgumentError(`found "${text}", expected NAME=DEVICE[,DEVICE], ${example}`);
  }
  if (before.some((pool) => pool.name === name)) {
    throw new InvalidArgumentError(`pool "${name}" is given twice; give each pool its own name`);
  }
  const taken = [...before.flatMap((pool) => pool.devices), ...devices];
  const twice = taken.find((device, at) => taken.indexOf(device) !== at);
  if (twice !== undefined) {
    throw new InvalidArgumentError(`${twice} is given twice; a device has one place in one pool`);
  }
  return [...before, { name, devices }];
}

/** Not mandatory: `--config` stands in for it. */
export function poolOption(description: string): Option {
  const option = new Option('--pool <name=devices>', description).argParser(collectPool);
  return option.default([], 'none');
}

/** Parser of an option that may come several times. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Parser of a size such as `8M`; commander adds the option's name. */
export function sizeArgument(text: string): number {
  return asArgument(() => parseSize('size', text));
}

/** An option that takes a size; help shows the default as a user would write it. */
export function sizeOption(flags: string, description: string, defaultBytes: number): Option {
  const option = new Option(flags, description).argParser(sizeArgument);
  return option.default(defaultBytes, formatSize(defaultBytes));
}

export function uuidArgument(text: string): string {
  asArgument(() => parseUuid('uuid', text));
  return text.toLowerCase();
}

/** Parser of file permissions in octal. */
export function modeArgument(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) {
    throw new InvalidArgumentError(`found "${text}", expected octal permissions such as 0644`);
  }
  return Number.parseInt(text, 8);
}

/** Parser of a whole number within limits. */
export function integerArgument(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum)) {
      throw new InvalidArgumentError(`found "${text}", expected ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** `unix:///path`, `unix:/path` or a plain path → the path of the socket. */
export function socketArgument(text: string): string {
  const path = text.replace(/^unix:(\/\/)?/, '');
  if (!path.startsWith('/')) {
    throw new InvalidArgumentError(`found "${text}", expected unix:///path/of/a.sock`);
  }
  return path;
}

export interface HttpArgument {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

/** `127.0.0.1:9808`, `[::1]:9808`, `:9808` → where to listen. */
export function httpArgument(text: string): HttpArgument {
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new InvalidArgumentError(`found "${text}", expected HOST:PORT or :PORT, as in :9808`);
  }
  const host = bracketed ?? plain;
  return { host: host === '' ? undefined : host, port: Number(port) };
}

function asArgument<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (isFault(error)) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
