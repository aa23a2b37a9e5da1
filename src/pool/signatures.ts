/** What a device may hold besides famfs, told by magic bytes near its start. */
interface Signature {
  readonly name: string;
  readonly offset: number;
  readonly magic: Uint8Array;
}

function ascii(name: string, offset: number, text: string): Signature {
  return { name, offset, magic: new TextEncoder().encode(text) };
}

const SIGNATURES: readonly Signature[] = [
  ascii('a GPT partition table', 512, 'EFI PART'),
  ascii('an XFS file system', 0, 'XFSB'),
  ascii('a LUKS volume', 0, 'LUKS'),
  ascii('an LVM physical volume', 512, 'LABELONE'),
  ascii('swap space', 4086, 'SWAPSPACE2'),
  ascii('a Btrfs file system', 0x10040, '_BHRfS_M'),
  ascii('a squashfs image', 0, 'hsqs'),
  ascii('a zip archive', 0, 'PK\u0003\u0004'),
  ascii('an ELF file', 0, '\u007fELF'),
  ascii('an NVDIMM label', 0, 'NAMESPACE_INDEX'),
  ascii('an NVDIMM pfn superblock', 4096, 'NVDIMM_PFN_INFO'),
  ascii('an NVDIMM dax superblock', 4096, 'NVDIMM_DAX_INFO'),
  { name: 'an ext2, ext3 or ext4 file system', offset: 1080, magic: Uint8Array.of(0x53, 0xef) },
  { name: 'a gzip file', offset: 0, magic: Uint8Array.of(0x1f, 0x8b) },
  { name: 'a boot sector or DOS partition table', offset: 510, magic: Uint8Array.of(0x55, 0xaa) },
];

/** Bytes from the start of a device that `recognise` wants to see. */
export const SIGNATURE_BYTES = 0x10048;

/**
 * What the start of a device holds: a name for people, `data of an unknown kind` for bytes that no
 * signature fits, or undefined when all of them are zero.
 */
export function recognise(start: Uint8Array): string | undefined {
  for (const { name, offset, magic } of SIGNATURES) {
    if (magic.every((byte, at) => start[offset + at] === byte)) return name;
  }
  return start.some((byte) => byte !== 0) ? 'data of an unknown kind' : undefined;
}
