import { describe, expect, test } from '@jest/globals';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import type { Generation } from '../../src/fs/data-path.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { caught } from '../support/caught.ts';
import { Host } from './devices.ts';
import type { KernelName } from './generations.ts';
import { Kernel } from './kernel.ts';
import { MUTANTS, type Mutant, MutantDevice, mutantPool } from './mutants.ts';
import { O_RDWR, Process } from './process.ts';
import { type Breach, RULES, type RuleId } from './rules.ts';
import { serve } from './served.ts';

const pool = mutantPool();

const generationOf = (name: KernelName): Generation =>
  name.startsWith('stock') ? 'buffered' : (name as Generation);

function host(): Host {
  const made = new Host();
  made.add('/dev/dax0.0');
  made.add('/dev/null', 'character');
  return made;
}

/** Runs a mutant's program, with the mutant or with the right server in its place. */
function run(mutant: Mutant, options: { healthy?: boolean; tolerate?: RuleId[] } = {}): Kernel {
  const { healthy, tolerate = [] } = options;
  const kernel = new Kernel({ name: mutant.kernel, host: host(), tolerate });
  using fs = pool.fileSystem({ generation: generationOf(mutant.kernel) });
  const device = new MutantDevice(kernel, mutant);
  const served = serve(kernel, fs, healthy ? {} : { device });
  served.do(mutant.run(new Process(kernel), kernel));
  return kernel;
}

/** What the right server may be told, too: it has no say in these. */
const NOT_THE_SERVERS = new Set<RuleId>(['mounter-opens-first', 'unbind-unmapped']);

describe('the kernel model fails a server that breaks a rule', () => {
  test.each(MUTANTS.map((mutant) => [mutant.rule, mutant.kernel, mutant.what, mutant] as const))(
    '%s (%s): %s',
    (rule, _kernel, _what, mutant) => {
      let breach: Breach | undefined;
      try {
        run(mutant);
      } catch (error) {
        breach = error as Breach;
      }
      expect([breach?.rule, messageOf(breach)]).toEqual([
        rule,
        expect.stringContaining(`${rule}: ${RULES[rule].text} (found: `),
      ]);
    },
  );

  test('of one mount per pool per node, by GET_DAXDEV and by DAXDEV_OPEN', () => {
    for (const [name, rule] of [
      ['pull', 'one-mount'],
      ['push2', 'one-mount-push'],
    ] as const) {
      const shared = host();
      const mount = () => {
        const kernel = new Kernel({ name, host: shared });
        const served = serve(kernel, pool.fileSystem({ generation: name }));
        served.do(new Process(kernel).open('/vol/data', O_RDWR));
      };
      mount();
      expect(caught(mount).message).toContain(`${rule}: ${RULES[rule].text}`);
    }
  });

  test('has a mutant for every rule', () => {
    const killed = new Set<RuleId>(MUTANTS.map(({ rule }) => rule));
    killed.add('one-mount').add('one-mount-push');
    expect([...killed].sort()).toEqual(Object.keys(RULES).sort());
  });

  test('and lets the right server do all of it', () => {
    for (const mutant of MUTANTS.filter(({ rule }) => !NOT_THE_SERVERS.has(rule))) {
      const error = errorOf(() => run(mutant, { healthy: true }).rules.breaches[0]);
      const isTruncate = mutant.opcode === OPCODE.SETATTR;
      expect([mutant.what, codeOf(error)]).toEqual([mutant.what, isTruncate ? 'EPERM' : undefined]);
      if (!isTruncate) expect([mutant.what, error]).toEqual([mutant.what, undefined]);
    }
  });

  test('refuses with the errno of real kernels where they refuse', () => {
    const seen: Record<string, string | undefined> = {};
    for (const mutant of MUTANTS) {
      if (RULES[mutant.rule].on !== 'map') continue;
      const { errno } = RULES[mutant.rule] as { errno?: string };
      if (errno === undefined) continue;
      const name = `${mutant.rule}: ${mutant.what}`;
      seen[name] = codeOf(errorOf(() => run(mutant, { tolerate: [mutant.rule] })));
      expect([name, seen[name]]).toEqual([name, errno]);
    }
    expect(Object.values(seen).sort()).toEqual([
      'EFBIG',
      ...Array(Object.keys(seen).length - 3).fill('EINVAL'),
      'ERANGE',
      'ERANGE',
    ]);
  });
});

function errorOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
