// Makes docs/kubernetes/configuration.md from the chart's schema and values:
// node charts/tools/configuration.mjs > docs/kubernetes/configuration.md
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { load } from 'js-yaml';

const HEAD = `# Configuration

The values of [charts/famfs-csi](../../charts/famfs-csi/values.yaml). This page is made from
\`values.schema.json\` and \`values.yaml\` (\`npm run docs:configuration\`), and a test holds it to
them. A key that is not here is refused, by its name. Set one with \`--set image.tag=0.1.0\`, or in a
file that is given with \`--values\`.

Two rules are not in the tables: a device is in one pool only, and at least one pool is configured.
Both are checked when the chart is rendered, and again when controller and mounter start.
`;

/** Sections that are written by hand; the rest of the schema follows by itself. */
const TITLES = [
  ['The memory', ['pools', 'emulatedFabric', 'storageClasses', 'systemUuid', 'metaGid']],
  ['The driver', ['driver', 'image', 'imagePullSecrets', 'kubeletDir', 'stateDir', 'logLevel']],
  ['Controller, node plugin, mounter', ['controller', 'node', 'mounter']],
  ['Sidecars', ['sidecars']],
  ['Metrics', ['metrics', 'prometheus', 'grafana']],
];

/** The page; `folder` is the chart's. */
export function configurationPage(folder) {
  const schema = JSON.parse(readFileSync(join(folder, 'values.schema.json'), 'utf8'));
  const values = load(readFileSync(join(folder, 'values.yaml'), 'utf8'));
  const named = TITLES.flatMap(([, keys]) => keys);
  const rest = Object.keys(schema.properties).filter((key) => !named.includes(key));
  const parts = [...TITLES, ['Names, accounts, rights', rest]].map(([title, keys]) => {
    const rows = keys.flatMap((key) => rowsOf(schema, key, schema.properties[key], values[key]));
    return [`## ${title}`, '', '| value | meaning | default |', '|---|---|---|', ...rows].join(
      '\n',
    );
  });
  return `${[HEAD, ...parts].join('\n')}\n`
    .replaceAll('\n## ', '\n\n## ')
    .replace('\n\n\n', '\n\n');
}

/** A line for a value, and for all that it consists of. */
function rowsOf(schema, key, given, value) {
  const node = resolved(schema, given);
  const items = node.items && resolved(schema, node.items);
  const inner = items?.properties ?? node.properties;
  const isOpen = node.type === 'object' && node.properties === undefined;
  const shown =
    items?.properties && isTrivial(value) ? value : inner && !isOpen ? undefined : value;
  const rows = [`| \`${key}\` | ${text(node)} | ${shown === undefined ? '' : code(shown)} |`];
  // Requests, limits, affinities and the like are Kubernetes' own.
  if (inner === undefined || isKubernetes(given)) return withDefault(rows, value);
  for (const [name, child] of Object.entries(inner)) {
    const at = items ? `${key}[].${name}` : `${key}.${name}`;
    rows.push(...rowsOf(schema, at, child, items ? value?.[0]?.[name] : value?.[name]));
  }
  return rows;
}

function withDefault([row], value) {
  return [value === undefined ? row : row.replace(/\| {2}\|$/, `| ${code(value)} |`)];
}

function isKubernetes(node) {
  const reference = node.allOf?.[0].$ref ?? node.items?.$ref ?? '';
  return ['resources', 'affinity', 'toleration'].some((name) => reference.endsWith(`/${name}`));
}

function isTrivial(value) {
  return Array.isArray(value) && value.length === 0;
}

/** The node with what it refers to; its own description wins. */
function resolved(schema, node) {
  const reference = node.$ref ?? node.allOf?.[0].$ref;
  if (reference === undefined) return node;
  const found = schema.definitions[reference.slice(reference.lastIndexOf('/') + 1)];
  return { ...found, ...(node.description ? { description: node.description } : {}) };
}

function text(node) {
  const choices = node.enum ? ` One of ${node.enum.map((one) => `\`${one}\``).join(', ')}.` : '';
  return `${node.description ?? ''}${choices}`.replaceAll('|', '\\|').trim();
}

function code(value) {
  if (value === '') return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``.replaceAll('|', '\\|');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(configurationPage(join(import.meta.dirname, '..', 'famfs-csi')));
}
