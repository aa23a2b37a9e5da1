import { writeFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { inClusterEndpoint, inClusterNamespace } from '../../src/kubernetes/endpoint.ts';
import { caught, rejection } from '../support/caught.ts';
import { Scratch } from '../support/scratch.ts';

const ENV = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' };

function serviceAccount(scratch: Scratch): string {
  writeFileSync(scratch.join('token'), 'first\n');
  writeFileSync(scratch.join('ca.crt'), 'CA');
  writeFileSync(scratch.join('namespace'), 'famfs\n');
  return scratch.path;
}

describe("a pod's way to the API server", () => {
  test('is that of its service account, whose token is read anew: kubelet rotates it', async () => {
    using scratch = new Scratch();
    const endpoint = inClusterEndpoint(ENV, serviceAccount(scratch));
    expect(endpoint.server).toBe('https://10.0.0.1:6443');
    expect(await endpoint.authorize()).toEqual({
      ca: Buffer.from('CA'),
      headers: { authorization: 'Bearer first' },
    });
    writeFileSync(scratch.join('token'), 'second');
    expect((await endpoint.authorize()).headers).toEqual({ authorization: 'Bearer second' });
    expect(await inClusterNamespace(scratch.path)).toBe('famfs');
  });

  test('may be by IPv6', () => {
    const endpoint = inClusterEndpoint({ ...ENV, KUBERNETES_SERVICE_HOST: 'fd00::1' });
    expect(endpoint.server).toBe('https://[fd00::1]:6443');
  });

  test('is none outside of a cluster, which is said with what to do', async () => {
    expect(caught(() => inClusterEndpoint({})).message).toMatch(
      /^--kubernetes: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set; .*kubeconfig/,
    );
    expect((await rejection(inClusterNamespace('/nowhere'))).message).toMatch(/^--namespace: /);
  });
});
