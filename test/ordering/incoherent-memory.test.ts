import { describe, expect, test } from '@jest/globals';
import { IncoherentMemory, LINE_BYTES } from '../support/incoherent-memory.ts';
import { type IncoherentProcess, ProcessEnded } from '../support/incoherent-process.ts';
import { Random } from '../support/random.ts';

const SEEDS = Array.from({ length: 200 }, (_, at) => at);
const LENGTH_BYTES = 16 * LINE_BYTES;

/** Runs the story for many seeds; gives all outcomes that there were, each once, in order. */
function outcomes(story: (memory: IncoherentMemory) => unknown): string[] {
  const seen = SEEDS.map((seed) => {
    const result = story(new IncoherentMemory(LENGTH_BYTES, 2, new Random(seed)));
    return String(result);
  });
  return [...new Set(seen)].sort();
}

function word(process: IncoherentProcess, offset: number): number {
  const bytes = new Uint8Array(8);
  process.copyOut(offset, bytes);
  return Number(new DataView(bytes.buffer).getBigUint64(0, true));
}

/** A word that is in memory when this returns. */
function put(process: IncoherentProcess, offset: number, value: bigint): void {
  process.store(offset, value);
  process.writeBack(offset, 8);
  process.fence();
}

function twoHosts(memory: IncoherentMemory): [IncoherentProcess, IncoherentProcess] {
  return [memory.host(0).process('writes'), memory.host(1).process('reads')];
}

describe('a load', () => {
  test('may see any state of its line since the host invalidated it, and none before', () => {
    const stale = outcomes((memory) => {
      const [writer, reader] = twoHosts(memory);
      put(writer, 0, 1n);
      memory.catchUp();
      reader.invalidate(0, 8);
      put(writer, 0, 2n);
      put(writer, 0, 3n);
      memory.catchUp();
      return word(reader, 0);
    });
    expect(stale).toEqual(['1', '2', '3']);
  });

  test('sees the present right after an invalidation', () => {
    const fresh = outcomes((memory) => {
      const [writer, reader] = twoHosts(memory);
      word(reader, 0);
      put(writer, 0, 1n);
      memory.catchUp();
      reader.invalidate(0, 8);
      return word(reader, 0);
    });
    expect(fresh).toEqual(['1']);
  });

  test('may be served by a line that no program of the host ever loaded', () => {
    const first = outcomes((memory) => {
      const [writer, reader] = twoHosts(memory);
      put(writer, 0, 1n);
      memory.catchUp();
      return word(reader, 0);
    });
    expect(first).toEqual(['0', '1']);
  });

  test('never sees a line go back', () => {
    const pairs = outcomes((memory) => {
      const [writer, reader] = twoHosts(memory);
      put(writer, 0, 1n);
      put(writer, 0, 2n);
      memory.catchUp();
      return [word(reader, 0), word(reader, 0)];
    });
    expect(pairs).toEqual(['0,0', '0,1', '0,2', '1,1', '1,2', '2,2']);
  });

  test('sees what another process of its host stored, and nothing of other hosts', () => {
    const memory = new IncoherentMemory(LENGTH_BYTES, 2, new Random(1));
    const [writer, elsewhere] = twoHosts(memory);
    const beside = memory.host(0).process('reads');
    writer.store(0, 7n);
    expect([word(beside, 0), word(elsewhere, 0)]).toEqual([7, 0]);
  });

  test('of more than a word may tear at each word, and a word never does', () => {
    const old = 0x1111_1111n;
    const now = 0x2222_2222n;
    const seen = outcomes((memory) => {
      const [writer, reader] = twoHosts(memory);
      const both = (value: bigint) => new Uint8Array(new BigUint64Array([value, value]).buffer);
      writer.copyIn(0, both(old));
      writer.writeBack(0, 16);
      writer.fence();
      memory.catchUp();
      reader.invalidate(0, 16);
      writer.copyIn(0, both(now));
      writer.writeBack(0, 16);
      writer.fence();
      memory.catchUp();
      const bytes = new Uint8Array(16);
      reader.copyOut(0, bytes);
      return new BigUint64Array(bytes.buffer).join();
    });
    expect(seen).toEqual([`${old},${old}`, `${old},${now}`, `${now},${old}`, `${now},${now}`]);
  });
});

