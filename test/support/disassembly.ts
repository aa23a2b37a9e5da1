import { execFileSync } from 'node:child_process';

interface Instruction {
  readonly address: number;
  readonly name: string;
  /** Where a branch or call goes, or whose address is taken; undefined for all others. */
  readonly target?: { readonly address: number; readonly label: string } | undefined;
  readonly kind: 'call' | 'indirect call' | 'jump' | 'address' | 'other';
}

/** The machine code of a shared object, function by function, as objdump shows it. */
export class Disassembly {
  readonly #functions = new Map<string, Instruction[]>();

  constructor(path: string, objdump: string) {
    const text = execFileSync(objdump, ['-d', '--no-show-raw-insn', path], { encoding: 'utf8' });
    const starts = new Map<number, string>();
    for (const [, address, label] of text.matchAll(/^([0-9a-f]+) <([^>]+)>:$/gm)) {
      starts.set(Number.parseInt(address ?? '', 16), label ?? '');
    }
    for (const block of text.split(/\n\n/)) {
      const label = /^[0-9a-f]+ <([^>]+)>:$/m.exec(block)?.[1];
      if (label !== undefined) this.#functions.set(label, instructionsOf(block, starts));
    }
  }

  /** Names of the instructions that run in a loop when `label` is called, here or in a callee. */
  inLoops(label: string): Set<string> {
    const found = new Set<string>();
    const all = this.#reachable([label]);
    const taken = [...all].flatMap((name) => targets(this.#of(name), ['address']));
    for (const name of all) {
      for (const body of loopsOf(this.#of(name))) {
        const isIndirect = body.some(({ kind }) => kind === 'indirect call');
        const callees = [...targets(body, ['call']), ...(isIndirect ? taken : [])];
        const called = [...this.#reachable(callees)].flatMap((callee) => this.#of(callee));
        for (const instruction of [...body, ...called]) found.add(instruction.name);
      }
    }
    return found;
  }

  /** Names of all instructions that can run when `label` is called. */
  all(label: string): Set<string> {
    const functions = [...this.#reachable([label])];
    return new Set(functions.flatMap((name) => this.#of(name)).map(({ name }) => name));
  }

  #of(label: string): readonly Instruction[] {
    return this.#functions.get(label) ?? [];
  }

  #reachable(labels: readonly string[]): Set<string> {
    const seen = new Set<string>();
    const waiting = [...labels];
    for (let label = waiting.pop(); label !== undefined; label = waiting.pop()) {
      if (seen.has(label) || !this.#functions.has(label)) continue;
      seen.add(label);
      waiting.push(...targets(this.#of(label), ['call', 'jump', 'address']));
    }
    return seen;
  }
}

function targets(code: readonly Instruction[], kinds: readonly Instruction['kind'][]): string[] {
  return code.flatMap(({ kind, target }) => (target && kinds.includes(kind) ? target.label : []));
}

/** What lies between a backward jump and where it goes. */
function loopsOf(code: readonly Instruction[]): Instruction[][] {
  return code.flatMap(({ kind, target, address }) => {
    const start = target?.address ?? Number.POSITIVE_INFINITY;
    if (kind !== 'jump' || start > address || start < (code[0]?.address ?? 0)) return [];
    return [code.filter((one) => one.address >= start && one.address <= address)];
  });
}

function instructionsOf(block: string, starts: ReadonlyMap<number, string>): Instruction[] {
  /** arm64 takes an address in two steps, a page and an offset: the page, by register. */
  const pages = new Map<string, number>();
  const found: Instruction[] = [];
  for (const [, at, text] of block.matchAll(/^\s+([0-9a-f]+):\t(.*)$/gm)) {
    const [mnemonic = '', operands = ''] = (text ?? '').split(/\s+(.*)/);
    const shown = /([0-9a-f]+) <([^>+]+)(?:\+0x[0-9a-f]+)?>/.exec(operands);
    let target = shown
      ? { address: Number.parseInt(shown[1] ?? '', 16), label: shown[2] ?? '' }
      : undefined;
    if (mnemonic === 'adrp' && target) pages.set(operands.split(',')[0] ?? '', target.address);
    const sum = mnemonic === 'add' ? /^\w+, (\w+), #0x([0-9a-f]+)$/.exec(operands) : null;
    if (sum) {
      const address = (pages.get(sum[1] ?? '') ?? 0) + Number.parseInt(sum[2] ?? '', 16);
      const label = starts.get(address);
      target = label === undefined ? undefined : { address, label };
    }
    // What `dc` does is its first operand.
    const name = mnemonic === 'dc' ? `dc ${operands.split(',')[0]}` : mnemonic;
    found.push({
      address: Number.parseInt(at ?? '', 16),
      name,
      target,
      kind: kindOf(mnemonic, operands),
    });
  }
  return found;
}

function kindOf(mnemonic: string, operands: string): Instruction['kind'] {
  if (/^callq?$/.test(mnemonic)) return operands.startsWith('*') ? 'indirect call' : 'call';
  if (mnemonic === 'blr') return 'indirect call';
  if (mnemonic === 'bl') return 'call';
  if (/^(lea|add|adr)$/.test(mnemonic)) return 'address';
  return /^(j\w+|b|b\.\w+|cbn?z|tbn?z)$/.test(mnemonic) ? 'jump' : 'other';
}
