import { describe, expect, test } from '@jest/globals';
import { ACCESS_MODES, checkCapability, isSingleNode } from '../../src/csi/capability.ts';
import type { VolumeCapability } from '../../src/csi/generated/csi/v1/VolumeCapability.ts';

function capability(change: Partial<VolumeCapability> = {}): VolumeCapability {
  const mount = { fs_type: '', mount_flags: [], volume_mount_group: '' };
  return { mount, access_mode: { mode: 'SINGLE_NODE_WRITER' }, ...change };
}

function mount(change: { fs_type?: string; mount_flags?: string[] }): Partial<VolumeCapability> {
  return { mount: { fs_type: '', mount_flags: [], volume_mount_group: '', ...change } };
}

describe('volume capability', () => {
  test.each(ACCESS_MODES)('serves %s on the dax path', (mode) => {
    const access = checkCapability('c', capability({ access_mode: { mode } }), 'dax');
    expect(access).toMatchObject({ mode, readOnly: mode.endsWith('READER_ONLY') });
  });

  test.each(ACCESS_MODES.filter((mode) => mode !== 'MULTI_NODE_MULTI_WRITER'))(
    'serves %s where files may be buffered',
    (mode) => {
      expect(checkCapability('c', capability({ access_mode: { mode } }), 'any').mode).toBe(mode);
    },
  );

  test('refuses several writing nodes where files may be buffered, and says what to do', () => {
    const wanted = capability({ access_mode: { mode: 'MULTI_NODE_MULTI_WRITER' } });
    expect(() => checkCapability('volume_capabilities[0]', wanted, 'any')).toThrow(
      /^volume_capabilities\[0\]\.access_mode\.mode: found MULTI.*close-to-open.*use dataPath: dax/,
    );
  });

  test.each([
    ['no capability', null, /^c: missing/],
    ['volumeMode Block', capability({ mount: null, block: {} }), /^c\.block: .*Filesystem/],
    ['no access type', capability({ mount: null }), /^c\.access_type: missing/],
    ['no access mode', capability({ access_mode: null }), /^c\.access_mode\.mode: missing/],
    ['mode UNKNOWN', capability({ access_mode: { mode: 'UNKNOWN' } }), /found UNKNOWN, expected/],
    [
      'a mode of a later CSI',
      capability({ access_mode: { mode: 99 as never } }),
      /^c\.access_mode\.mode: found 99, expected one of SINGLE_NODE_WRITER, /,
    ],
    ['another file system', capability(mount({ fs_type: 'ext4' })), /fs_type: found "ext4"/],
    [
      'a mount flag',
      capability(mount({ mount_flags: ['noatime'] })),
      /found "noatime".*mountOptions/,
    ],
    ['flags at odds', capability(mount({ mount_flags: ['ro', 'rw'] })), /found both ro and rw/],
  ])('refuses %s', (_, wanted, message) => {
    expect(() => checkCapability('c', wanted, 'dax')).toThrow(message);
    expect(() => checkCapability('c', wanted, 'dax')).toThrow(
      expect.objectContaining({ code: 'INVALID' }),
    );
  });

  test('takes famfs as the file system, and ro as read-only', () => {
    const flagged = capability(mount({ fs_type: 'famfs', mount_flags: ['ro'] }));
    expect(checkCapability('c', flagged, 'dax').readOnly).toBe(true);
    const plain = capability(mount({ mount_flags: ['rw'] }));
    expect(checkCapability('c', plain, 'dax').readOnly).toBe(false);
  });

  test('knows the modes of one node', () => {
    expect(ACCESS_MODES.filter(isSingleNode)).toEqual([
      'SINGLE_NODE_WRITER',
      'SINGLE_NODE_READER_ONLY',
      'SINGLE_NODE_SINGLE_WRITER',
      'SINGLE_NODE_MULTI_WRITER',
    ]);
  });
});
