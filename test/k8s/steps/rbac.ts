import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import type { KubeObject } from '../cluster/api.ts';
import type { AuditEvent } from '../cluster/control-plane.ts';
import { RELEASE, type Story } from './story.ts';

/** Something that may be done, or was: `account verb group/resource [name]`. */
interface Right {
  readonly account: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** Undefined: of any name. */
  readonly name: string | undefined;
}

const textOf = ({ account, verb, group, resource, name }: Right) =>
  `${account}: ${verb} ${group === '' ? '' : `${group}/`}${resource}${name ? ` ${name}` : ''}`;

/** What every authenticated user may do: look at what the API has. */
const isForAll = ({ objectRef, requestURI }: AuditEvent) =>
  objectRef === undefined && /^\/(api|apis|openapi|version|healthz|livez|readyz)/.test(requestURI);

async function granted({ cluster, namespace }: Story): Promise<Right[]> {
  const ask = async (path: string) => (await cluster.api.ask('GET', path)).body.items;
  const api = 'apis/rbac.authorization.k8s.io/v1';
  const spaced = `${api}/namespaces/${namespace}`;
  const label = `?labelSelector=app.kubernetes.io/instance%3D${RELEASE}`;
  const bindings = [
    ...(await ask(`${api}/clusterrolebindings${label}`)),
    ...(await ask(`${spaced}/rolebindings${label}`)),
  ];
  const rights: Right[] = [];
  for (const { roleRef, subjects } of bindings) {
    const folder = roleRef.kind === 'Role' ? `${spaced}/roles` : `${api}/clusterroles`;
    const role = (await cluster.api.ask('GET', `${folder}/${roleRef.name}`)).body;
    for (const subject of subjects) {
      for (const rule of role.rules) rights.push(...rightsOf(rule, subject.name));
    }
  }
  return rights;
}

function rightsOf(rule: KubeObject, account: string): Right[] {
  const names: (string | undefined)[] = rule.resourceNames ?? [undefined];
  const groups: string[] = rule.apiGroups;
  const resources: string[] = rule.resources;
  const verbs: string[] = rule.verbs;
  return groups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) => names.map((name) => ({ account, verb, group, resource, name }))),
    ),
  );
}

function used(events: readonly AuditEvent[], namespace: string): Right[] {
  const prefix = `system:serviceaccount:${namespace}:`;
  return events
    .filter(({ user }) => user.username.startsWith(prefix))
    .filter((event) => !isForAll(event))
    .map(({ user, verb, objectRef = { resource: '' } }) => ({
      account: user.username.slice(prefix.length),
      verb,
      group: objectRef.apiGroup ?? '',
      resource: [objectRef.resource, objectRef.subresource].filter(Boolean).join('/'),
      name: objectRef.name,
    }));
}

const covers = (may: Right, did: Right) =>
  may.account === did.account &&
  may.verb === did.verb &&
  may.group === did.group &&
  may.resource === did.resource &&
  (may.name === undefined || may.name === did.name);

/** Stands after all that uses the driver: it looks at what the API server was asked meanwhile. */
export function rbac(story: Story): void {
  step('each verb that is granted was used, and nothing was refused', async () => {
    const events = story.cluster.plane.auditEvents();
    const prefix = `system:serviceaccount:${story.namespace}:`;
    const refused = events.filter(
      ({ user, responseStatus }) =>
        user.username.startsWith(prefix) && responseStatus?.code === 403,
    );
    const may = await granted(story);
    const did = used(events, story.namespace);
    expect(did.length).toBeGreaterThan(0);
    const unused = may.filter((right) => !did.some((use) => covers(right, use)));
    const missing = did.filter((use) => !may.some((right) => covers(right, use)));
    const lines = (rights: readonly Right[]) => [...new Set(rights.map(textOf))].sort();
    expect({
      refused: [...new Set(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`))],
      unused: lines(unused),
      missing: lines(missing),
    }).toEqual({ refused: [], unused: [], missing: [] });
    return `${may.length} rights, ${did.length} requests`;
  });
}
