import { median } from './report.mjs';

const COLUMNS = ['', 'median', 'least', 'cpu', 'samples', 'target', '', 'reference'];
/** Names to the left, figures to the right. */
const LEFT = [0, 6, 7];

/** One row for each name, of the samples of all runs. */
export function summarise(rows) {
  const byName = new Map();
  for (const row of rows) byName.set(row.name, [...(byName.get(row.name) ?? []), row]);
  return [...byName.values()].map((same) => {
    const { samples: _, ...row } = same[0];
    const samples = same.flatMap((one) => one.samples);
    const values = samples.map(({ value }) => value);
    const cpu = samples.flatMap((sample) => sample.cpu ?? []);
    const value = median(values);
    return {
      ...row,
      median: value,
      least: Math.min(...values),
      ...(cpu.length > 0 ? { cpu: median(cpu) } : {}),
      ...(row.target !== undefined ? { met: value <= row.target } : {}),
      samples: values,
    };
  });
}

export function tableLines(rows) {
  const table = [COLUMNS, ...rows.map(cells)];
  const widths = COLUMNS.map((_, at) => Math.max(...table.map((line) => line[at].length)));
  return table.map((line) => {
    const padded = line.map((cell, at) => {
      return LEFT.includes(at) ? cell.padEnd(widths[at]) : cell.padStart(widths[at]);
    });
    return `  ${padded.join('  ')}`.trimEnd();
  });
}

function cells(row) {
  return [
    row.name,
    `${number(row.median)} ${row.unit}`,
    number(row.least),
    row.cpu === undefined ? '' : number(row.cpu),
    String(row.samples.length),
    row.target === undefined ? '' : `≤ ${row.target}`,
    row.met === undefined ? '' : row.met ? 'met' : 'MISSED',
    row.reference ?? '',
  ];
}

/** Three digits that mean something. */
function number(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
