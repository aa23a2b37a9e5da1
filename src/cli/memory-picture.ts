import { formatSize, MiB, roundUp } from '../base/numbers.ts';

/** A range of a device and what it belongs to; ranges do not overlap. Offsets in bytes. */
export interface Region {
  readonly label: string;
  readonly offset: number;
  readonly lengthBytes: number;
}

const COLUMNS = 64;
const ROWS_MAX = 8;
const FREE = '·';
const MIXED = '+';
const GLYPHS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const CELL_UNIT_BYTES = 2 * MiB;

/**
 * The memory of a device as lines for a terminal: one glyph a cell, `·` free, `+` shared by several
 * regions, and below it which glyph stands for what. Regions of one label share a glyph; when the
 * glyphs run out the last stands for `the rest`.
 */
export function drawMemory(deviceBytes: number, regions: readonly Region[]): string[] {
  const cellBytes = roundUp(deviceBytes / (COLUMNS * ROWS_MAX), CELL_UNIT_BYTES);
  const cells = new Array<string>(Math.ceil(deviceBytes / cellBytes)).fill(FREE);
  const glyphs = glyphsOf(regions);
  for (const { label, offset, lengthBytes } of regions) {
    const glyph = glyphs.get(label) ?? MIXED;
    const last = Math.ceil((offset + lengthBytes) / cellBytes);
    for (let cell = Math.floor(offset / cellBytes); cell < last && cell < cells.length; cell++) {
      cells[cell] = cells[cell] === FREE || cells[cell] === glyph ? glyph : MIXED;
    }
  }
  const lines = [`${formatSize(deviceBytes)} of memory, ${formatSize(cellBytes)} a cell:`];
  for (let at = 0; at < cells.length; at += COLUMNS) {
    lines.push(`  ${cells.slice(at, at + COLUMNS).join('')}`);
  }
  return [...lines, ...legend(regions, glyphs)];
}

function glyphsOf(regions: readonly Region[]): Map<string, string> {
  const glyphs = new Map<string, string>();
  for (const { label } of regions) {
    const next = GLYPHS[Math.min(glyphs.size, GLYPHS.length - 1)] ?? MIXED;
    if (!glyphs.has(label)) glyphs.set(label, next);
  }
  return glyphs;
}

function legend(regions: readonly Region[], glyphs: ReadonlyMap<string, string>): string[] {
  const lines: string[] = [];
  for (const [label, glyph] of [...glyphs].slice(0, GLYPHS.length - 1)) {
    const own = regions.filter((region) => region.label === label);
    const total = own.reduce((sum, region) => sum + region.lengthBytes, 0);
    const places = own.slice(0, 4).map(({ offset, lengthBytes }) => {
      return `[${formatSize(offset)}, ${formatSize(offset + lengthBytes)})`;
    });
    const more = own.length > 4 ? ` and ${own.length - 4} more` : '';
    lines.push(`  ${glyph} ${label}: ${formatSize(total)} at ${places.join(' ')}${more}`);
  }
  if (glyphs.size >= GLYPHS.length) lines.push(`  ${GLYPHS.at(-1)} the rest`);
  return [...lines, `  ${FREE} free   ${MIXED} shared by several`];
}
