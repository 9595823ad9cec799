import { createServer } from 'node:http';
import { freePort } from '../../test/support/free-port.ts';
import { testIssuer } from '../../test/support/issuer.ts';

const accounts = {
  checkout: { namespace: 'shop', uid: '0c7ad1f5-64b4-4d3a-9a51-3b6d9b1f2a10' },
  auditor: { namespace: 'audit', uid: '5e1b8a52-7f0c-4c1e-8f8d-6a2f4c9d7e21' },
} as const;

/** A cluster's issuer of service account tokens as its API server gives them to pods: discovery, keys, tokens. */
export async function startCluster(audience: string) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { jwks, token } = testIssuer(url, audience, Date.now, ['RS256']);
  const documents: Record<string, object> = {
    '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/openid/v1/jwks` },
    '/openid/v1/jwks': jwks,
  };
  const server = createServer((request, response) => {
    const found = documents[request.url ?? ''];
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    issuer: url,
    /** What a pod finds in its projected volume. */
    token(name: keyof typeof accounts): string {
      const { namespace, uid } = accounts[name];
      const bound = {
        namespace,
        serviceaccount: { name, uid },
        pod: { name: `${name}-7d4f`, uid: uid.replace(/^./, 'f') },
      };
      return token(
        { sub: `system:serviceaccount:${namespace}:${name}`, aud: [audience], 'kubernetes.io': bound },
        'RS256',
      );
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