describe('a store', () => {
  test('stays in the cache until it is written back, and until the fence', () => {
    const memory = new IncoherentMemory(LENGTH_BYTES, 2, new Random(1));
    const [writer] = twoHosts(memory);
    writer.store(0, 7n);
    expect(memory.peekWord(0)).toBe(0);
    writer.writeBack(0, 8);
    expect(memory.peekWord(0)).toBe(0);
    writer.fence();
    expect(memory.peekWord(0)).toBe(7);
  });

  test('may be evicted at any step, lines in any order', () => {
    const orders = outcomes((memory) => {
      const [writer] = twoHosts(memory);
      const written: number[] = [];
      memory.onWritten = (offset) => written.push(offset / LINE_BYTES);
      memory.evictionChance = 0.3;
      writer.copyIn(0, new Uint8Array(3 * LINE_BYTES).fill(1));
      writer.writeBack(0, 3 * LINE_BYTES);
      writer.fence();
      return [...new Set(written)];
    });
    expect(orders).toEqual(['0,1,2', '0,2,1', '1,0,2', '1,2,0', '2,0,1', '2,1,0']);
  });

  test('takes the rest of its line from the cache, stale as it may be, back to memory', () => {
    const rest = outcomes((memory) => {
      const [writer] = twoHosts(memory);
      put(writer, 0, 1n);
      put(memory.host(1).process('writes'), 8, 2n);
      return [memory.peekWord(0), memory.peekWord(8)];
    });
    expect(rest).toEqual(['0,2', '1,2']);
  });

  test('after a begun write-back of its line need not be in memory after the fence', () => {
    const seen = outcomes((memory) => {
      const [writer] = twoHosts(memory);
      writer.store(0, 1n);
      writer.writeBack(0, 8);
      writer.store(8, 2n);
      writer.fence();
      return [memory.peekWord(0), memory.peekWord(8)];
    });
    expect(seen).toEqual(['1,0', '1,2']);
  });

  test('is written back, not lost, by an invalidation', () => {
    const memory = new IncoherentMemory(LENGTH_BYTES, 2, new Random(1));
    const [writer] = twoHosts(memory);
    writer.store(0, 7n);
    memory.host(0).process('reads').invalidate(0, 8);
    expect([memory.peekWord(0), memory.host(0).dirtyLines]).toEqual([7, 0]);
  });
});

describe('the end of a writer', () => {
  /** It ends in the middle of storing four lines; is a part of them in memory in the end? */
  const half = (by: 'power' | 'kill') =>
    outcomes((memory) => {
      const [writer] = twoHosts(memory);
      writer.endAt(3, by);
      const store = () => writer.copyIn(0, new Uint8Array(4 * LINE_BYTES).fill(1));
      expect(store).toThrow(ProcessEnded);
      expect(() => writer.fence()).toThrow(ProcessEnded);
      memory.host(0).clean();
      const bytes = memory.peek(0, 4 * LINE_BYTES);
      return bytes.some((byte) => byte !== 0) && bytes.some((byte) => byte === 0);
    });

  test('by power loss takes with it what was not written back', () => {
    expect(half('power')).toEqual(['false']);
  });

  test('by kill leaves its lines dirty on the host', () => {
    expect(half('kill')).toEqual(['true']);
  });

  test('by power loss ends all processes of the host, and a new one finds a cold cache', () => {
    const memory = new IncoherentMemory(LENGTH_BYTES, 2, new Random(1));
    const [writer] = twoHosts(memory);
    const beside = memory.host(0).process('reads');
    writer.store(0, 7n);
    memory.host(0).losePower();
    expect(() => beside.copyOut(0, new Uint8Array(8))).toThrow(ProcessEnded);
    expect(word(memory.host(0).process('reads'), 0)).toBe(0);
  });
});

describe('time', () => {
  test('lets many steps of a writer pass between two steps of a reader', () => {
    const pairs = outcomes((memory) => {
      const [writer, reader] = twoHosts(memory);
      for (let value = 1n; value <= 3n; value++) put(writer, 0, value);
      const seen = () => {
        reader.invalidate(0, 8);
        return word(reader, 0);
      };
      return [seen(), seen()];
    });
    for (const possible of ['0,0', '0,3', '1,3', '2,2', '3,3']) expect(pairs).toContain(possible);
    expect(pairs.filter((pair) => (pair[0] ?? '') > (pair[2] ?? ''))).toEqual([]);
  });

  test('runs alike for the same seed', () => {
    const run = (seed: number) => {
      const memory = new IncoherentMemory(LENGTH_BYTES, 2, new Random(seed));
      const [writer] = twoHosts(memory);
      const written: number[] = [];
      memory.onWritten = (offset) => written.push(offset);
      memory.evictionChance = 0.3;
      writer.copyIn(0, new Uint8Array(LENGTH_BYTES).fill(1));
      return written.join();
    };
    expect(SEEDS.map(run)).toEqual(SEEDS.map(run));
    expect(new Set(SEEDS.map(run)).size).toBeGreaterThan(150);
  });

  test('stands still for a range outside the memory and for a word that is not aligned', () => {
    const memory = new IncoherentMemory(LENGTH_BYTES, 2, new Random(1));
    const [writer] = twoHosts(memory);
    const invalid = expect.objectContaining({ code: 'INVALID' });
    expect(() => writer.copyOut(LENGTH_BYTES - 4, new Uint8Array(8))).toThrow(invalid);
    expect(() => writer.store(4, 1n)).toThrow(invalid);
    expect(writer.steps).toBe(0);
  });
});
