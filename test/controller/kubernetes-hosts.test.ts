import { describe, expect, test } from '@jest/globals';
import { KubernetesHosts } from '../../src/controller/kubernetes-hosts.ts';
import { OUT_OF_SERVICE } from '../../src/controller/out-of-service.ts';
import type { SlotRecord } from '../../src/format/control-area.ts';
import type { Informer } from '../../src/kubernetes/informer.ts';
import type { Node } from '../../src/kubernetes/objects.ts';

const BOOT = '11111111-1111-4111-8111-111111111111';
const OTHER_BOOT = '22222222-2222-4222-8222-222222222222';

function node(name: string, bootID: string | undefined, taints: { key: string }[] = []): Node {
  const status = bootID === undefined ? {} : { status: { nodeInfo: { bootID } } };
  return { metadata: { name }, spec: { taints }, ...status };
}

function isOver(nodes: readonly Node[], { isNode = true, isSynced = true } = {}): boolean {
  const items = () => new Map(nodes.map((one) => [one.metadata.name, one]));
  const hosts = new KubernetesHosts({ isSynced, items } as unknown as Informer<Node>);
  return hosts.isOver({ hostId: BOOT, isNode } as SlotRecord);
}

describe('a host that wrote a log in a cluster', () => {
  test('is over when its node was booted anew, or is gone', () => {
    expect(isOver([node('a', OTHER_BOOT)])).toBe(true);
    expect(isOver([])).toBe(true);
  });

  test('is over when its node is out of service, as an operator says', () => {
    expect(isOver([node('a', BOOT, [{ key: OUT_OF_SERVICE }]), node('b', OTHER_BOOT)])).toBe(true);
  });

  test('may be up while a Node has its boot id, ready or not, or could have it', () => {
    const notReady = [{ key: 'node.kubernetes.io/unreachable' }];
    expect(isOver([node('a', BOOT, notReady), node('b', OTHER_BOOT)])).toBe(false);
    expect(isOver([node('a', undefined)])).toBe(false);
  });

  test('may be up while nothing is known, or where it is no node of the cluster', () => {
    expect(isOver([], { isSynced: false })).toBe(false);
    expect(isOver([node('a', OTHER_BOOT)], { isNode: false })).toBe(false);
  });
});
