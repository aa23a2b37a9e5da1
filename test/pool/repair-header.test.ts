import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { RawLog } from '../../src/pool/raw-log.ts';
import { diagnose } from '../../src/pool/repair-plan.ts';
import { LogMemory, thrown, VECTOR_MASTER } from './log-memory.ts';
import { expectSound, names, repair, way } from './repairs.ts';

const HEADER = 2 * MiB;

/** b_tree_8g, which has 8 entries, with the header's magic torn. */
function torn(nextSeqnum = 8, nextIndex = 8): LogMemory {
  const memory = LogMemory.image('b_tree_8g');
  memory.bytes.fill(0, HEADER, HEADER + 4);
  memory.setWords(nextSeqnum, nextIndex);
  return memory;
}

describe('repair of a log header', () => {
  test.each(['e3_bad_log_magic', 'e4_bad_log_crc', 'e11_next_index_huge', 'e12_seq_ne_index'])(
    'of %s gives the bytes that the reference wrote',
    (name) => {
      const memory = LogMemory.image(name);
      const { problems } = diagnose(new RawLog(memory));
      expect(problems).toHaveLength(1);
      expect(way(memory, 'header')).toMatchObject({ refusal: null, entries: 8, lost: [] });
      repair(memory, { header: true }, VECTOR_MASTER);
      expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
    },
  );

  test.each(['last_index', 'log length'])('writes the %s of the superblock', (field) => {
    const memory = LogMemory.image('b_tree_8g');
    memory.bytes.fill(0x11, HEADER + (field === 'last_index' ? 16 : 8), HEADER + 24);
    repair(memory, { header: true }, VECTOR_MASTER);
    expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
  });

  test('takes next_seqnum where next_index is no index of the log', () => {
    const memory = torn(8, 2 ** 40);
    repair(memory, { header: true }, VECTOR_MASTER);
    expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
  });

  test.each([
    [
      'zeroed, words and all',
      torn(0, 0),
      /the log may have more than 0 entries: 8 entries .* whole/,
    ],
    ['torn, with words too low', torn(5, 5), /the log may have more than 5 entries: 8 entries/],
    ['torn, with no usable word', torn(2 ** 50, 2 ** 50), /expected at most 15420; 8 entries/],
  ])('asks how many entries there are when it is %s', (_, memory, text) => {
    const { refusal } = way(memory, 'header');
    expect(refusal).toMatch(text);
    expect(refusal).toContain('--entries');
    expect(thrown(() => repair(memory, { header: true }, VECTOR_MASTER))).toMatch(text);
    expect(memory.stores).toBe(0);
    repair(memory, { header: true, entries: 8 }, VECTOR_MASTER);
    expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
  });

  test('says which files are behind the number that is given', async () => {
    const memory = torn(0, 0);
    expect(names(way(memory, 'header', { entries: 7 }).lost)).toEqual([
      'file d1/d2/hundred_mib 104857600',
    ]);
    const { plan } = repair(memory, { header: true, entries: 7 }, VECTOR_MASTER);
    expect(names(plan.lost)).toEqual(['file d1/d2/hundred_mib 104857600']);
    expect(memory.words()).toEqual([7, 7]);
    await expectSound(memory);
  });

  test('takes no number that counts damaged entries, unless they are repaired too', async () => {
    const entries = 10;
    expect(thrown(() => repair(torn(), { header: true, entries }, VECTOR_MASTER))).toMatch(
      /^PRECONDITION: .*entry 8 and 1 more is damaged; give --cut or --skip too/,
    );
    const memory = torn();
    repair(memory, { header: true, entries, cut: true }, VECTOR_MASTER);
    expect(Buffer.compare(memory.bytes, LogMemory.image('b_tree_8g').bytes)).toBe(0);
    await expectSound(memory);
  });

  test('goes together with the repair of entries', async () => {
    const memory = torn();
    memory.flip(4, 536, 1);
    const { problems } = diagnose(new RawLog(memory));
    expect(problems.map(({ code }) => code)).toEqual(['LOG_HEADER', 'ENTRY_CRC']);
    expect(way(memory, 'header').refusal).toMatch(/entry 4 is damaged; give --cut or --skip too/);
    repair(memory, { header: true, skip: true }, VECTOR_MASTER);
    expect(memory.paths()).toContain('lost+found-4');
    await expectSound(memory);
  });
});
