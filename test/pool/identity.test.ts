import fs from 'node:fs';
import { hostname } from 'node:os';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { systemUuid } from '../../src/pool/identity.ts';
import { caught } from '../support/caught.ts';

const GIVEN = '5f5e5d5c-1111-4222-8333-0123456789ab';
const OTHER = '00000000-0000-4000-8000-00000000000f';
const REFERENCE_FILE = '/opt/famfs/system_uuid';
const MACHINE_ID_FILE = '/etc/machine-id';

/** A host whose identity files hold this; the others are missing. */
function onHost(files: Record<string, string>): void {
  jest.spyOn(fs, 'readFileSync').mockImplementation((path) => {
    const text = files[String(path)];
    if (text === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    return text;
  });
}

afterEach(() => {
  jest.restoreAllMocks();
});

describe('system uuid', () => {
  test('is the text given, before any file', () => {
    onHost({ [REFERENCE_FILE]: OTHER });
    expect(systemUuid(GIVEN.toUpperCase())).toBe(GIVEN);
  });

  test('is what the reference tools recorded on this host', () => {
    onHost({ [REFERENCE_FILE]: `${OTHER}\n`, [MACHINE_ID_FILE]: 'abc' });
    expect(systemUuid()).toBe(OTHER);
  });

  test('is else made from the machine id, without telling it', () => {
    const id = '0123456789abcdef0123456789abcdef';
    onHost({ [MACHINE_ID_FILE]: `${id}\n` });
    const made = systemUuid();
    expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(made.replaceAll('-', '')).not.toContain(id.slice(0, 8));
    expect(systemUuid()).toBe(made);
    onHost({ [MACHINE_ID_FILE]: id.replace('0', '1') });
    expect(systemUuid()).not.toBe(made);
  });

  test('is else made from the host name', () => {
    onHost({ [MACHINE_ID_FILE]: hostname() });
    const named = systemUuid();
    onHost({ [MACHINE_ID_FILE]: '\n' });
    expect(systemUuid()).toBe(named);
  });

  test.each<[string, string | undefined, RegExp]>([
    ['the option', 'nonsense', /^--system-uuid: found "nonsense"/],
    ['the file', undefined, /^\/opt\/famfs\/system_uuid: found "broken"/],
  ])('is INVALID where %s holds no uuid, and says where', (_, given, message) => {
    onHost({ [REFERENCE_FILE]: 'broken' });
    expect(caught(() => systemUuid(given))).toEqual({
      code: 'INVALID',
      message: expect.stringMatching(message),
    });
  });
});
