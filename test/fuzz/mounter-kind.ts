import { ERRNO_OF_FAULT } from '../../src/fuse/errno.ts';
import {
  decodeRequest,
  faultOf,
  mounterStatus,
  parseLine,
  poolMount,
  reply,
} from '../../src/mounter/protocol.ts';
import { type AnyKind, anyKind } from './kind.ts';
import type { Random } from './random.ts';
import { foreseen, must, type Tally } from './tally.ts';
import { oddText } from './texts.ts';

const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    -0,
    '',
    '1',
    [],
    {},
    [[]],
    { v: 1 },
  ],
  ...['pool', 'status', 'INVALID', 'constructor', '__proto__', 'NO_SPACE'],
];
const KEYS = [
  'v',
  'id',
  'op',
  'pool',
  'atLeast',
  'generation',
  'ok',
  'result',
  'error',
  'code',
  'message',
];
const MOUNT = {
  ...{ mountPoint: '/p', dataPath: 'buffered', dataPathReason: 'x', fsUuid: 'u' },
  logGeneration: 0,
};
const GOOD: readonly object[] = [
  { v: 1, id: 7, op: 'pool', pool: 'fast', atLeast: 12, generation: 3 },
  { v: 1, id: 8, op: 'status' },
  { id: 7, ok: true, result: { ...MOUNT, logPosition: 4 } },
  { id: 7, ok: false, error: { code: 'NO_SPACE', message: 'm' } },
  { id: 7, ok: false, error: { code: 'constructor', message: 'm' } },
  { ...MOUNT, logPosition: 4 },
  {
    keeperPid: 1,
    pools: [{ name: 'a', devices: [{ path: 'b' }], mountPoint: 'c', serverRestarts: 0 }],
  },
];

/** A line as a peer may send it: messages with a field changed, other JSON, or any text. */
function oddLine(random: Random): string {
  const make = random.weighted<() => string>([
    [8, () => JSON.stringify(changed(random, random.pick(GOOD)))],
    [1, () => JSON.stringify(random.pick(VALUES))],
    [2, () => cut(random, JSON.stringify(random.pick(GOOD)))],
    [1, () => oddText(random)],
    [1, () => `{"v":${'['.repeat(9000)}${']'.repeat(9000)}}`],
    [1, () => `{"__proto__":{"v":1},"v":1,"id":1,"op":"status"}`],
  ]);
  return make();
}

function changed(random: Random, good: object): object {
  const copy: Record<string, unknown> = structuredClone(good) as Record<string, unknown>;
  const inner = random.pick([copy, ...Object.values(copy).filter(isObject)]);
  for (let left = random.below(3); left > 0; left--) {
    if (isObject(inner.error) && random.oneIn(2)) inner.error.code = oddText(random);
    const key = random.oneIn(2) ? random.pick(Object.keys(inner)) : random.pick(KEYS);
    if (random.oneIn(4)) delete inner[key ?? ''];
    else inner[key ?? ''] = random.oneIn(3) ? oddText(random) : random.pick(VALUES);
  }
  return copy;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function cut(random: Random, text: string): string {
  const at = random.below(text.length);
  return text.slice(0, at) + (random.oneIn(2) ? oddText(random) : '') + text.slice(at + 1);
}

function decode(line: string, _: Random, tally: Tally): void {
  let message: unknown;
  try {
    message = parseLine(line);
    const { op } = decodeRequest(message);
    must(op === 'pool' || op === 'status', `a request ${op}`);
    tally.count('mounter', op);
  } catch (error) {
    const fault = foreseen(error);
    must(fault.message.length < 1000, `a message of ${fault.message.length} characters`);
    tally.count('mounter', fault.code);
  }
  for (const schema of [poolMount, mounterStatus]) schema.safeParse(message);
  const answer = reply.safeParse(message);
  if (!answer.success) return;
  tally.count('mounter', answer.data.ok ? 'reply' : 'error reply');
  if (answer.data.ok) return;
  const { code } = faultOf(answer.data.error);
  must(Object.hasOwn(ERRNO_OF_FAULT, code), `the fault code ${code}`);
}

export const MOUNTER_KIND: AnyKind = anyKind<string>({
  name: 'mounter’s socket',
  weight: 4,
  generate: oddLine,
  run: decode,
  *shrink(line) {
    yield line.slice(0, line.length >> 1);
    for (let at = 0; at < line.length; at++) yield line.slice(0, at) + line.slice(at + 1);
  },
  show: (line) => [JSON.stringify(line)],
});
