import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { identityService } from '../../src/csi/identity.ts';
import { serve } from './harness.ts';

const EMPTY_GRPC_MESSAGE = Buffer.alloc(5); // not compressed, no bytes
const PROTOCOL_ERROR = 'reset 1';
const identity = identityService({ controllerService: true, health: () => true });

/** What a Probe with this `:authority` ends with: its gRPC status, or the code of a reset. */
async function probeAs(socketPath: string, authority: string): Promise<string> {
  const session = connectHttp2('http://localhost', {
    createConnection: () => connectSocket(socketPath),
  });
  try {
    return await new Promise<string>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/csi.v1.Identity/Probe',
        'content-type': 'application/grpc',
        te: 'trailers',
        ':authority': authority,
      });
      session.on('error', reject);
      stream.on('error', () => {}); // a reset is seen at 'close'
      stream.on('trailers', (trailers) => resolve(`grpc-status ${trailers['grpc-status']}`));
      stream.on('close', () => resolve(`reset ${stream.rstCode}`));
      stream.end(EMPTY_GRPC_MESSAGE);
      stream.resume();
    });
  } finally {
    session.destroy();
  }
}

// The story: grpc-go used to send the path of a unix socket as `:authority`, or nothing. That is no
// authority (RFC 3986), and Node's HTTP/2 resets such a stream before grpc-js sees it, so plugins
// written for Node did not work with kubelet (kubernetes/kubernetes#107093, #108254).
describe('csi server and :authority', () => {
  // kubelet says `localhost` since Kubernetes 1.26 (kubernetes/kubernetes#112597), and csi-sanity
  // does; grpc-go and grpc-js say it for every `unix:` target, which is what the sidecars dial.
  test.each([
    ['localhost, as kubelet and the sidecars do', 'localhost'],
    ['an escaped path, as grpc-go does for one dialled without a scheme', '%2Fcsi%2Fcsi.sock'],
    ['a host with a port', 'localhost:80'],
  ])('answers a client that says %s', async (_, authority) => {
    await using harness = await serve({ Identity: identity });
    expect(await probeAs(harness.socketPath, authority)).toBe('grpc-status 0');
  });

  test.each([
    ['a bare path', '/csi/csi.sock'],
    ['nothing', ''],
  ])('cannot answer an old client that says %s: Node resets the stream', async (_, authority) => {
    await using harness = await serve({ Identity: identity });
    expect(await probeAs(harness.socketPath, authority)).toBe(PROTOCOL_ERROR);
    expect(await probeAs(harness.socketPath, 'localhost')).toBe('grpc-status 0');
  });
});
